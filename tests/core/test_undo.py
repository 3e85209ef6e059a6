"""Undo: an earlier release runs again, the target stays as it is, and nothing that nobody judged is promoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.test_gone import STRATEGIES, delete
from core.world import World, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY
from pyflagger.core.decision import Count, Promote

STEPS = {"stepWeight": 20, "maxWeight": 40}


def promoted(analysis: Any = STEPS, spec: Any = None, **facts: Any) -> World:
    """Release 2 is promoted, and release 1 was before it."""
    world = ready_world(analysis, spec=spec, **facts)
    world.change("v1:r2").until(Phase.SUCCEEDED)
    return world.fresh_record()


def is_undone(world: World, revision: str = "v1:r1", number: int = 1) -> None:
    """The primary runs this release and has all visitors, the target is asleep, and no release is under way."""
    status = world.status
    assert status.phase is Phase.FAILED and status.last_promoted_spec == revision and status.undo is None
    assert world.primary is not None and world.primary.revision == revision and world.route in (None, ALL_PRIMARY)
    assert world.target.replicas == 0 and status.release is not None and status.release.promoted == number
    assert status.conditions[0].message.startswith(f"Undone by ann: release {number} of shop.test runs again.")
    assert not [c for c in status.conditions if c.type in ("Halted", "RollingBack", "Blocked", "Waiting")]
    assert not [a for a in world.actions if isinstance(a, Count)], "an undo counts as no failed release"


@pytest.mark.parametrize("kill", [None, *(pytest.param(point, marks=pytest.mark.long) for point in range(9))])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_release_before_runs_again(strategy: str, kill: int | None) -> None:
    """Whenever the operator dies: one record, one result. The refused revision is not released again by itself."""
    analysis, facts, spec = STRATEGIES[strategy]
    world = promoted(analysis, spec, **facts)
    world.kill_after = kill
    world.ask("undo", reason="slow").run(120)
    is_undone(world)
    assert world.outcomes == ["Initialized", "Promoted", "Undone"] and world.codes == [("Done", "")]
    assert (world.status.release.previous, world.status.release.number) == (2, 3)  # type: ignore[union-attr]
    world.fresh_record().run(600)
    assert world.status.phase is Phase.FAILED and not [a for a in world.actions if isinstance(a, Promote)]


def test_what_is_told() -> None:
    """An event and an alert at the start and at the end, and a record that says what it undoes."""
    world = promoted().ask("undo", reason="slow").run(60)
    assert [text for text in world.texts if "ndo" in text] == [
        "Undoing shop.test to release 1 by ann: slow",
        "Undone by ann: release 1 of shop.test runs again",
    ]
    assert [severity for severity, text in world.alerts if "ndo" in text] == ["warn", "info"]
    spec = world.records[3]["spec"]
    assert (spec["cause"], spec["revision"], spec["from"]["number"]) == ("undo of release 2", "v1:r1", 2)
    assert spec["images"] == [{"container": "app", "old": "v1:r2", "new": "v1:r1"}]
    assert "checks" not in spec and "plan" not in spec and "template" not in world.records[3]["status"]


def test_a_new_revision_is_released() -> None:
    """While the undo is under way, it waits; after that it starts, and the promoted one is the release that ran."""
    world = promoted().ask("undo", reason="slow").change("v1:r3").until(Phase.SUCCEEDED)
    assert world.phases == ["Promoting", "Failed", "Progressing", "Promoting", "Finalising", "Succeeded"]
    assert world.outcomes == ["Initialized", "Promoted", "Undone", "Promoted"]
    assert world.records[4]["spec"]["from"] == {"number": 1, "revision": "v1:r1"}


def test_git_has_the_old_revision_again() -> None:
    """Nothing is released: the primary runs it."""
    world = promoted().ask("undo", reason="slow").run(60)
    world.fresh_record().change("v1:r1").run(60)
    assert not [a for a in world.actions if isinstance(a, Promote)] and world.target.replicas == 0


def test_the_undone_revision_is_retried() -> None:
    """A person may release it again."""
    world = promoted().ask("undo", reason="slow").run(60).ask("retry").until(Phase.SUCCEEDED)
    assert world.primary is not None and world.primary.revision == "v1:r2"
    assert world.outcomes == ["Initialized", "Promoted", "Undone", "Promoted"]


def test_undo_of_an_undo() -> None:
    """The other release runs again, as with `kubectl rollout undo`."""
    world = promoted().ask("undo", reason="slow").run(60).fresh_record().ask("undo", reason="no").run(60)
    is_undone(world, "v1:r2", 2)


def test_an_older_release() -> None:
    """By its number."""
    world = promoted().change("v1:r3").until(Phase.SUCCEEDED).fresh_record().ask("undo", reason="x", to=1).run(60)
    is_undone(world, "v1:r1", 1)


def test_after_a_release_that_failed() -> None:
    """The primary runs release 1 and never ran another: an undo has nothing to go back to."""
    world = ready_world({**STEPS, "threshold": 1})
    world.change("v1:r2", failing="deadline").until(Phase.FAILED)
    world.ask("undo", reason="slow")
    assert world.codes == [("Refused", "no-record")]


@pytest.mark.parametrize("kill", [None, 0, 1, 2, 3, 4, 5, 6, 7, 8])
def test_the_primary_does_not_get_ready(kill: int | None) -> None:
    """It gets back what it had, visitors stay, and a new revision can be released."""
    world = promoted()
    world.fate["v1:r1"] = "deadline"
    world.kill_after = kill
    world.ask("undo", reason="slow").run(120)
    assert world.status.phase is Phase.FAILED and world.primary is not None and world.primary.revision == "v1:r2"
    assert world.status.last_promoted_spec == "v1:r2" and world.outcomes[2] == "RolledBack"
    assert world.status.release is not None and world.status.release.promoted == 2
    failed = "Undo of shop.test failed: web-primary.test not ready: deadline"
    assert f"{failed}. The primary gets release 2 back" in world.texts and failed in world.texts
    assert [c.type for c in world.status.conditions if c.type == "Halted"] and world.routes == []
    world.change("v1:r3").until(Phase.SUCCEEDED)


def never_back(world: World) -> None:
    """Neither template gets ready."""
    world.fate["v1:r2"] = "deadline"


def without_a_record(world: World) -> None:
    """The record of what the primary ran is deleted in the middle."""

    def harm(of: World) -> None:
        of.records.pop(2, None)

    world.after = harm


@pytest.mark.parametrize("harm", [never_back, without_a_record])
def test_there_is_no_way_back(harm: Callable[[World], None]) -> None:
    """The undo ends, and the next revision or a second undo can mend it."""
    world = promoted()
    world.fate["v1:r1"] = "deadline"
    harm(world)
    world.ask("undo", reason="slow").run(120)
    assert world.status.phase is Phase.FAILED and world.status.last_promoted_spec == "v1:r2"
    assert world.outcomes[-1] == "RolledBack" and world.routes == []


def test_after_a_failed_promotion() -> None:
    """The primary gets the promoted template back, then all visitors, then the target sleeps."""
    world = ready_world(STEPS)
    world.fate["v1:r2"] = "deadline"
    world.change("v1:r2").until(Phase.FAILED)
    assert world.route == ALL_CANARY
    world.fresh_record().ask("undo", reason="primary is broken").run(60)
    is_undone(world)
    assert world.routes == [ALL_PRIMARY] and world.outcomes == ["Initialized", "RolledBack", "Undone"]
    assert world.records[3]["spec"]["cause"] == "undo of a failed promotion"


def test_after_a_failed_promotion_it_fails_again() -> None:
    """The canary keeps serving."""
    world = ready_world(STEPS)
    world.fate |= {"v1:r2": "deadline", "v1:r1": "deadline"}
    world.change("v1:r2").until(Phase.FAILED)
    world.ask("undo", reason="primary is broken").run(120)
    assert world.status.phase is Phase.FAILED and (world.route, world.status.canary_weight) == (ALL_CANARY, 100)
    assert world.target.replicas > 0
    assert "The canary keeps its traffic" in " ".join(world.texts)


@pytest.mark.parametrize("keep", [0, 10])
def test_the_primary_is_deleted_meanwhile(keep: int) -> None:
    """It is made again from the record that is undone to, never from the target."""
    world = promoted()
    done: list[int] = []

    def harm(of: World) -> None:
        if of.status.undo and not done:
            done.append(1)
            delete(of)
            if not keep:
                of.records.pop(1)

    world.after = harm
    world.ask("undo", reason="slow").run(120)
    if keep:
        is_undone(world)
    else:
        assert world.primary is not None and world.primary.revision == "v1:r2"
        assert any("there is no record of release 1" in text for text in world.texts)


def gone(world: World) -> None:
    """The record was deleted."""
    del world.records[1]


REFUSED: dict[str, tuple[Callable[[], World], dict[str, Any], str]] = {
    "the release that runs": (promoted, {"to": 2}, "already-so"),
    "no such release": (promoted, {"to": 7}, "no-record"),
    "no records": (lambda: promoted(keep=0), {}, "no-record"),
    "a kind without a template": (
        lambda: promoted(spec={"targetRef": {"apiVersion": "v1", "kind": "Service", "name": "web"}}),
        {},
        "kind",
    ),
    "no pods while the primary is updated": (lambda: promoted(keeps=0), {}, "drains"),
    "a release is under way": (lambda: promoted().change("v1:r3").run(15), {}, "under-way"),
    "a promotion is under way": (lambda: promoted().change("v1:r3").until(Phase.PROMOTING), {}, "promoting"),
    "suspended": (lambda: promoted().spec(suspend=True), {}, "suspended"),
    "of another revision": (promoted, {"revision": "v1:r9"}, "other-revision"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str) -> None:
    """Nothing changes but the result."""
    make, spec, code = REFUSED[case]
    world = make().fresh_record()
    before = world.primary and world.primary.revision
    world.ask("undo", reason="slow", **spec)
    assert [found for _, found in world.codes] == [code]
    assert (world.primary and world.primary.revision) == before
    assert not [a for a in world.actions if isinstance(a, Promote) and a.release]


def test_an_abort_before_pods_are_ready() -> None:
    """A person calls a release off whose pods never get ready."""
    world = ready_world(STEPS)
    world.change("v1:r2", failing="rolling for ever").until(Phase.PROGRESSING).run(30)
    world.ask("abort", reason="wrong config").run(20)
    assert world.codes == [("Done", "")] and world.status.phase is Phase.FAILED and world.target.replicas == 0


def test_a_failed_revision_is_retried() -> None:
    """Without a change of its pod template."""
    world = ready_world(STEPS)
    world.change("v1:r2", failing="deadline").until(Phase.FAILED)
    world.target.failing = ""
    world.ask("retry").until(Phase.SUCCEEDED)
    assert world.codes == [("Done", "")] and world.status.last_promoted_spec == "v1:r2"


def test_a_new_revision_long_after_a_failure() -> None:
    """It starts a release, although the target is at zero."""
    world = ready_world(STEPS)
    world.change("v1:r2", failing="deadline").until(Phase.FAILED).run(100_000)
    world.target.failing = ""
    world.change("v1:r3").until(Phase.SUCCEEDED)
