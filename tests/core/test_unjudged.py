"""A release that nothing could judge is not begun; everything else of the canary goes on."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import Fault, Problem
from pyflagger.core.conditions import BLOCKED
from pyflagger.core.decision import Part

STEPS = {"stepWeight": 20, "maxWeight": 40}
TEXT = 'Metric template errors.test error: metrictemplate.flagger.app "errors" not found'
MISSING = Problem(Fault.MANIFEST, TEXT, "Create the MetricTemplate.")
GATED = {**STEPS, "webhooks": [hook("confirm-rollout", "gate")]}


def blocked(world: World) -> list[str]:
    """The condition's text, while there is one."""
    return [each.message for each in world.status.conditions if each.type == BLOCKED and each.status == "True"]


@pytest.mark.parametrize("kill_after", [None, *range(4)])
def test_it_is_told_before_a_release_and_ends_with_its_cause(kill_after: int | None) -> None:
    """Once, by an event and a condition; the revision waits, and is released when the cause is gone."""
    world = ready_world(STEPS)
    world.unjudged, world.kill_after = (MISSING,), kill_after
    world.fresh_record().run(60)
    assert blocked(world) == [f"{TEXT}. Create the MetricTemplate."]
    assert len([text for text in world.texts if TEXT in text]) <= (1 if kill_after is None else 2)
    world.fresh_record().change("v1:r2").run(120)
    assert world.status.phase is Phase.INITIALIZED and world.routes == [] and world.texts == []
    world.unjudged = ()
    world.until(Phase.SUCCEEDED)
    assert blocked(world) == [] and world.status.last_promoted_spec == "v1:r2"


def test_a_release_that_waits_for_its_gate_waits_for_this_too() -> None:
    """The gate is asked no more before."""
    world = ready_world(GATED, hooks={"gate": "closed"})
    world.change("v1:r2").until(Phase.WAITING)
    world.unjudged, world.hooks = (MISSING,), {}
    world.fresh_record().run(60)
    assert world.status.phase is Phase.WAITING and len(blocked(world)) == 1 and world.calls == []
    world.unjudged = ()
    world.until(Phase.SUCCEEDED)


def test_a_run_that_is_under_way_is_judged_as_ever() -> None:
    """Each round tells what it lacks itself."""
    world = ready_world(STEPS)
    world.change("v1:r2").until(Phase.PROGRESSING)
    world.unjudged = (MISSING,)
    world.until(Phase.SUCCEEDED)


def test_what_was_deleted_is_restored_meanwhile() -> None:
    """Users are served by it."""
    world = ready_world(STEPS)
    world.unjudged = (MISSING,)
    world.run(20)
    world.parts[Part.PRIMARY_SERVICE] = "missing"
    world.primary, world.parts[Part.PRIMARY_WORKLOAD] = None, "missing"
    world.run(60)
    assert world.primary is not None and world.parts[Part.PRIMARY_SERVICE] == "ok"
    assert world.status.phase is Phase.INITIALIZED and len(blocked(world)) == 1


OUTAGES: dict[str, dict[str, Any]] = {"deleted": {"primary": None}, "its pods crash": {}}


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_new_revision_ends_an_outage_all_the_same(outage: str) -> None:
    """Where no primary serves anybody, a release is not held up."""
    world = ready_world(STEPS)
    world.unjudged = (MISSING,)
    world.change("v1:r2")
    if outage == "deleted":
        world.primary, world.parts[Part.PRIMARY_WORKLOAD] = None, "missing"
    else:
        assert world.primary is not None
        world.primary.failing, world.primary.empty = "its pods crash", True
    world.until(Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, limit=1200)
