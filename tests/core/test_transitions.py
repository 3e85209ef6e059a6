"""The table of phases, the conditions, and that nothing moves outside of it."""

from __future__ import annotations

import pytest

from pyflagger.api import durations
from pyflagger.api.canary import CanaryStatus, Condition, Phase
from pyflagger.api.facts import Fault
from pyflagger.core.conditions import (
    BLOCKED,
    CONDITIONS,
    HALTED,
    WAITING,
    WHOSE,
    Cause,
    Rollback,
    Waits,
    enter,
    explain,
    roll_back,
    stand,
)
from pyflagger.core.decision import Reason
from pyflagger.core.releases import IDLE
from pyflagger.core.transitions import ALLOWED, following

NOW = 1_700_000_000.0
LATER = NOW + 60


def stamp(time: float | None) -> str:
    """A time as the status shows it."""
    assert time is not None
    return durations.stamp(time)


A, B = Reason("x", "a"), Reason("x", "b")


def test_the_table_names_every_phase_and_has_no_dead_ends_but_the_last() -> None:
    """From everywhere else a canary can be deleted, and an end can be followed by another run."""
    assert set(ALLOWED) == set(Phase)
    for phase, found in ALLOWED.items():
        if phase not in (Phase.TERMINATING, Phase.TERMINATED):
            assert Phase.TERMINATING in found
    assert all(phase in CONDITIONS for following in ALLOWED.values() for phase in following)


def test_nothing_is_promoted_that_was_not_judged() -> None:
    """Only the judging phases and an undo lead to promotion, and only promotion leads to success."""
    leads = {phase: {before for before, after in ALLOWED.items() if phase in after} for phase in Phase}
    undone = {phase for phase in IDLE if "undo" in following(phase)[Phase.PROMOTING]}
    assert undone == set(IDLE) and leads[Phase.PROMOTING] - undone == {Phase.PROGRESSING, Phase.WAITING_PROMOTION}
    assert leads[Phase.SUCCEEDED] == {Phase.PROMOTING, Phase.FINALISING}
    assert Phase.FAILED not in ALLOWED[Phase.INITIALIZING]


def test_the_transition_time_is_that_of_the_phase() -> None:
    """A restart and other writes leave it."""
    status = enter(CanaryStatus(phase=Phase.SUCCEEDED), Phase.PROGRESSING, now=NOW, kind="Deployment")
    again = enter(status, Phase.PROGRESSING, now=LATER, kind="Deployment", canary_weight=0)
    assert stamp(again.last_transition_time) == stamp(status.last_transition_time) == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("before", Phase)
def test_every_change_of_phase_has_its_time(before: Phase) -> None:
    """Whichever phase follows, and whether its name sorts before or after."""
    for after in ALLOWED[before]:
        moved = enter(CanaryStatus(phase=before), after, now=NOW, kind="Deployment")
        assert bool(moved.last_transition_time) == (after is not before)


@pytest.mark.parametrize("other", ["Blocked", "Ready"])
def test_a_condition_is_found_by_its_type_wherever_it_stands(other: str) -> None:
    """Others may come before it, with a status of the same name."""
    status = enter(CanaryStatus(phase=Phase.SUCCEEDED), Phase.PROGRESSING, now=NOW, kind="Deployment")
    first = Condition(type=other, status="Unknown", reason="x", last_transition_time=NOW - 3600)
    moved = enter(status.but(conditions=(first, *status.conditions)), Phase.PROMOTING, now=LATER, kind="Deployment")
    assert stamp(moved.conditions[0].last_transition_time) == "2023-11-14T22:13:20Z"


def test_a_change_of_the_verdict_has_its_time_in_either_direction() -> None:
    """From false to unknown, and from unknown to true."""
    failed = enter(CanaryStatus(phase=Phase.PROGRESSING), Phase.FAILED, now=NOW, kind="Deployment")
    again = enter(failed, Phase.PROGRESSING, now=LATER, kind="Deployment")
    assert stamp(again.conditions[0].last_transition_time) == "2023-11-14T22:14:20Z"


