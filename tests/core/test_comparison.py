"""What `compare` does to a release: it replaces the limits of a metric while both sides have requests."""

from __future__ import annotations

from typing import Any

import pytest

from core.world import EVERYTHING, World, asked, hook, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.compared import Comparison, Counted, odds
from pyflagger.api.facts import Fault, Problem
from pyflagger.core import betting, comparison
from pyflagger.core.situation import NoData, QueryFailed

STEPS = {"stepWeight": 10, "maxWeight": 50, "threshold": 2}
COMPARE = {"warmUp": "1s"}
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "compare": COMPARE}
SPEED = {"name": "request-duration", "thresholdRange": {"max": 500}, "compare": COMPARE}
SAME, WORSE, QUIET = (1, 100, 9, 900), (40, 100, 9, 900), (0, 0, 9, 900)


def compared(*counts: Any, metrics: Any = (RATE,), value: Any = 98.0, **analysis: Any) -> World:
    """A release just before its first round with traffic. Its success rate fails the limit of 99 % in each round."""
    world = ready_world({**STEPS, "metrics": list(metrics), **analysis}, metrics={"request-success-rate": value})
    world.traffic = {each["name"]: list(counts) for each in metrics}
    return world.change("v1:r2").run(9)


def rounds(world: World, many: int) -> World:
    """The world some rounds later."""
    return world.run(many * world.interval)


def state(world: World, name: str = "request-success-rate") -> Comparison:
    """The stored state."""
    return next(each for each in world.status.comparisons or () if each.name == name)


# Judging ------------------------------------------------------------------------------------------------------------


def test_a_canary_as_good_as_the_primary_is_promoted() -> None:
    """Its limit would fail each round, because the primary has the same errors."""
    world = compared(SAME).until(Phase.SUCCEEDED)
    assert world.status.failed_checks == 0 and world.weights == [10, 20, 30, 40, 50, 0]
    assert (state(world).canary, state(world).primary) == (Counted(4, 400), Counted(36, 3600))


def test_a_worse_canary_is_rolled_back_at_once() -> None:
    """In the first rounds, without a failed check, with the counts in event, alert and condition."""
    world = compared(WORSE).until(Phase.FAILED)
    assert world.status.failed_checks == 0 and world.routes[-1].canary == 0
    (text,) = {text for text in world.texts if text.startswith("Rolling back")}
    assert text.startswith("Rolling back shop.test evidence ")
    assert "that request-success-rate is worse than 1.25 times the primary's (" in text
    assert text.endswith(" of the primary); flagger rolls back at 100:1")
    assert ("error", text) in world.alerts
    assert comparison.FIX in next(one.message for one in world.status.conditions if one.type == "Halted")


def test_the_cause_is_known_until_the_end() -> None:
    """A rollback by evidence is stored before traffic moves, and a new operator continues it."""
    world = compared(WORSE)
    seen: list[str | None] = []
    world.after = lambda now: seen.append(now.status.rollback)
    world.until(Phase.FAILED)
    assert "WorseThanPrimary" in seen


def test_the_round_shows_the_evidence() -> None:
    """As a number in the status and in words."""
    world = rounds(compared(SAME), 1)
    (check,) = world.status.round.checks  # type: ignore[union-attr]
    assert check.evidence == comparison.shown(state(world)) < 1
    assert world.status.results == f"request-success-rate 98.00% (evidence {check.evidence:.1f}:1): passed"


def test_back_to_the_first_weight_while_in_doubt() -> None:
    """While the numbers speak against the canary. They decide with time, in either direction."""
    doubtful = (4, 100, 9, 900)
    world = rounds(compared(doubtful, doubtful, doubtful, doubtful, SAME), 4)
    assert comparison.DOUBT <= comparison.shown(state(world)) < 100
    rounds(world, 2)
    assert (world.weights[-1], world.status.canary_weight, world.status.failed_checks) == (10, 10, 0)
    assert world.status.round is not None and world.status.round.checks[0].verdict == "unknown"
    said = [text.split(": ")[0] for text in world.texts if "until there is more evidence" in text]
    assert said[0] == "Returning shop.test to weight 10 until there is more evidence"
    assert set(said[1:]) == {"Holding shop.test until there is more evidence"}
    world.until(Phase.SUCCEEDED, limit=2000)
    assert world.weights[-6:] == [10, 20, 30, 40, 50, 0]


