"""What a release stands for besides pods and routes: gates, checks without an answer, a way back that is not open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.test_waiting import standing
from core.world import INTERVAL, START, World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.durations import stamp
from pyflagger.api.steered import Hold
from pyflagger.core.conditions import STANDS_SECONDS, WAITING, WHOLE_SECOND
from pyflagger.core.decide import decide
from pyflagger.core.decision import WriteStatus
from pyflagger.core.situation import CallHook, CheckMetric, FindTrouble, Need, ProbeProviders

STEPS: dict[str, Any] = {"stepWeight": 20, "maxWeight": 40, "threshold": 2}
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
SOON = STANDS_SECONDS + WHOLE_SECOND

GATES = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")


def told(world: World) -> tuple[str, str]:
    """Reason and message of the condition; nothing without it."""
    found = standing(world)
    return (found.reason, found.message) if found else ("", "")


def gated(kind: str, *answers: Any, **more: Any) -> World:
    """A release at a gate that answers so, on its way to it."""
    manifest = {**STEPS, "metrics": [RATE], "webhooks": [hook(kind, "approve")], **more}
    world = ready_world(manifest, hooks={"approve": [*answers]}).change("v1:r2")
    while not world.calls or world.calls[-1][0] != "approve":
        world.run(1)
        assert world.now < START + 200
    return world


def own_writes(world: World) -> int:
    """Status writes that change nothing but the condition."""
    rest = [[each for each in status.conditions if each.type != WAITING] for status in world.statuses]
    pairs = zip(zip(world.statuses, rest, strict=True), zip(world.statuses[1:], rest[1:], strict=True), strict=False)
    return sum(
        one.but(conditions=()) == other.but(conditions=()) and sorted(first, key=str) == sorted(second, key=str)
        for (one, first), (other, second) in pairs
    )


@pytest.mark.parametrize("kind", GATES)
def test_a_closed_gate_stands_in_the_status_after_ten_seconds(kind: str) -> None:
    """Named with the way to open it, by one write of its own; gone with the write that goes on."""
    world = gated(kind, "no")
    assert told(world) == ("", "")
    since = world.now
    world.run(SOON + 1)
    reason, message = told(world)
    assert reason == "GateClosed" and message.startswith("Gate approve is closed since ")
    assert message.endswith("It opens when http://hooks/approve answers 200.")
    found = standing(world)
    assert found and found.last_transition_time and since - 2 <= found.last_transition_time <= since
    before = len(world.statuses)
    world.run(5 * INTERVAL)
    assert len(world.statuses) == before, "a closed gate that stays closed writes nothing more"
    world.hooks["approve"] = True
    world.run(INTERVAL + 1)
    assert told(world) == ("", "")
    world.until(Phase.SUCCEEDED)
    assert own_writes(world) == 1
    (wait,) = world.records[2]["status"]["waits"]
    assert wait["code"] == "GateClosed" and "approve" in wait["text"]


@pytest.mark.parametrize("kind", GATES)
def test_a_gate_that_opens_at_its_second_call_never_stands(kind: str) -> None:
    """It cost one interval and no write."""
    world = gated(kind, "no", True).until(Phase.SUCCEEDED)
    assert not any(each.type == WAITING for status in world.statuses for each in status.conditions)


def test_failed_checks_leave_the_gate_before_the_promotion_standing() -> None:
    """The release still waits for it, and the checks halt it as well."""
    world = gated("confirm-promotion", "no", threshold=5)
    world.run(SOON + 1)
    world.metrics["request-success-rate"] = 50.0
    world.run(INTERVAL)
    assert world.status.failed_checks == 1 and told(world)[0] == "GateClosed"
    assert any(each.type == "Halted" for each in world.status.conditions)


def test_a_failed_check_ends_the_wait_for_more_traffic() -> None:
    """The round did not get to the gate."""
    world = gated("confirm-traffic-increase", "no", threshold=5)
    world.run(SOON + 1)
    world.hooks["approve"] = [True, "no"]
    world.run(INTERVAL)
    world.run(SOON + INTERVAL)
    assert told(world)[0] == "GateClosed"
    world.metrics["request-success-rate"] = 50.0
    world.run(INTERVAL)
    assert world.status.failed_checks and told(world) == ("", "")


def test_pods_outrank_a_gate_and_the_gate_stands_again_after_them() -> None:
    """One condition names one thing at a time, each since it began."""
    world = gated("confirm-promotion", "no")
    world.run(SOON + 1)
    world.target.failing = "0 of 2 available"
    world.run(SOON + 2)
    assert told(world)[0] == "CanaryNotReady"
    world.target.failing = ""
    world.run(2)
    assert told(world)[0] == "GateClosed"
    world.hooks["approve"] = True
    world.until(Phase.SUCCEEDED)
    waits = world.records[2]["status"]["waits"]
    assert [each["code"] for each in waits] == ["GateClosed", "CanaryNotReady", "GateClosed"]
    assert waits[0]["from"] == waits[2]["from"] < waits[1]["from"]


def test_a_new_operator_knows_since_when_a_gate_is_closed() -> None:
    """It needs no memory for it."""
    world = gated("confirm-rollout", "no")
    world.run(5)
    world.restart()
    world.run(SOON - 4)
    assert told(world)[0] == "GateClosed"


def rolling_back() -> World:
    """A rollback whose primary is not ready."""
    world = ready_world({**STEPS, "threshold": 1, "metrics": [RATE]}, metrics={RATE["name"]: 1}).change("v1:r2")
    world.run(12)

    def late(seen: World) -> None:
        if seen.status.rollback and seen.primary is not None:
            seen.primary.failing = "1 of 4 available"

    world.after = late
    while world.decision.reasons[0].code != "rollback-holds":
        world.run(1)
        assert world.now < START + 200
    world.after = None
    return world.fresh_record()


def test_a_rollback_that_waits_for_the_primary_says_so() -> None:
    """A count that goes on is written once an interval."""
    world = rolling_back()
    assert world.primary is not None
    world.run(STANDS_SECONDS - 1)
    assert told(world) == ("", "") and not world.statuses
    world.run(2)
    reason, message = told(world)
    assert reason == "RollbackHolds" and message.endswith("1 of 4 available. Check the primary's pods.")
    for count in range(20):
        world.primary.failing = f"{count} of 40 available"
        world.run(1)
    assert len(world.statuses) <= 4 and "of 40 available" in told(world)[1]
    world.primary.failing = ""
    world.until(Phase.FAILED)
    assert told(world) == ("", "")


def test_a_deletion_that_waits_for_the_target_says_so() -> None:
    """And takes it away before it goes on."""
    world = ready_world()
    world.delete().run(0.5)
    world.target.failing = "0 of 2 available"
    world.run(STANDS_SECONDS - 1)
    assert told(world) == ("", "")
    world.run(3)
    reason, message = told(world)
    assert reason == "HandingBackHolds" and "Traffic stays on the primary" in message
    world.target.failing = ""
    world.run(1)
    assert told(world) == ("", "")
    world.run(10)
    assert world.gone


METRICS = (CheckMetric(0, "builtin"),)


@pytest.mark.parametrize(
    ("need", "text"),
    [
        (
            CallHook(0, "Progressing", "x"),
            "Hook smoke has not answered since {}: POST http://hooks/smoke. flagger waits",
        ),
        (CheckMetric(0, "builtin"), "Metric providers have not answered request-success-rate since {}. Check"),
        (ProbeProviders(), "Metric providers have not answered the probe since {}. Check"),
    ],
)
def test_checks_without_an_answer_stand_after_ten_seconds(need: Need, text: str) -> None:
    """The needs stay, so that gathering goes on; the write is made meanwhile."""
    world = ready_world({**STEPS, "metrics": [RATE], "webhooks": [hook("rollout", "smoke")]}).change("v1:r2")
    if isinstance(need, ProbeProviders):
        world = World(world.canary.model_copy(update={"status": world.canary.status.but(phase=Phase.INITIALIZING)}))
        world.primary = None
    asked = _asking(world, need)
    assert decide(replace(asked, asking=None)).meanwhile is None
    assert decide(replace(asked, asking=asked.now - STANDS_SECONDS + 1)).meanwhile is None
    decision = decide(replace(asked, asking=asked.now - STANDS_SECONDS))
    assert decision.needs and not decision.changes
    assert decision.meanwhile is not None
    (found,) = (each for each in decision.meanwhile.status.conditions if each.type == WAITING)
    assert found.reason == "Asking"
    assert found.message.startswith(text.format(stamp(asked.now - STANDS_SECONDS)))
    assert found.last_transition_time == float(int(asked.now - STANDS_SECONDS))
    written = replace(asked, canary=asked.canary.model_copy(update={"status": decision.meanwhile.status}))
    assert decide(replace(written, asking=asked.now - STANDS_SECONDS)).meanwhile is None


def _asking(world: World, need: Need) -> Any:
    """The first situation in which the decision needs exactly this sort of check."""
    for _ in range(200):
        decision = world.decide()
        if decision.needs and type(decision.needs[0]) is type(need):
            return world.situation()
        if decision.needs:
            world.evidence |= {each: world._answer(each) for each in decision.together}
        elif decision.changes:
            world._carry_out(decision)
        else:
            world.now += 1
    raise AssertionError("never asked")


def test_pods_are_no_check_that_must_answer() -> None:
    """Asking the API server about pods is no wait."""
    world = ready_world().change("v1:r2").run(5)
    world.target.failing = "0 of 2 available"
    situation = _asking(world, FindTrouble("canary"))
    assert decide(replace(situation, asking=START)).meanwhile is None


def test_an_undisturbed_release_never_has_it() -> None:
    """Whatever its strategy and its hooks that pass."""
    webhooks = [hook(kind) for kind in (*GATES, "pre-rollout", "rollout", "post-rollout")]
    world = ready_world({**STEPS, "metrics": [RATE], "webhooks": webhooks}).change("v1:r2").until(Phase.SUCCEEDED)
    writes = [action for action in world.actions if isinstance(action, WriteStatus)]
    assert not any(each.type == WAITING for write in writes for each in write.status.conditions)


def paused(world: World, **more: str) -> World:
    """The release is held by a person from now on."""
    hold = Hold(by="ann@example.com", reason="checking logs", since=stamp(world.now), **more)  # type: ignore[arg-type]
    world.canary = world.canary.model_copy(update={"status": world.status.but(hold=hold)})
    return world


def test_a_pause_stands_in_the_status_after_ten_seconds() -> None:
    """By one write, with who holds the release and why; it goes with the hold."""
    world = ready_world({**STEPS, "metrics": [RATE]}).change("v1:r2")
    while not world.weights:
        world.run(1)
    paused(world).fresh_record().run(STANDS_SECONDS - 1)
    assert told(world) == ("", "")
    world.run(3)
    reason, message = told(world)
    assert reason == "Paused" and "is paused by ann@example.com since " in message and "checking logs" in message
    found = standing(world)
    assert found and found.last_transition_time and found.last_transition_time <= world.now - STANDS_SECONDS
    writes = len(world.statuses)
    world.run(4 * INTERVAL)
    assert told(world)[0] == "Paused" and len(world.statuses) <= writes + 1
    world.canary = world.canary.model_copy(update={"status": world.status.but(hold=None)})
    world.run(1)
    assert told(world) == ("", "")
    world.until(Phase.SUCCEEDED)


def test_a_pause_outranks_a_gate() -> None:
    """The gate stands again when the release is resumed."""
    world = gated("confirm-rollout", "no")
    world.run(SOON + 1)
    paused(world).run(SOON + INTERVAL)
    assert told(world)[0] == "Paused"
    world.canary = world.canary.model_copy(update={"status": world.status.but(hold=None)})
    world.run(1)
    assert told(world)[0] == "GateClosed"


def test_an_idle_canary_that_is_held_does_not_wait() -> None:
    """Nothing stands still that is not there."""
    world = paused(ready_world()).run(100)
    assert told(world) == ("", "")
