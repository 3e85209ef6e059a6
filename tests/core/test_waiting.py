"""What stands still says so: a condition after ten seconds, with what the pods say; gone as soon as it goes on."""

from __future__ import annotations

import pytest

from core.world import INTERVAL, World, ready_world
from pyflagger.api.canary import Condition, Phase
from pyflagger.api.facts import ALL_PRIMARY
from pyflagger.core.conditions import WAITING
from pyflagger.core.decision import WriteStatus
from pyflagger.core.waiting import STANDS_SECONDS

GATEWAY = "HTTPRoute web: parent Gateway gw is not ready"
CRASH = "2 pods: container app is in CrashLoopBackOff (exit code 1)"


def standing(world: World) -> Condition | None:
    """The condition, if it is there."""
    return next((each for each in world.status.conditions if each.type == WAITING), None)


def running() -> World:
    """In the middle of a run."""
    return ready_world().change("v1:r2").run(5).fresh_record()


def test_an_undisturbed_release_has_no_such_condition_and_asks_no_pods() -> None:
    """It costs nothing where nothing is wrong."""
    world = ready_world().change("v1:r2").until(Phase.SUCCEEDED)
    writes = [action for action in world.actions if isinstance(action, WriteStatus)]
    assert not world.asked_pods
    assert not any(each.type == WAITING for write in writes for each in write.status.conditions)


def test_what_waits_for_the_canary_says_so_with_the_pods_words() -> None:
    """At once as an event; after ten seconds as a condition."""
    world = running()
    world.target.failing, world.troubles["canary"] = "0 of 2 available", CRASH
    world.run(STANDS_SECONDS - 1)
    assert standing(world) is None and not world.asked_pods
    world.run(2)
    told = standing(world)
    assert told and (told.status, told.reason) == ("True", "CanaryNotReady")
    whole = f"canary deployment web.test not ready: 0 of 2 available: {CRASH}"
    assert told.message == f"{whole}. Check the target's pods."
    assert world.texts[-1] == whole and world.decision.reasons[0].text == whole
    world.target.failing = ""
    world.run(3 * INTERVAL)
    assert standing(world) is None


def test_the_pods_are_asked_once_an_interval_and_told_of_once() -> None:
    """However often something about them changes."""
    world = running()
    world.target.failing, world.troubles["canary"] = "busy", CRASH
    world.run(STANDS_SECONDS + 5 * INTERVAL)
    assert 4 <= len(world.asked_pods) <= 6
    assert len(world.texts) == 2


def test_trouble_that_is_over_is_not_told_any_more() -> None:
    """Of another wait nobody hears what kept the first."""
    world = running()
    world.target.failing, world.troubles["canary"] = "busy", CRASH
    world.run(STANDS_SECONDS + 1)
    world.troubles.clear()
    world.run(INTERVAL + 1)
    told = standing(world)
    assert told and CRASH not in told.message


def test_a_deadline_says_what_kept_the_pods() -> None:
    """The last word of a release that failed names the cause."""
    world = running()
    world.target.failing, world.troubles["canary"] = "busy", CRASH
    world.run(STANDS_SECONDS + 1)
    world.target.failing = "deadline"
    world.until(Phase.FAILED)
    assert any(text.startswith("Rolling back") and text.endswith(CRASH) for text in world.texts)
    assert standing(world) is None


def test_a_revision_that_waits_for_the_primary_says_so() -> None:
    """Nothing has begun, and still it stands in the status."""
    world = ready_world()
    assert world.primary is not None
    world.primary.failing, world.troubles["primary"] = "busy", CRASH
    world.change("v1:r2").run(STANDS_SECONDS + 1)
    told = standing(world)
    assert told and told.reason == "PrimaryNotReady" and CRASH in told.message
    world.primary.failing = ""
    world.until(Phase.SUCCEEDED)
    assert standing(world) is None


def test_a_revision_that_is_taken_back_waits_for_nothing() -> None:
    """Nothing is written for it but that."""
    world = ready_world()
    assert world.primary is not None
    world.primary.failing = "busy"
    world.change("v1:r2").run(STANDS_SECONDS + 1).change("v1:r1").run(1)
    assert standing(world) is None and world.status.phase is Phase.INITIALIZED


def test_a_route_that_is_never_taken_ends_the_release() -> None:
    """At the deadline of the Canary, by a rollback that says why; until then a condition does."""
    world = running()
    world.route_waiting = GATEWAY
    world.run(STANDS_SECONDS + 1)
    told = standing(world)
    assert told and told.reason == "RouteNotReady" and GATEWAY in told.message
    deadline = world.canary.spec.progress_deadline_seconds
    world.run(deadline - STANDS_SECONDS - 3)
    assert world.status.phase is Phase.PROGRESSING
    world.until(Phase.FAILED)
    assert world.route == ALL_PRIMARY
    assert f"Rolling back shop.test progress deadline exceeded {GATEWAY}" in world.texts


@pytest.mark.parametrize("phase", [Phase.PROMOTING])
def test_a_primary_that_rolls_slowly_says_so(phase: Phase) -> None:
    """While it takes the new template, too."""
    world = ready_world(fate={"v1:r2": "busy"}).change("v1:r2").until(phase).run(STANDS_SECONDS + 3)
    told = standing(world)
    assert told and told.reason == "PrimaryNotReady"