def test_the_condition_changes_its_times_as_kubernetes_does() -> None:
    """The transition time is that of true, false or unknown; the update time that of anything."""
    waiting = enter(CanaryStatus(phase=Phase.SUCCEEDED), Phase.WAITING, now=NOW, kind="DaemonSet")
    progressing = enter(waiting, Phase.PROGRESSING, now=LATER, kind="DaemonSet")
    first, second = waiting.conditions[0], progressing.conditions[0]
    assert (second.status, second.reason) == ("Unknown", "Progressing")
    assert second.last_transition_time == first.last_transition_time != second.last_update_time
    failed = enter(progressing, Phase.FAILED, now=LATER, kind="DaemonSet").conditions[0]
    assert failed.last_transition_time == failed.last_update_time
    assert failed.message == "Canary analysis failed, DaemonSet scaled to zero."


def test_an_unchanged_condition_is_left_alone() -> None:
    """No write for nothing, also when status and phase came from the API server as text of their own."""
    status = enter(CanaryStatus(phase=Phase.SUCCEEDED), Phase.PROGRESSING, now=NOW, kind="Deployment")
    assert enter(status, Phase.PROGRESSING, now=LATER, kind="Deployment") == status
    read = CanaryStatus.model_validate_json(status.model_dump_json(by_alias=True))
    assert enter(read, Phase.PROGRESSING, now=LATER, kind="Deployment") == read


def test_a_condition_that_says_something_new_is_written() -> None:
    """Whether the new text sorts before the old one or after it; the transition time stays while the status does."""
    status = enter(CanaryStatus(phase=Phase.SUCCEEDED), Phase.PROGRESSING, now=NOW, kind="Deployment", message="m")
    for text in ("a", "z"):
        said = enter(status, Phase.PROGRESSING, now=LATER, kind="Deployment", message=text).conditions[0]
        assert (said.message, stamp(said.last_update_time)) == (text, "2023-11-14T22:14:20Z")
        assert stamp(said.last_transition_time) == "2023-11-14T22:13:20Z"


def test_other_conditions_are_kept() -> None:
    """Whoever wrote them."""
    others = [Condition(type=name, status="False", reason="x") for name in ("Available", "Other", "Ready")]
    status = CanaryStatus(phase=Phase.SUCCEEDED, conditions=tuple(others))
    moved = stand(enter(status, Phase.WAITING, now=NOW, kind="Deployment"), BLOCKED, (A,), NOW)
    assert [c.type for c in moved.conditions] == ["Promoted", "Available", "Other", "Ready", "Blocked"]
    again = stand(enter(moved, Phase.PROGRESSING, now=LATER, kind="Deployment"), BLOCKED, (B,), LATER)
    assert [c.type for c in again.conditions] == ["Promoted", "Available", "Other", "Ready", "Blocked"]
    assert again.conditions[1:4] == tuple(others)
    assert {stamp(c.last_transition_time) for c in (again.conditions[0], again.conditions[4])} == {
        "2023-11-14T22:13:20Z"
    }


def test_blocking_and_mending() -> None:
    """The condition names the problem, keeps its time while there is any, and goes away whole."""
    status = CanaryStatus()
    once = stand(status, BLOCKED, (A,), NOW)
    twice = stand(once, BLOCKED, (A, B), LATER)
    assert stand(once, BLOCKED, (A,), LATER) is once
    assert twice.conditions[0].last_transition_time == once.conditions[0].last_transition_time
    assert twice.conditions[0].last_update_time != once.conditions[0].last_update_time
    assert (twice.conditions[0].type, twice.conditions[0].message) == ("Blocked", "a; b")
    assert stand(twice, BLOCKED, (), LATER) == status
    assert stand(status, BLOCKED, (), NOW) is status


def test_whole_sentences_follow_each_other() -> None:
    """What to do about one reason ends before the next reason begins."""
    advised = Reason("x", "a", todo="Do it.")
    stands = stand(CanaryStatus(), BLOCKED, (advised, B, advised), NOW)
    assert stands.conditions[0].message == "a. Do it. b; a. Do it."


