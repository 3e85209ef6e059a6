"""After the end of a release: the canary's pods serve on until proxies know that they get no traffic. Then they go.

Nothing of that is lost to a restart, and nothing of it stands in the way of what comes next.
"""

from __future__ import annotations

from typing import Any

import pytest

from core.world import KUBERNETES, MESH, World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.defaults import HEARD_SECONDS
from pyflagger.api.facts import ALL_PRIMARY, Route
from pyflagger.core.decision import ScaleTarget

TO_20 = {"stepWeight": 20, "maxWeight": 20}


def scaling_down(world: World) -> bool:
    """Whether the condition stands."""
    return any((one.type, one.status) == ("ScalingDown", "True") for one in world.status.conditions)


def ended(analysis: dict[str, Any] | None = None, **facts: Any) -> World:
    """A release that has just succeeded; its canary's pods are still there."""
    world = ready_world(analysis or TO_20, **{**MESH, **facts}).change("v1:r2").until(Phase.SUCCEEDED, ending=False)
    assert not world.weights or world.weights[-1] == 0
    return world.fresh_record()


def test_the_condition_stands_until_the_pods_are_gone() -> None:
    """It says what is still to do, and takes nothing from what the end said."""
    world = ended()
    assert scaling_down(world) and world.target.replicas > 0
    told = next(one for one in world.status.conditions if one.type == "ScalingDown")
    assert told.reason == "ScalingDown"
    assert told.message == "Scaling the target to zero once proxies know that it gets no traffic."
    world.run(HEARD_SECONDS)
    assert world.target.replicas == 0 and not scaling_down(world)
    assert [one.type for one in world.status.conditions] == ["Promoted"] and world.status.phase is Phase.SUCCEEDED
    assert world.said == [] and world.counts == [] and world.alerts == []


def test_a_restart_before_the_pods_are_gone_counts_anew() -> None:
    """The new process does not know when visitors left: `World` asserts that it never scales down too early."""
    world = ended()
    world.run(HEARD_SECONDS - 1)
    world.restart()
    world.run(HEARD_SECONDS - 0.5)
    assert world.target.replicas > 0 and scaling_down(world)
    world.run(0.5)
    assert world.target.replicas == 0 and not scaling_down(world)


@pytest.mark.parametrize("after", range(4))
def test_a_crash_after_each_write_loses_nothing(after: int) -> None:
    """From the end on: asleep once, told nothing twice."""
    world = ended()
    world.kill_after = after
    world.run(3 * HEARD_SECONDS)
    assert world.target.replicas == 0 and not scaling_down(world) and world.said == []


def test_a_service_that_led_to_the_canary_was_routed_too() -> None:
    """Provider kubernetes after a failed promotion: a restarted operator does not know who was served."""
    world = ready_world({"iterations": 1}, fate={"v1:r2": "deadline"}, **KUBERNETES)
    world.change("v1:r2").until(Phase.FAILED).change("v1:r3").until(Phase.SUCCEEDED, ending=False)
    world.restart()
    world.run(HEARD_SECONDS - 0.5)
    assert world.target.replicas > 0 and scaling_down(world)
    world.run(0.5)
    assert world.target.replicas == 0 and not scaling_down(world)


def test_a_target_that_is_not_scaled_has_no_condition() -> None:
    """There is nothing to do after the end."""
    world = ready_world(TO_20, scalable=False, **MESH).change("v1:r2").until(Phase.SUCCEEDED, ending=False)
    assert not any(one.type == "ScalingDown" for status in world.statuses for one in status.conditions)


def test_a_new_revision_reuses_the_pods() -> None:
    """It begins at once, without scaling down and up again."""
    world = ended().change("v1:r3").run(0)
    assert world.status.phase is Phase.PROGRESSING and not scaling_down(world)
    world.run(HEARD_SECONDS + 1)
    assert world.target.replicas > 0 and not any(isinstance(action, ScaleTarget) for action in world.actions)
    assert world.until(Phase.SUCCEEDED).status.last_promoted_spec == "v1:r3"


def test_a_new_revision_that_waits_for_approval_does_not_run() -> None:
    """Its gate is closed: the pods, which are of that revision by now, are removed all the same."""
    world = ended({**TO_20, "webhooks": [hook("confirm-rollout", "gate")]})
    world.hooks["gate"] = False
    world.change("v1:r3").run(0)
    assert world.status.phase is Phase.WAITING and scaling_down(world)
    world.run(2 * HEARD_SECONDS)
    assert world.target.replicas == 0 and not scaling_down(world) and world.status.phase is Phase.WAITING
    world.hooks["gate"] = True
    assert world.until(Phase.SUCCEEDED).status.last_promoted_spec == "v1:r3"


def test_a_new_revision_that_waits_for_the_primary_does_not_run() -> None:
    """It has not begun, and nobody knows when it will."""
    world = ended()
    assert world.primary is not None
    world.primary.failing = "busy"
    world.change("v1:r3").run(2 * HEARD_SECONDS)
    assert world.target.replicas == 0 and not scaling_down(world) and world.status.phase is Phase.SUCCEEDED
    world.primary.failing = ""
    assert world.until(Phase.PROGRESSING).target.replicas > 0


@pytest.mark.parametrize("failing", ["", "busy"])
def test_traffic_that_somebody_leads_back_goes_home_first(failing: str) -> None:
    """To a primary that is ready; until then the pods serve."""
    world = ended()
    assert world.primary is not None
    world.primary.failing, world.route = failing, Route(50, 50)
    world.run(2 * HEARD_SECONDS)
    assert (world.target.replicas > 0, world.route) == ((True, Route(50, 50)) if failing else (False, ALL_PRIMARY))
    world.primary.failing = ""
    world.run(2 * HEARD_SECONDS)
    assert world.target.replicas == 0 and world.route == ALL_PRIMARY and not scaling_down(world)


def test_deleted_before_the_pods_are_gone() -> None:
    """They are handed back as they are: no scaling to zero in between."""
    world = ended(spec={"revertOnDeletion": True}).delete().run(30)
    assert world.gone and world.target.replicas > 0 and not scaling_down(world)
    assert not any(action == ScaleTarget(None) for action in world.actions)


def test_suspended_before_the_pods_are_gone() -> None:
    """Nothing moves until it goes on."""
    world = ended().spec(suspend=True).run(2 * HEARD_SECONDS)
    assert world.target.replicas > 0 and scaling_down(world)
    world.spec(suspend=False).run(2 * HEARD_SECONDS)
    assert world.target.replicas == 0 and not scaling_down(world)
