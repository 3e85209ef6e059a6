"""The condition Halted: what stops a run, whose doing it is and what to do, from a failed round until it is over."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import Fault, Problem
from pyflagger.core.situation import NoData, QueryFailed, Value

STEPS = {"stepWeight": 20, "maxWeight": 40, "threshold": 2}
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
DOWN = QueryFailed(Problem(Fault.PROVIDER, "connection refused"))
GOOD = Value(100)


def halted(world: World) -> tuple[str, str]:
    """Reason and message of the condition; nothing when there is none."""
    found = next((c for c in world.status.conditions if c.type == "Halted"), None)
    assert found is None or found.status == "True"
    return (found.reason, found.message) if found else ("", "")


# What the metric or the hook says, and whose doing it is, what is told, what to do.
FAILING: dict[str, tuple[Any, str, str, str]] = {
    "a bad value": (Value(90), "Revision", "success rate 90.00% < 99%", "Fix the new version"),
    "no answer": (DOWN, "MetricProvider", "connection refused", "Check that the metrics server is running"),
    "no data": (NoData(cause="No visitors came."), "MetricProvider", "no values found", "No visitors came."),
    "a bug": (QueryFailed(Problem(Fault.US, "it broke", "Tell us.")), "Flagger", "it broke", "Tell us."),
    "a template": (QueryFailed(Problem(Fault.MANIFEST, "x", "Create it.")), "Manifest", "x", "Create it."),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_failed_check_halts_and_a_passed_one_goes_on(what: str) -> None:
    """Said on the object as soon as it is known, gone with the next step."""
    answer, whose, text, todo = FAILING[what]
    world = ready_world({**STEPS, "metrics": [RATE]}, metrics={RATE["name"]: [answer, GOOD, GOOD]})
    world.change("v1:r2").run(9)
    assert halted(world) == ("", "")
    world.run(5)
    reason, message = halted(world)
    assert (world.status.failed_checks, reason) == (1, whose)
    assert text in message and todo in message
    world.run(10)
    assert world.weights == [20, 40] and halted(world) == ("", "")
    assert halted(world.until(Phase.SUCCEEDED)) == ("", "")


@pytest.mark.parametrize("kind", ["pre-rollout", "rollout"])
def test_a_hook_that_refuses_halts(kind: str) -> None:
    """It is named with its answer, and with what to look at."""
    world = ready_world({**STEPS, "webhooks": [hook(kind, "smoke")]}, hooks={"smoke": ["busy", True]})
    world.change("v1:r2")
    for _ in range(30):
        if not world.status.failed_checks:
            world.run(1)
    reason, message = halted(world)
    assert reason == "Hook" and "check smoke failed busy. Check the server that answers" in message
    assert halted(world.until(Phase.SUCCEEDED)) == ("", "")


def test_after_a_rollback_it_says_what_it_was_for() -> None:
    """Through the rollback and after it, until a new revision runs."""
    world = ready_world({**STEPS, "metrics": [RATE]}, metrics={RATE["name"]: Value(90)})
    world.change("v1:r2").until(Phase.FAILED).run(60)
    assert halted(world)[0] == "Revision" and "90.00% < 99%" in halted(world)[1]
    world.change("v1:r3").until(Phase.PROGRESSING)
    assert halted(world) == ("", "")


def test_a_deadline_says_so() -> None:
    """Pods that never got ready are the cluster's."""
    world = ready_world(STEPS).change("v1:r2", failing="deadline").until(Phase.FAILED)
    reason, message = halted(world)
    assert reason == "Cluster" and "progress deadline exceeded" in message and "Check the target's pods" in message


def test_somebody_s_rollback_says_so() -> None:
    """A rollback hook."""
    world = ready_world({**STEPS, "webhooks": [hook("rollback", "stop")]}, hooks={"stop": ["no", True]})
    assert "manual webhook invoked" in halted(world.change("v1:r2").until(Phase.FAILED))[1]


def test_a_restart_begins_without() -> None:
    """Another revision in the middle has not failed anything yet."""
    world = ready_world({**STEPS, "metrics": [RATE]}, metrics={RATE["name"]: [Value(90), GOOD, GOOD, GOOD]})
    world.change("v1:r2").run(14)
    assert halted(world)[0] == "Revision"
    world.change("v1:r3").run(1)
    assert halted(world) == ("", "") and world.status.failed_checks == 0


def test_a_failed_promotion_says_so() -> None:
    """The primary is the cluster's, too; mended by the next revision."""
    world = ready_world({"stepWeight": 20, "maxWeight": 20}, fate={"v1:r2": "deadline"})
    reason, message = halted(world.change("v1:r2").until(Phase.FAILED))
    assert (
        reason == "Cluster"
        and "Promotion of web.test failed" in message
        and "release a new revision to repair it" in message
    )
    assert halted(world.change("v1:r3").until(Phase.SUCCEEDED)) == ("", "")
