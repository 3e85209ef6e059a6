"""A revision whose pods lack a port that visitors need: it gets no traffic, is not copied, and the next one is."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import KUBERNETES, World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_PRIMARY, Fault, Problem
from pyflagger.core.conditions import HALTED
from pyflagger.core.decision import Alert, Promote, ScaleTarget

STEPS = {"stepWeight": 20, "maxWeight": 40}
LACKS = Problem(Fault.MANIFEST, "no container has a port named http", "Name it.", "spec.service.targetPort")
DEAF = {"v1:r2": LACKS}
REFUSED = "Rolling back shop.test the new revision cannot serve: no container has a port named http"

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "weights": (STEPS, {}),
    "A/B": ({"iterations": 2, "match": [{"headers": {"x": {"exact": "y"}}}]}, {}),
    "without a router": ({"iterations": 2}, KUBERNETES),
    "a closed gate": ({**STEPS, "webhooks": [hook("confirm-rollout", "gate")]}, {"hooks": {"gate": "closed"}}),
    "no analysis": (STEPS, {"spec": {"skipAnalysis": True}}),
    "a primary that is not ready": (STEPS, {}),
}


def halted(world: World) -> tuple[str, str]:
    """Whose doing it is, and what it says."""
    (found,) = [each for each in world.status.conditions if each.type == HALTED]
    return found.reason, found.message


@pytest.mark.parametrize("way", WAYS)
def test_it_is_refused_before_any_traffic(way: str) -> None:
    """At once, whatever kind of release: no pods, no weight, no copy. It is told once, and a good one is released."""
    analysis, facts = WAYS[way]
    world = ready_world(analysis, **facts)
    world.deaf = DEAF
    if way == "a primary that is not ready":
        assert world.primary is not None
        world.primary.failing = "for now"
    world.change("v1:r2").until(Phase.FAILED, limit=5).run(60)
    assert world.texts.count(REFUSED) == 1 and world.status.phase is Phase.FAILED
    assert [alert for alert in world.actions if isinstance(alert, Alert)] == [Alert("error", REFUSED)]
    assert world.routes == [] and world.target.replicas == 0
    assert not [each for each in world.actions if isinstance(each, Promote | ScaleTarget)]
    assert halted(world) == ("Manifest", f"{REFUSED}. Name it.")
    assert (world.status.last_applied_spec, world.status.last_promoted_spec) == ("v1:r2", "v1:r1")
    assert world.primary is not None
    world.hooks, world.primary.failing = {}, ""
    world.change("v1:r3").until(Phase.SUCCEEDED)


def test_a_run_that_waits_for_its_gate_is_refused_too() -> None:
    """The revision of today decides."""
    world = ready_world({**STEPS, "webhooks": [hook("confirm-rollout", "gate")]}, hooks={"gate": "closed"})
    world.deaf = DEAF
    world.change("v1:r3").until(Phase.WAITING)
    world.change("v1:r2").until(Phase.FAILED)
    assert world.texts.count(REFUSED) == 1 and world.routes == []


@pytest.mark.parametrize("kill_after", [None, *range(14)])
def test_in_the_middle_of_a_run_traffic_goes_home_first(kill_after: int | None) -> None:
    """The new revision takes the place of pods that have visitors. Whenever the operator dies, it ends the same."""
    world = ready_world(STEPS)
    world.deaf = DEAF
    world.change("v1:r3")
    while world.route is None or world.route.canary == 0:
        world.run(1)
    world.kill_after = kill_after
    world.fresh_record().change("v1:r2").until(Phase.FAILED).run(30)
    assert world.weights in ([0], []) and world.route == ALL_PRIMARY and world.target.replicas == 0
    assert REFUSED in world.texts and halted(world)[0] == "Manifest"
    assert not [each for each in world.actions if isinstance(each, Promote)]


def test_without_a_primary_to_go_back_to_traffic_stays() -> None:
    """Nobody could serve those visitors."""
    world = ready_world(STEPS)
    world.deaf = DEAF
    world.change("v1:r3")
    while world.route is None or world.route.canary == 0:
        world.run(1)
    assert world.primary is not None
    world.fresh_record().change("v1:r2")
    world.primary.failing = "for now"
    world.run(30)
    assert world.weights == [] and world.status.phase is Phase.PROGRESSING
    world.primary.failing = ""
    world.until(Phase.FAILED)
    assert world.weights == [0]


def test_a_broken_primary_and_a_deaf_revision() -> None:
    """After a failed promotion the canary carries everybody: there is nowhere to go, and that is told."""
    world = ready_world(STEPS, fate={"v1:r3": "deadline"})
    world.deaf = DEAF
    world.change("v1:r3").until(Phase.FAILED)
    assert world.route is not None and world.route.canary == 100
    world.fresh_record().change("v1:r2").until(Phase.FAILED).run(30)
    assert REFUSED in world.texts and world.status.canary_weight == 100 and world.weights == []
    assert halted(world)[1].startswith(REFUSED)
