"""What a status says about releases to people: numbers, images, the results of the last round. It decides nothing."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import Killed, World, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.published import CheckResult, HookResult, ReleaseImage, ReleaseStatus, RoundStatus
from pyflagger.core.situation import NoData

STEPS = {"stepWeight": 20, "maxWeight": 40}
METRICS = [
    {"name": "request-success-rate", "thresholdRange": {"min": 99}},
    {"name": "errors", "query": "x", "thresholdRange": {"max": 1}},
]


def release(world: World) -> ReleaseStatus:
    """The release of the status."""
    assert world.status.release is not None
    return world.status.release


def rounds(world: World) -> list[RoundStatus]:
    """The rounds of all statuses so far, repeats left out."""
    found: list[RoundStatus] = []
    for status in world.statuses:
        if status.round is not None and (not found or found[-1] != status.round):
            found.append(status.round)
    return found


def test_the_first_revision_is_release_one() -> None:
    """The primary runs it."""
    assert release(ready_world()) == ReleaseStatus(number=1, promoted=1)


def test_releases_count_up() -> None:
    """A promoted one takes the place of the one before."""
    world = ready_world().change("v1:r2").until(Phase.PROGRESSING)
    images = (ReleaseImage(container="app", old="v1:r1", new="v1:r2"),)
    assert release(world) == ReleaseStatus(number=2, promoted=1, images=images)
    world.until(Phase.SUCCEEDED)
    assert release(world) == ReleaseStatus(number=2, promoted=2, previous=1, images=images)
    world.change("v1:r3").until(Phase.SUCCEEDED)
    assert (release(world).number, release(world).promoted, release(world).previous) == (3, 3, 2)


def test_a_failed_release_keeps_its_number() -> None:
    """The next one counts on, and the primary still runs the older one."""
    world = ready_world({**STEPS, "metrics": METRICS}, metrics={"request-success-rate": 50.0, "errors": 0.0})
    world.change("v1:r2").until(Phase.FAILED)
    assert (release(world).number, release(world).promoted) == (2, 1)
    world.metrics["request-success-rate"] = 100.0
    world.change("v1:r3").until(Phase.SUCCEEDED)
    assert (release(world).number, release(world).promoted, release(world).previous) == (3, 3, 1)


def test_a_new_revision_in_the_middle_is_another_release() -> None:
    """Its images are compared with the primary again."""
    world = ready_world().change("v1:r2").until(Phase.PROGRESSING).change("v1:r3").run(5)
    assert release(world).number == 3 and release(world).images[0].new == "v1:r3"


def test_a_withdrawn_revision_promotes_nothing() -> None:
    """The number stays, and so does what the primary runs."""
    world = ready_world().change("v1:r2").until(Phase.PROGRESSING).change("v1:r1").until(Phase.INITIALIZED)
    assert (release(world).number, release(world).promoted) == (2, 1)


def test_a_gate_before_the_start_is_the_same_release() -> None:
    """The run that the gate lets begin was numbered when it began to wait."""
    world = ready_world({**STEPS, "webhooks": [hook("confirm-rollout", "gate")]}, hooks={"gate": "closed"})
    world.change("v1:r2").until(Phase.WAITING)
    assert release(world).number == 2
    world.hooks["gate"] = True
    world.until(Phase.SUCCEEDED)
    assert (release(world).number, release(world).promoted) == (2, 2)


def test_the_results_of_a_round() -> None:
    """Every check and hook, with the weight that was judged; not only the first that fails."""
    metrics: dict[str, Any] = {"request-success-rate": [100.0, 98.5], "errors": [0.25, NoData()]}
    world = ready_world({**STEPS, "metrics": METRICS, "webhooks": [hook("rollout", "load")]}, metrics=metrics)
    world.change("v1:r2")
    world.until(Phase.FAILED)
    good, bad = rounds(world)[:2]
    assert good.checks == (
        CheckResult(name="request-success-rate", value=100.0, verdict="pass"),
        CheckResult(name="errors", value=0.25, verdict="pass"),
    )
    assert good.hooks == (HookResult(name="load", verdict="pass"),)
    assert [(each.name, each.value, each.verdict) for each in bad.checks] == [
        ("request-success-rate", 98.5, "bad"),
        ("errors", None, "no-data"),
    ]
    assert "98.5" in bad.checks[0].text and bad.weight > good.weight


def test_a_hook_that_refuses() -> None:
    """Its answer is there; metrics were not asked."""
    world = ready_world(
        {**STEPS, "metrics": METRICS, "webhooks": [hook("rollout", "load")]}, hooks={"load": "no" * 200}
    )
    world.change("v1:r2").until(Phase.FAILED)
    last = rounds(world)[-1]
    assert last.checks == () and last.hooks[0].verdict == "refused" and len(last.hooks[0].text) == 120


def test_a_new_run_has_no_round_yet() -> None:
    """The results of another run are not shown as its own."""
    world = ready_world({**STEPS, "metrics": METRICS}, metrics={"request-success-rate": 50.0, "errors": 0.0})
    world.change("v1:r2").until(Phase.FAILED)
    assert world.status.round is not None
    world.change("v1:r3").until(Phase.PROGRESSING)
    assert world.status.round is None


@pytest.mark.parametrize("value", [100.0, 50.0])
def test_a_definition_that_drops_the_fields(value: float) -> None:
    """A release goes on in the same way, with the same events at the same times, and no write more."""
    told = []
    for pruned in (False, True):
        world = ready_world(
            {**STEPS, "metrics": METRICS}, metrics={"request-success-rate": value, "errors": 0.0}, pruned=pruned
        )
        world.change("v1:r2").until(Phase.SUCCEEDED, Phase.FAILED)
        told.append((world.said, world.phases, len(world.statuses), world.routes))
    assert told[0] == told[1]


def test_a_crash_counts_no_release_twice() -> None:
    """Killed after each action of a release, it is still one release."""
    calm = ready_world().change("v1:r2").until(Phase.SUCCEEDED)
    for after in range(len(calm.actions)):
        world = ready_world()
        world.kill_after = after
        world.change("v1:r2")
        try:
            world.until(Phase.SUCCEEDED)
        except Killed:
            world.until(Phase.SUCCEEDED)
        assert (release(world).number, release(world).promoted, release(world).previous) == (2, 2, 1), after
