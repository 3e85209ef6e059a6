"""Pods that break outside of a rollout: those of the primary before a release, those of the canary under traffic."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import KUBERNETES, MESH, World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY

RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
WEIGHTS = {"stepWeight": 20, "maxWeight": 40, "metrics": [RATE]}
STRATEGIES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "weights": (WEIGHTS, {}, {}),
    "mirrored": ({**WEIGHTS, "mirror": True}, MESH, {}),
    "a-b": ({"iterations": 2, "match": [{"headers": {"x": {"exact": "y"}}}], "metrics": [RATE]}, {}, {}),
    "blue-green": ({"iterations": 2, "metrics": [RATE]}, {}, {}),
    "without a router": ({"iterations": 2, "metrics": [RATE]}, KUBERNETES, {}),
    "skipped": (WEIGHTS, {}, {"skipAnalysis": True}),
}
GONE = "Halt shop.test advancement no pod of web.test is available: all traffic goes to the primary"


def break_primary(world: World, failing: str) -> None:
    """Every pod crashes."""
    assert world.primary is not None
    world.primary.failing, world.primary.empty = failing, True


def break_canary(world: World, broken: bool = True) -> World:
    """Every pod crashes, or all come back."""
    world.target.failing, world.target.empty = ("0 of 2 available" if broken else ""), broken
    world.look()
    return world


def told(world: World) -> dict[str, str]:
    """The conditions' messages by type."""
    return {each.type: each.message for each in world.status.conditions}


# A primary whose pods all broke -------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["deadline", "crashing"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_good_version_ends_the_outage(strategy: str, failing: str) -> None:
    """Judged on its own pods and promoted, at the latest a deadline after it came: also for a kind without a clock."""
    analysis, facts, spec = STRATEGIES[strategy]
    world = ready_world(analysis, spec={"progressDeadlineSeconds": 60, **spec}, **facts)
    break_primary(world, failing)
    world.change("v1:good").fresh_record().run(70)
    assert world.route == ALL_CANARY or world.status.phase is Phase.SUCCEEDED
    world.run(200)
    assert world.status.phase is Phase.SUCCEEDED and world.status.last_promoted_spec == "v1:good"
    assert world.primary is not None and (world.primary.revision, world.route) == ("v1:good", ALL_PRIMARY)
    assert strategy == "skipped" or [call for call in world.calls if call[0] == RATE["name"]], "promoted unjudged"
    assert not set(told(world)) & {"Blocked", "Halted", "RollingBack", "Waiting"}


def test_what_is_said_of_a_broken_primary() -> None:
    """In the middle of a run, too: it is not gone, its pods do not work."""
    world = ready_world(WEIGHTS).change("v1:good").run(12)
    break_primary(world, "deadline")
    world.look()
    assert world.route == ALL_CANARY
    text = "web-primary.test not ready: deadline"
    assert f"{text}. web.test gets all traffic as soon as it is ready, and is judged with it" in world.texts
    assert (
        told(world)["Promoted"] == "Primary has no available pods, Deployment gets all traffic and is judged with it."
    )


@pytest.mark.parametrize("empty", [False, True])
def test_a_primary_that_may_get_ready_is_waited_for(empty: bool) -> None:
    """Until its deadline; one that has pods that serve is waited for as long as that takes."""
    world = ready_world(WEIGHTS, spec={"progressDeadlineSeconds": 60})
    break_primary(world, "crashing")
    assert world.primary is not None
    world.primary.empty = empty
    world.change("v1:good").fresh_record().run(55)
    assert world.status.phase is Phase.INITIALIZED and world.routes == [] and world.status.canary_weight == 0
    world.run(300)
    assert (world.status.phase is Phase.INITIALIZED) is not empty


def test_a_primary_that_got_ready_in_time_serves_on() -> None:
    """Then the release takes its steps as ever."""
    world = ready_world(WEIGHTS, spec={"progressDeadlineSeconds": 60})
    break_primary(world, "crashing")
    world.change("v1:good").run(30)
    assert world.primary is not None
    world.primary.failing = ""
    world.fresh_record().look()
    assert world.until(Phase.SUCCEEDED).weights == [20, 40, 0]


