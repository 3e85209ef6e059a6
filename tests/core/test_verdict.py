"""Whether a value passes, and the exact text when it does not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.world import canary
from pyflagger.api.canary import Metric
from pyflagger.api.facts import Fault, Problem
from pyflagger.core.situation import CheckMetric, NoData, Passed, QueryFailed, Result, Value
from pyflagger.core.verdict import Source, checks, judge, passes, shortest

HALT = "Halt shop.test advancement"
NO_VALUES = "Halt advancement no values found for"


def verdict(metric: dict[str, Any], source: Source, result: Result) -> str | None:
    """The text of a failed check of canary `shop` in `test`, whose target is `web`."""
    reason = judge(canary(), "nginx", Metric.model_validate(metric), source, result)
    return reason and reason.text


RATE, SPEED = "request-success-rate", "request-duration"

BOUNDS = [
    (RATE, "builtin", {"min": 99}, 98.694, f"{HALT} success rate 98.69% < 99%"),
    (RATE, "builtin", {"min": 99.5}, 99.4999, f"{HALT} success rate 99.50% < 99.5%"),
    (RATE, "builtin", {"max": 99}, 99.5, f"{HALT} success rate 99.50% > 99%"),
    (RATE, "builtin", {"min": 99}, 99, None),
    (SPEED, "builtin", {"max": 500}, 1515, f"{HALT} request duration 1.515s > 500ms"),
    (SPEED, "builtin", {"min": 5}, 1.5, f"{HALT} request duration 1ms < 5ms"),
    (SPEED, "builtin", {"max": 500}, 500, None),
    (SPEED, "builtin", {"max": 500}, 1515.4, f"{HALT} request duration 1.515s > 500ms"),
    (SPEED, "builtin", {"max": 500}, 500.25, f"{HALT} request duration 500.25ms > 500ms"),
    (SPEED, "builtin", {"max": 0.5}, 0.75, f"{HALT} request duration 750µs > 500µs"),
    (SPEED, "builtin", {"max": 0.5}, 0.25, None),
    ("lag", "query", {"max": 5}, 7.126, f"{HALT} lag 7.13 > 5"),
    ("lag", "query", {"min": 0.5}, 0.25, f"{HALT} lag 0.25 < 0.5"),
    ("lag", "template", {"min": 1, "max": 5}, 5, None),
    ("lag", "template", {}, 1e9, None),
    (RATE, "template", {"min": 99}, 98.694, f"{HALT} {RATE} 98.69 < 99"),
]


@pytest.mark.parametrize(("name", "source", "bounds", "value", "text"), BOUNDS)
def test_ranges(name: str, source: Source, bounds: dict[str, float], value: float, text: str | None) -> None:
    """Bounds are inclusive, fractions count, and an empty range accepts everything."""
    assert verdict({"name": name, "thresholdRange": bounds}, source, Value(value)) == text


THRESHOLDS = [
    (RATE, "builtin", 99, 98.0, f"{HALT} success rate 98.00% < 99%"),
    (RATE, "builtin", 99, 99.5, None),
    (RATE, "builtin", 0, 0.0, None),
    (SPEED, "builtin", 500, 501, f"{HALT} request duration 501ms > 500ms"),
    (SPEED, "builtin", 0, 1, f"{HALT} request duration 1ms > 0s"),
    ("lag", "query", 5, 6, f"{HALT} lag 6.00 > 5"),
    ("lag", "template", 0, 0, None),
    ("saturation", "query", 5, 6, f"{HALT} saturation 6.00 > 5"),
    ("saturation", "template", 5, 4, None),
    (RATE, "query", 5, 6, f"{HALT} {RATE} 6.00 > 5"),
]


@pytest.mark.parametrize(("name", "source", "threshold", "value", "text"), THRESHOLDS)
def test_the_older_single_threshold(
    name: str, source: Source, threshold: float, value: float, text: str | None
) -> None:
    """A minimum for the success rate, a maximum for everything else."""
    assert verdict({"name": name, "threshold": threshold}, source, Value(value)) == text


def test_a_range_wins_over_a_threshold() -> None:
    """Both given."""
    assert verdict({"name": "lag", "threshold": 1, "thresholdRange": {"max": 5}}, "query", Value(3)) is None


SILENT = [
    (RATE, "builtin", f"{NO_VALUES} nginx metric {RATE} probably web.test is not receiving traffic: why"),
    (SPEED, "builtin", f"{NO_VALUES} nginx metric {SPEED} probably web.test is not receiving traffic"),
    ("lag", "query", f"{NO_VALUES} metric: lag"),
    ("lag", "template", f"{NO_VALUES} custom metric: lag: why"),
]


@pytest.mark.parametrize(("name", "source", "text"), SILENT)
def test_no_data(name: str, source: Source, text: str) -> None:
    """Never passes, and says whose silence it is."""
    assert verdict({"name": name}, source, NoData("why", "nobody calls it")) == text


@pytest.mark.parametrize(
    ("source", "said", "text"),
    [
        ("builtin", "running query failed: x", "Prometheus query failed: running query failed: x"),
        ("query", "x", "Prometheus query failed for lag: x"),
        ("template", "x", "Metric query failed for lag: x"),
        ("template", "Metric template t.n error: x", "Metric template t.n error: x"),
        ("builtin", "Error building Prometheus client for u x", "Error building Prometheus client for u x"),
    ],
)
def test_failed_queries(source: Source, said: str, text: str) -> None:
    """A prefix by source, but for texts that are about something else than the query."""
    name = RATE if source == "builtin" else "lag"
    problem = Problem(Fault.PROVIDER, said, "look there")
    reason = judge(canary(), "nginx", Metric(name=name), source, QueryFailed(problem))
    assert reason is not None and (reason.text, reason.todo, reason.fault) == (text, "look there", Fault.PROVIDER)


def test_a_result_that_is_none_of_a_metric_never_passes() -> None:
    """A bug elsewhere is not a good value."""
    assert verdict({"name": "lag"}, "query", Passed()) == "Prometheus query failed for lag: no value"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bounds", [{}, {"min": 0}, {"max": 0}])
@pytest.mark.parametrize("source", ["builtin", "query", "template"])
def test_what_is_no_number_never_passes(value: float, bounds: dict[str, float], source: Source) -> None:
    """Whatever the range."""
    assert verdict({"name": RATE, "thresholdRange": bounds}, source, Value(value)) is not None


@given(
    st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
)
def test_a_value_passes_if_and_only_if_it_is_within(value: float, bound: float, upper: bool) -> None:
    """For all finite numbers and both kinds of bound."""
    metric = {"name": "x", "thresholdRange": {"max" if upper else "min": bound}}
    within = value <= bound if upper else value >= bound
    assert (verdict(metric, "query", Value(value)) is None) is within


@pytest.mark.parametrize(
    ("number", "text"),
    [(99.0, "99"), (0.5, "0.5"), (-3.0, "-3"), (1e15, "1000000000000000"), (1e22, "1e+22"), (1e-7, "1e-07")],
)
def test_numbers_as_short_as_can_be(number: float, text: str) -> None:
    """Every digit that counts, and no point without a reason."""
    assert shortest(number) == text


def test_the_order_of_checks() -> None:
    """Built-ins and in-line queries in list order, then templates; one entry may be several, or nothing usable."""
    template = {"name": "t"}
    analysis = canary(
        {
            "metrics": [
                {"name": RATE, "templateRef": template},
                {"name": "nothing"},
                {"name": SPEED, "query": "q"},
                {"name": "lag", "query": "q", "templateRef": template},
            ]
        }
    ).spec.analysis
    assert analysis is not None
    assert [check.need for check in checks(analysis)] == [
        CheckMetric(0, "builtin"),
        CheckMetric(2, "builtin"),
        CheckMetric(2, "query"),
        CheckMetric(3, "query"),
        CheckMetric(0, "template"),
        None,
        CheckMetric(3, "template"),
    ]


@pytest.mark.parametrize("fault", Fault)
def test_only_a_provider_without_advice_gets_the_usual_one(fault: Fault) -> None:
    """The advice to look at the metrics server would mislead for any other fault."""
    result = QueryFailed(Problem(fault, "no"))
    reason = judge(canary(), "nginx", Metric.model_validate({"name": RATE}), "builtin", result)
    assert reason is not None
    assert reason.fault is fault
    assert bool(reason.todo) is (fault is Fault.PROVIDER)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(99.0, True), (98.9, False), (math.nan, False), (math.inf, False), (100.0, True), (101.0, False)],
)
def test_values_that_pass(value: float, expected: bool) -> None:
    """Both bounds count, and what is no number never passes."""
    metric = Metric.model_validate({"name": "request-success-rate", "thresholdRange": {"min": 99, "max": 100}})
    assert passes(metric, "builtin", value) is expected
