"""What the policy of a metric does to a round: no data, few samples, errors, dry runs, delays, and the count."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.world import World, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.facts import Fault, Problem
from pyflagger.core.policy import RESULTS_MAX
from pyflagger.core.situation import CheckMetric, NoData, QueryFailed, Value

STEPS = {"stepWeight": 20, "maxWeight": 40, "threshold": 2}
LAG = {"name": "lag", "query": "q", "thresholdRange": {"max": 5}}
RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
SPEED = {"name": "request-duration", "thresholdRange": {"max": 500}}
SILENT, DOWN = NoData(cause="Send traffic."), QueryFailed(Problem(Fault.PROVIDER, "connection refused"))
WRONG = QueryFailed(Problem(Fault.MANIFEST, "Metric template lag.test error: gone"))


def judged(*answers: Any, analysis: dict[str, Any] | None = None, **policy: Any) -> World:
    """A release just before its first round with traffic, whose metric `lag` answers this, the last repeated."""
    whole = {**STEPS, "metrics": [{**LAG, **policy}], **(analysis or {})}
    return ready_world(whole, metrics={"lag": list(answers)}).change("v1:r2").run(9)


def rounds(world: World, many: int) -> World:
    """The world some rounds later."""
    return world.run(many * world.interval)


def halted(world: World) -> str:
    """The message of the condition."""
    return next((each.message for each in world.status.conditions if each.type == "Halted"), "")


# No data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [{}, {"noData": "fail"}, {"noData": ""}, {"errorLimit": 5}, {"initialDelay": "1s"}])
def test_no_data_fails(policy: dict[str, Any]) -> None:
    """Without `noData`, as in Flagger."""
    world = rounds(judged(SILENT, **policy), 1)
    assert world.status.failed_checks == 1
    assert world.texts[-1] == "Halt advancement no values found for metric: lag"


def test_waiting_for_data_holds_and_goes_on() -> None:
    """It counts nothing, says until when once, and the release continues with the first value."""
    world = rounds(judged(SILENT, SILENT, SILENT, 1, noData="wait"), 3)
    assert (world.status.failed_checks, world.weights) == (0, [20])
    said = [text for text in world.texts if text.startswith("Waiting for data until ")]
    assert len(said) == 1 and said[0].endswith(", then the check fails: no values found for metric: lag")
    assert said[0] in halted(world) and "Send traffic." in halted(world)
    assert world.status.results == "lag no values: waiting"
    rounds(world, 1)
    assert world.weights == [20, 40] and halted(world) == "" and world.memory.lapses == {}


@pytest.mark.parametrize(("policy", "held"), [({"noDataAfter": "25s"}, 3), ({}, 10)])
def test_waiting_for_data_ends(policy: dict[str, Any], held: int) -> None:
    """After `noDataAfter`, or ten intervals, it is one failed check, and the time starts again."""
    world = rounds(judged(SILENT, noData="wait", **policy), held)
    assert world.status.failed_checks == 0
    assert rounds(world, 1).status.failed_checks == 1
    assert rounds(world, held).status.failed_checks == 1
    assert rounds(world, 1).status.phase is Phase.FAILED


def test_a_value_ends_the_silence() -> None:
    """Only rounds in a row count."""
    world = rounds(judged(SILENT, SILENT, 1, SILENT, noData="wait", noDataAfter="25s", analysis={"maxWeight": 100}), 6)
    assert world.status.failed_checks == 0


def test_no_data_passes_at_once() -> None:
    """Without a time; the event says so once."""
    world = judged(SILENT, noData="pass").until(Phase.SUCCEEDED)
    text = "Metric lag passes without data, because noData is pass: no values found for metric: lag"
    assert world.texts.count(text) == 1


def test_no_data_passes_after_a_time() -> None:
    """It holds the step first, and once for all steps."""
    world = rounds(judged(SILENT, noData="pass", noDataAfter="15s"), 2)
    assert (world.status.failed_checks, world.weights) == (0, [20])
    assert any("then the check passes" in text for text in world.texts)
    assert rounds(world, 1).weights == [20, 40]


def test_a_restart_starts_the_time_again() -> None:
    """It is not stored. The wait is longer, and never shorter."""
    world = rounds(judged(SILENT, noData="wait", noDataAfter="25s"), 3)
    world.restart()
    assert rounds(world, 3).status.failed_checks == 0


# Samples ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "failed"), [(99.9, 1), (100, 0), (None, 0)])
def test_too_few_samples_are_no_data(samples: float | None, failed: int) -> None:
    """A good value of them fails as well; exactly the minimum is enough."""
    world = rounds(judged(Value(1, samples), minSamples=100, samplesQuery="n"), 1)
    assert world.status.failed_checks == failed
    told = "Halt shop.test advancement lag has 99.9 samples, minSamples is 100"
    assert (told in world.texts) == (failed == 1)


def test_a_bad_value_of_few_samples_waits() -> None:
    """With `noData: wait`, until there are more."""
    world = judged(Value(9, 3), Value(1, 300), minSamples=100, samplesQuery="n", noData="wait")
    assert rounds(world, 1).status.failed_checks == 0
    assert rounds(world, 1).weights == [20, 40]


# Errors -------------------------------------------------------------------------------------------------------------


def test_errors_up_to_the_limit_hold() -> None:
    """The next one in a row is a failed check, and the count starts again."""
    world = rounds(judged(DOWN, errorLimit=2), 2)
    assert (world.status.failed_checks, world.weights) == (0, [20])
    assert "query failed for lag: connection refused (error 2 in a row" in world.texts[-1]
    assert "before error 3" in world.texts[-1]
    assert rounds(world, 1).status.failed_checks == 1
    assert rounds(world, 2).status.failed_checks == 1
    assert rounds(world, 1).status.phase is Phase.FAILED


def test_only_errors_in_a_row_count() -> None:
    """A value sets the count to 0."""
    world = rounds(judged(DOWN, 1, DOWN, 1, DOWN, errorLimit=1, analysis={"maxWeight": 100}), 5)
    assert world.status.failed_checks == 0


def test_a_wrong_manifest_is_no_error_of_the_provider() -> None:
    """It fails, because waiting corrects nothing."""
    assert rounds(judged(WRONG, errorLimit=5), 1).status.failed_checks == 1


# Dry runs, delays ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [9, SILENT, DOWN])
def test_a_dry_run_never_decides(answer: Any) -> None:
    """It is asked for, judged and shown."""
    world = judged(answer, dryRun=True).until(Phase.SUCCEEDED)
    assert any(text.startswith("Dry run of metric lag, which does not decide: ") for text in world.texts)
    assert not any(text.startswith("Halt") for text in world.texts)


def test_a_dry_run_does_not_hold() -> None:
    """Whatever its other policies say."""
    assert rounds(judged(SILENT, dryRun=True, noData="wait"), 1).weights == [20, 40]


def test_a_metric_with_a_delay_is_not_asked_for() -> None:
    """Before the run is old enough; then it decides."""
    world = judged(9, initialDelay="30s", analysis={"maxWeight": 100})
    rounds(world, 2)
    assert [name for name, *_ in world.calls] == [] and world.status.results == "lag: not due"
    assert rounds(world, 1).status.failed_checks == 1


def test_the_last_round_of_a_blue_green_release_is_judged() -> None:
    """The switch of traffic after an approval does not start the delay again."""
    gate = {"name": "go", "type": "confirm-promotion", "url": "http://go"}
    analysis = {"iterations": 1, "threshold": 2, "metrics": [{**LAG, "initialDelay": "30s"}], "webhooks": [gate]}
    world = ready_world(analysis, metrics={"lag": 9}, hooks={"go": ["no", "no", "no", "no", True]})
    world.change("v1:r2").run(200)
    assert world.status.phase is Phase.FAILED


# The count ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("counting", "phase"), [("consecutive", Phase.SUCCEEDED), ("cumulative", Phase.FAILED)])
def test_failures_in_a_row(counting: str, phase: Phase) -> None:
    """A passed round sets the count to 0."""
    analysis = {"counting": counting, "stepWeight": 10, "maxWeight": 30}
    world = judged(9, 1, 9, 1, 9, 1, analysis=analysis)
    assert world.run(200).status.phase is phase


def test_a_passed_round_at_a_closed_gate_counts_as_well() -> None:
    """It writes nothing else."""
    gate = {"name": "go", "type": "confirm-traffic-increase", "url": "http://go"}
    world = judged(9, 1, analysis={"counting": "consecutive", "webhooks": [gate]})
    assert rounds(world, 1).status.failed_checks == 1
    world.hooks["go"] = "no"
    assert rounds(world, 1).status.failed_checks == 0


# All results --------------------------------------------------------------------------------------------------------


def test_all_metrics_are_asked_for_at_once_and_shown() -> None:
    """The first that fails is the event, as in Flagger. The status has the results of all."""
    metrics = [RATE, SPEED, {**LAG, "dryRun": True}]
    answers = {RATE["name"]: Value(98.694), SPEED["name"]: DOWN, "lag": 7}
    world = ready_world({**STEPS, "metrics": metrics}, metrics=answers).change("v1:r2").run(9)
    world.now += world.interval
    assert world.decide().together == (
        CheckMetric(0, "builtin"),
        CheckMetric(1, "builtin"),
        CheckMetric(2, "query"),
    )
    rounds(world, 0)
    world.run(1)
    assert world.status.failed_checks == 1
    assert [text for text in world.texts if "Halt" in text] == ["Halt shop.test advancement success rate 98.69% < 99%"]
    assert world.status.results == (
        "request-success-rate 98.69%: failed; request-duration query failed: failed; lag 7.00: failed (dry run)"
    )


def test_results_are_bounded() -> None:
    """However many metrics there are."""
    metrics = [{**LAG, "name": f"lag-{at}-{'x' * 60}"} for at in range(100)]
    world = ready_world({**STEPS, "metrics": metrics}).change("v1:r2").run(20)
    assert len(world.status.results) == RESULTS_MAX


POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "noData": st.sampled_from(["fail", "wait", "pass"]),
        "noDataAfter": st.sampled_from(["0s", "5s", "25s"]),
        "errorLimit": st.integers(0, 2),
        "minSamples": st.sampled_from([0, 10]),
        "dryRun": st.booleans(),
        "initialDelay": st.sampled_from(["0s", "15s", "10m"]),
    },
)
ANSWERS = st.lists(
    st.sampled_from([Value(1), Value(9), Value(1, 3), Value(1, 30), SILENT, DOWN, WRONG]), min_size=1, max_size=6
)


@given(policy=POLICIES, answers=ANSWERS, counting=st.sampled_from(["cumulative", "consecutive"]))
@settings(max_examples=60, deadline=None)
def test_a_policy_only_adds_patience(policy: dict[str, Any], answers: list[Any], counting: str) -> None:
    """With a policy a run never has more failed checks than without one, and ends for every answer that ends it."""
    with_policy = judged(*answers, 1, analysis={"counting": counting}, **policy)
    without = judged(*answers, 1, minSamples=policy.get("minSamples", 0))
    for _ in range(8):
        assert rounds(with_policy, 1).status.failed_checks <= rounds(without, 1).status.failed_checks or (
            without.status.phase is not Phase.PROGRESSING
        )
    assert with_policy.run(400).status.phase is not Phase.PROGRESSING