def test_a_pause_keeps_its_weight_in_doubt() -> None:
    """A person who holds a release decides about its weight."""
    doubtful = (4, 100, 9, 900)
    world = rounds(compared(SAME, SAME, doubtful), 2)
    world.requests = [asked("1", action="pause")]
    held = world.weights[-1]
    rounds(world, 4)
    assert world.weights[-1] == held and comparison.shown(state(world)) >= comparison.DOUBT


@pytest.mark.parametrize("held", ["pause", "gate"])
def test_evidence_grows_while_the_weight_is_held(held: str) -> None:
    """Every interval is stored, and a bad version is rolled back from there."""
    world = compared(SAME, WORSE, webhooks=[hook("confirm-traffic-increase")] if held == "gate" else [])
    if held == "gate":
        world.hooks = {"confirm-traffic-increase": "no"}
    else:
        world.requests = [asked("1", action="pause")]
    rounds(world, 2)
    known = state(world).units
    rounds(world, 2)
    assert state(world).units == known + 2
    world.until(Phase.FAILED)


@pytest.mark.long
def test_killed_on_the_way_back() -> None:
    """No event says that another client moved the weight."""
    doubtful = (4, 100, 9, 900)
    for at in range(40):
        world = compared(doubtful, doubtful, doubtful, doubtful, SAME)
        world.kill_after = at
        rounds(world, 8)
        assert not [text for text in world.texts if "moved" in text or "another client" in text]


def test_alpha_decides() -> None:
    """A smaller one needs more evidence."""
    slightly = (4, 100, 9, 900)
    soon, late = (compared(slightly, compare={"alpha": alpha}).until(Phase.FAILED, limit=2000) for alpha in (0.4, 1e-6))
    assert state(soon).units < state(late).units
    assert comparison.shown(state(soon)) >= 2.5 and comparison.shown(state(late)) >= 1e6


def test_few_errors_never_roll_back() -> None:
    """`minErrors`: one failure in a hundred is no reason, however improbable it is beside a faultless primary."""
    metric = {**RATE, "compare": {**COMPARE, "minErrors": 1000}}
    world = compared(WORSE, metrics=(metric,)).until(Phase.SUCCEEDED)
    assert comparison.shown(state(world)) > 100


def test_several_metrics_share_alpha() -> None:
    """The event names the one with the most evidence."""
    world = compared(SAME, metrics=(RATE, SPEED))
    world.traffic["request-duration"] = [WORSE]
    world.until(Phase.FAILED)
    text = next(text for text in world.texts if text.startswith("Rolling back"))
    assert "request-duration is worse" in text and "requests took over 500ms" in text


def test_a_dry_run_does_not_decide() -> None:
    """It is shown, and the release continues."""
    world = compared(WORSE, metrics=({**RATE, "dryRun": True},)).until(Phase.SUCCEEDED)
    assert comparison.shown(state(world)) > 100


# Without data -------------------------------------------------------------------------------------------------------


NO_REQUESTS = "the canary or the primary had no requests"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (QUIET, NO_REQUESTS),
        ((0, 100, 0, 0), NO_REQUESTS),
        (NoData(), "no values found"),
        (QueryFailed(Problem(Fault.PROVIDER, "connection refused")), "connection refused"),
    ],
    ids=["no canary", "no primary", "no data", "error"],
)
def test_the_limits_judge_without_data(answer: Any, why: str) -> None:
    """From the first round on, until both sides have had requests. An event says so once, and why."""
    world = rounds(compared(answer, threshold=5), 3)
    assert world.status.failed_checks == 3
    (said,) = [text for text in world.texts if text.startswith("Not comparing request-success-rate with the primary")]
    assert said.endswith(f": {why}")