# A canary whose pods all broke while visitors were led to it ---------------------------------------------------------


def under_traffic(strategy: str, **more: Any) -> World:
    """A run whose canary has visitors."""
    analysis, facts, spec = STRATEGIES[strategy]
    world = ready_world({**analysis, "threshold": 3, **more}, spec=spec, **facts).change("v1:r2")
    for _ in range(200):
        if world.route not in (None, ALL_PRIMARY) and not (world.route and world.route.mirrored):
            return world
        world.run(1)
    raise AssertionError("no visitor ever came")


@pytest.mark.parametrize("strategy", ["weights", "mirrored", "a-b", "blue-green"])
def test_visitors_leave_a_canary_without_pods_at_once(strategy: str) -> None:
    """A failed check, told once; the run begins its steps anew when the pods are back, and is promoted."""
    world = break_canary(under_traffic(strategy).fresh_record())
    assert world.routes == [ALL_PRIMARY] and world.status.failed_checks == 1 and world.status.canary_weight == 0
    world.run(20)
    assert world.texts.count(GONE) == 1 and world.status.failed_checks == 1 and world.routes == [ALL_PRIMARY]
    assert "no pod of web.test is available" in told(world)["Halted"]
    break_canary(world, broken=False).until(Phase.SUCCEEDED)
    assert world.route == ALL_PRIMARY and world.status.last_promoted_spec == "v1:r2"
    assert not [text for text in world.texts if "changed" in text or "moved" in text]


def test_pods_that_come_and_go_end_the_run() -> None:
    """Each time is a failed check."""
    world = under_traffic("weights")
    for _ in range(3):
        break_canary(world)
        world.run(5)
        break_canary(world, broken=False)
        if world.status.phase is Phase.PROGRESSING:
            world.run(11)
    assert world.until(Phase.FAILED).route == ALL_PRIMARY


def test_pods_that_never_come_back_end_the_run_by_their_deadline() -> None:
    """Meanwhile nobody is led to them."""
    world = break_canary(under_traffic("weights"))
    world.target.failing = "deadline"
    assert world.until(Phase.FAILED).route == ALL_PRIMARY


def test_killed_between_the_route_and_the_status() -> None:
    """The next process writes the failed check down; nobody is blamed for the weight."""
    world = under_traffic("weights").fresh_record()
    world.kill_after = 1
    break_canary(world)
    world.run(5)
    assert world.route == ALL_PRIMARY and world.status.canary_weight == 0
    break_canary(world, broken=False).until(Phase.SUCCEEDED)
    assert not [text for text in world.texts if "changed" in text]


def test_without_a_primary_to_go_back_to_they_stay() -> None:
    """As nobody is there who would serve them."""
    world = under_traffic("weights").fresh_record()
    assert world.primary is not None
    world.primary.failing = "for now"
    break_canary(world).run(30)
    assert world.routes == [] and world.status.failed_checks == 0


def test_some_pods_are_enough() -> None:
    """A canary that is short of pods is waited for at its weight."""
    world = under_traffic("weights").fresh_record()
    world.target.failing = "1 of 2 available"
    world.look()
    world.run(30)
    assert world.routes == []


def test_a_canary_that_waits_for_its_promotion_without_pods() -> None:
    """Visitors leave it there, too."""
    analysis = {**WEIGHTS, "threshold": 3, "webhooks": [hook("confirm-promotion", "gate")]}
    world = ready_world(analysis, hooks={"gate": "closed"}).change("v1:r2").until(Phase.WAITING_PROMOTION)
    break_canary(world.fresh_record()).run(20)
    assert world.routes == [ALL_PRIMARY] and world.texts.count(GONE) == 1
    world.hooks["gate"] = True
    break_canary(world, broken=False).until(Phase.SUCCEEDED)
