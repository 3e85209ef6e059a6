"""Baking: a promoted version that fails its checks on the primary is undone, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import World, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import Fault, Problem
from pyflagger.core.situation import NoData, QueryFailed

LAG = {"name": "lag", "query": "q", "thresholdRange": {"max": 5}}
BAKE = {"duration": "2m", "threshold": 2}
STEPS = {"stepWeight": 50, "maxWeight": 50, "threshold": 2, "metrics": [LAG], "bake": BAKE}
DOWN = QueryFailed(Problem(Fault.PROVIDER, "connection refused"))


def baked(*answers: Any, **analysis: Any) -> World:
    """The second release of a canary, just promoted. The checks of the bake then give these answers."""
    world = ready_world({**STEPS, **analysis}, metrics={"lag": 1})
    world.change("v1:r2").until(Phase.SUCCEEDED)
    world.run(300)
    world.change("v1:r3").until(Phase.PROGRESSING).until(Phase.SUCCEEDED)
    world.metrics["lag"] = list(answers)
    return world


def condition(world: World) -> str:
    """The message of the condition."""
    return next((each.message for each in world.status.conditions if each.type == "Baking"), "")


def primary(world: World) -> str:
    """The revision that visitors get."""
    assert world.primary is not None
    return world.primary.revision


def test_a_version_that_works_stays() -> None:
    """It is judged every interval until the time is over, without a write between, and then never again."""
    world = baked(1)
    assert "Failed checks in a row: 0 of 2" in condition(world)
    writes, calls = len(world.statuses), len(world.calls)
    world.run(60)
    assert len(world.statuses) - writes <= 1 and len(world.calls) - calls >= 5
    world.run(100)
    assert (condition(world), world.status.bake, primary(world)) == ("", None, "v1:r3")
    assert [text for text in world.texts if text.startswith("Bake of shop.test is over")]
    calls = len(world.calls)
    world.run(300)
    assert len(world.calls) == calls and world.status.phase is Phase.SUCCEEDED


def test_a_version_that_fails_is_undone() -> None:
    """The primary gets the release before, by flagger, and the target's revision is not released again."""
    world = baked(9).until(Phase.FAILED)
    assert (primary(world), world.target.revision, world.status.bake) == ("v1:r2", "v1:r3", None)
    (text,) = [text for text in world.texts if text.startswith("Undoing")]
    assert (
        text.startswith("Undoing shop.test to release 2 by flagger: lag 9.00 > 5 (")
        and "2 failed checks in a row" in text
    )
    assert condition(world) == ""
    world.run(300)
    assert world.status.phase is Phase.FAILED


def test_failed_checks_must_follow_each_other() -> None:
    """One that passes ends the count."""
    world = baked(9, 1, 9, 1, 9, 1)
    world.run(200)
    assert (world.status.phase, primary(world)) == (Phase.SUCCEEDED, "v1:r3")


@pytest.mark.parametrize("answer", [NoData(), DOWN], ids=["no data", "error"])
def test_a_fault_of_the_metrics_server_undoes_nothing(answer: Any) -> None:
    """Visitors have the version already."""
    world = baked(answer)
    world.run(200)
    assert (world.status.phase, primary(world)) == (Phase.SUCCEEDED, "v1:r3")


def test_a_dry_run_undoes_nothing() -> None:
    """As during the release."""
    world = baked(9, metrics=[{**LAG, "dryRun": True}])
    world.run(200)
    assert primary(world) == "v1:r3"


def test_a_new_revision_ends_it() -> None:
    """The next release starts at once, and is judged as usual."""
    world = baked(1)
    world.run(15)
    world.change("v1:r4").run(5)
    assert (world.status.phase, world.status.bake, condition(world)) == (Phase.PROGRESSING, None, "")


def test_without_an_earlier_record() -> None:
    """It says that nothing can be undone, once, and the bake is over."""
    world = baked(9)
    world.records.clear()
    world.run(100)
    assert (world.status.phase, primary(world), world.status.bake) == (Phase.SUCCEEDED, "v1:r3", None)
    (text,) = [text for text in world.texts if "flagger cannot undo it" in text]
    assert ("error", text) in world.alerts


def test_a_bake_that_the_manifest_no_longer_has() -> None:
    """It ends."""
    world = baked(1)
    spec = world.canary.spec
    assert spec.analysis is not None
    changed = spec.model_copy(update={"analysis": spec.analysis.model_copy(update={"bake": None})})
    world.canary = world.canary.model_copy(update={"spec": changed})
    world.run(15)
    assert (world.status.bake, condition(world)) == (None, "")


def test_a_skipped_analysis_has_no_bake() -> None:
    """There are no checks to go on with."""
    world = ready_world(STEPS, spec={"skipAnalysis": True})
    world.change("v1:r2").until(Phase.SUCCEEDED)
    assert world.status.bake is None


def test_a_restart_goes_on() -> None:
    """A new operator knows the end and the failed checks, and undoes at the second one."""
    world = baked(1, 9)
    world.run(15)
    failed = 0
    while not failed:
        world.run(5)
        failed = world.status.bake.failed if world.status.bake else 0
    world.restart()
    world.until(Phase.FAILED)
    assert primary(world) == "v1:r2"


def test_killed_after_every_write() -> None:
    """It ends as without a crash."""
    for at in range(12):
        world = baked(9)
        world.kill_after = at
        world.until(Phase.FAILED)
        assert primary(world) == "v1:r2"