def test_a_short_silence_is_not_judged() -> None:
    """After a unit with requests, the limits judge again from the fifth unit without them."""
    world = rounds(compared(SAME, QUIET, threshold=10, maxWeight=90), 5)
    assert (world.status.failed_checks, state(world).blind) == (0, 4)
    assert rounds(world, 1).status.failed_checks == 1


def test_the_warm_up_is_left_out() -> None:
    """Nothing is counted, and the limits judge."""
    metric = {**RATE, "compare": {"warmUp": "15s"}}
    world = rounds(compared(WORSE, metrics=(metric,), value=100.0), 1)
    assert not [call for call in world.calls if call[1] == "compare"] and state(world).units == 0
    rounds(world, 1)
    assert state(world).units == 1


@pytest.mark.parametrize("analysis", [{"mirror": True}, {"maxWeight": 100, "stepWeight": 50}])
def test_no_comparison_without_a_split(analysis: dict[str, Any]) -> None:
    """Neither while requests are mirrored, nor at 100 %."""
    world = ready_world({**STEPS, "metrics": [RATE], **analysis}, provider="istio", capabilities=EVERYTHING)
    world.change("v1:r2").until(Phase.SUCCEEDED)
    asked_at = [call for call in world.calls if call[1] == "compare"]
    assert len(asked_at) == len([weight for weight in world.weights if 0 < weight < 100])


# People and crashes -------------------------------------------------------------------------------------------------


def test_a_new_revision_starts_anew() -> None:
    """Its evidence is its own."""
    world = rounds(compared(SAME), 2)
    assert state(world).units == 2
    rounds(world.change("v1:r3"), 2)
    assert state(world).units <= 1


def test_a_pause_may_hold_the_rollback() -> None:
    """`onFailure: hold` keeps the weight. After it, the next round rolls back."""
    world = rounds(compared(WORSE), 2)
    world.requests = [asked("1", action="pause", onFailure="hold")]
    rounds(world, 4)
    assert world.status.phase is Phase.PROGRESSING and comparison.shown(state(world)) > 100
    world.requests = [asked("2", action="resume")]
    world.until(Phase.FAILED)


def test_a_promotion_by_a_person_is_judged_by_it() -> None:
    """`promote` judges a round out of turn: evidence refuses it."""
    world = rounds(compared(WORSE), 2)
    world.requests = [asked("1", action="promote")]
    world.run(3)
    assert world.marked[-1][1] == "Refused" and "is worse than 1.25 times" in world.marked[-1][3]


def test_a_broken_state_starts_anew() -> None:
    """A status that another writer changed is no evidence."""
    world = rounds(compared(SAME), 1)
    broken = Comparison("request-success-rate", wealth=(float("inf"),))
    world.canary = world.canary.model_copy(update={"status": world.status.but(comparisons=(broken,))})
    rounds(world, 1)
    assert betting.sound(state(world))


def ends_all_the_same(moments: range) -> None:
    """A healthy release succeeds and a bad one fails, and no unit counts twice, killed after so many writes."""
    for traffic, end in ((SAME, Phase.SUCCEEDED), (WORSE, Phase.FAILED)):
        for at in moments:
            world = compared(traffic)
            world.kill_after = at
            world.until(end)
            assert state(world).canary.requests <= 100 * 6


def test_killed_after_some_writes() -> None:
    """One of sixteen."""
    ends_all_the_same(range(5, 40, 16))


@pytest.mark.long
def test_killed_after_every_write() -> None:
    """All of them."""
    ends_all_the_same(range(40))


def test_large_evidence_is_shown_short() -> None:
    """Beyond a billion, and below ten."""
    assert [odds(each) for each in (0.52, 34.4, 1234.0, 2e9)] == [
        "0.5:1",
        "34:1",
        "1,234:1",
        "over 1,000,000,000:1",
    ]