def test_both_standing_conditions_are_kept_apart() -> None:
    """What blocks the canary goes and comes without a change of what halted its run."""
    halted = stand(CanaryStatus(), HALTED, (B,), NOW)
    both = stand(halted, BLOCKED, (A,), NOW)
    assert [(c.type, c.status, c.message) for c in both.conditions] == [
        ("Halted", "True", "b"),
        ("Blocked", "True", "a"),
    ]
    assert stand(both, BLOCKED, (), LATER) == halted


@pytest.mark.parametrize("kind", [BLOCKED, HALTED])
def test_a_standing_condition_is_found_among_others(kind: str) -> None:
    """Wherever it stands: said again it changes nothing."""
    others = tuple(Condition(type=name, status="True", reason="x", message="m") for name in ("Accepted", "Ready"))
    said = stand(CanaryStatus(conditions=others), kind, (A,), NOW)
    turned = said.but(conditions=tuple(reversed(said.conditions)))
    for status in (said, turned):
        assert stand(status, kind, (A,), LATER) is status
        changed = stand(status, kind, (B,), LATER)
        assert [stamp(c.last_transition_time) for c in changed.conditions if c.type == kind] == ["2023-11-14T22:13:20Z"]


def test_of_several_the_first_says_whose_it_is() -> None:
    """The others are in its message."""
    told = (Reason("x", "a", "", Fault.CLUSTER), Reason("x", "b", "", Fault.US))
    (said,) = stand(CanaryStatus(), BLOCKED, told, NOW).conditions
    assert (said.reason, said.message) == ("Cluster", "a; b")


@pytest.mark.parametrize("fault", [None, *Fault])
def test_a_standing_condition_says_whose_and_what_to_do(fault: Fault | None) -> None:
    """Its reason is a word of one's own for each; its message is the text and what to do."""
    (said,) = stand(CanaryStatus(), HALTED, (Reason("c", "It failed.", "Look at it.", fault),), NOW).conditions
    assert said.message == "It failed. Look at it."
    assert said.reason == WHOSE[fault] and said.reason.isalpha()
    assert len(set(WHOSE.values())) == len(Fault) + 1


def told(status: CanaryStatus) -> str:
    """The message of the Promoted condition."""
    return next(c.message for c in status.conditions if c.type == "Promoted")


@pytest.mark.parametrize("other", ["Alerted", "RollingBack"])
def test_a_gate_is_in_the_message_while_it_is_closed(other: str) -> None:
    """Whichever condition comes first. The usual message is back once the gate is open."""
    before = enter(CanaryStatus(), Phase.PROGRESSING, now=1.0, kind="Deployment")
    mixed = before.but(conditions=(Condition(type=other, status="True", reason="x"), *before.conditions))
    usual = CONDITIONS[Phase.PROGRESSING][1]
    closed = explain(mixed, Waits("Gate go is closed", "Open it."), 5.0)
    assert told(closed) == f"{usual} Gate go is closed since 1970-01-01T00:00:05Z. Open it."
    assert [c.type for c in closed.conditions] == [other, "Promoted"]
    assert told(explain(closed, Waits("Gate go is closed", "Open it."), 9.0)) == told(closed)
    assert told(explain(closed, Waits("Gate a is closed", "Open it."), 9.0)).startswith(
        f"{usual} Gate a is closed since"
    )
    assert told(explain(closed, None, 9.0)) == usual


def test_a_rollback_leaves_other_conditions() -> None:
    """Whether it begins or is over."""
    others = tuple(Condition(type=each, status="True", reason="x") for each in ("Alerted", "Waiting"))
    begun = roll_back(CanaryStatus(conditions=others), Rollback(Cause.CHECKS, Reason("x", "why")), 1.0)
    assert [c.type for c in begun.conditions] == ["Alerted", "Waiting", "RollingBack"]
    assert roll_back(begun, None, 2.0).conditions == others


def test_a_waiting_condition_names_the_first_of_several() -> None:
    """Its reason is what the release waits for first."""
    several = (Reason("primary-not-ready", "a"), Reason("route-not-ready", "b"))
    assert stand(CanaryStatus(), WAITING, several, 1.0).conditions[0].reason == "PrimaryNotReady"
