"""Whether a metric's value passes, and the text if it fails.

Compares values without rounding, with inclusive bounds. Only a finite number can pass. Missing data, a failed query and
a bad value have three different texts. Called by `analysis`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyflagger.api.canary import Analysis, Canary, Metric
from pyflagger.api.durations import show
from pyflagger.api.facts import Fault
from pyflagger.core import reasons
from pyflagger.core.decision import Reason
from pyflagger.core.situation import CheckMetric, NoData, QueryFailed, Result, Value

SUCCESS_RATE = "request-success-rate"
DURATION = "request-duration"
UNITS: Mapping[str, str] = {SUCCESS_RATE: "%", DURATION: "ms"}
"""The units of the built-in metrics."""
BUILTIN = frozenset({SUCCESS_RATE, DURATION})

Source: TypeAlias = Literal["builtin", "query", "template"]

NO_DATA, FEW_SAMPLES = "no-data", "few-samples"
FEW_TODO = "Send more traffic to the canary, lengthen the metric's interval, or lower minSamples."
BAD_TODO = "Fix the new version, or correct the metric's thresholds."
UNUSABLE = "Metric query failed for no usable metrics template and query were configured"

# Texts that begin so are complete: they are not about the query.
WHOLE = ("Metric template ", "Error building ", "Error fetching ")


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a round. `need` is None if the metric has nothing to check."""

    metric: Metric
    need: CheckMetric | None

    @property
    def key(self) -> tuple[int, str]:
        """Index and source: the key of the check in the memory."""
        return (-1, "") if self.need is None else (self.need.index, self.need.source)


def checks(analysis: Analysis) -> Iterator[Check]:
    """All checks of a round, in order: built-in and in-line queries first, then templates."""
    for at, metric in enumerate(analysis.metrics):
        if metric.name in BUILTIN:
            yield Check(metric, CheckMetric(at, "builtin"))
        if metric.query:
            yield Check(metric, CheckMetric(at, "query"))
    for at, metric in enumerate(analysis.metrics):
        if metric.template_ref is not None:
            yield Check(metric, CheckMetric(at, "template"))
        elif metric.name not in BUILTIN and not metric.query:
            yield Check(metric, None)


def unusable() -> Reason:
    """A metric has nothing to check."""
    return Reason("metric-unusable", UNUSABLE, "Give the metric a templateRef or a query.", Fault.MANIFEST)


def judge(canary: Canary, provider: str, metric: Metric, source: Source, result: Result) -> Reason | None:
    """Why a check fails; None if it passes. `provider` selects the dialect of the built-in queries."""
    if isinstance(result, QueryFailed):
        problem = result.problem
        todo = problem.todo or (reasons.PROVIDER_TODO if problem.fault is Fault.PROVIDER else "")
        return Reason("metric-error", _failure(metric, source, problem.text), todo, problem.fault)
    if isinstance(result, Value) and result.samples is not None and result.samples < metric.min_samples:
        return _few(canary, metric, result.samples)
    if isinstance(result, Value) and math.isfinite(result.value):
        return _bounds(canary, metric, source, result.value)
    if isinstance(result, Value):
        result = NoData(f"value is not finite: {result.value}")
    if not isinstance(result, NoData):
        return Reason("metric-error", _failure(metric, source, "no value"), "", Fault.US)
    return Reason(NO_DATA, _silence(canary, provider, metric, source, result.text), result.cause, Fault.PROVIDER)


def lacks_data(reason: Reason) -> bool:
    """Whether a check fails for lack of data, rather than for its value or an error."""
    return reason.code in (NO_DATA, FEW_SAMPLES)


def measured(metric: Metric, source: Source, result: Result) -> str:
    """A result in words: its value in its unit, `no values`, or `query failed`."""
    if isinstance(result, NoData):
        return "no values"
    if not isinstance(result, Value):
        return "query failed"
    if not math.isfinite(result.value) or source != "builtin":
        return f"{result.value:.2f}"
    return f"{result.value:.2f}%" if metric.name == SUCCESS_RATE else show(result.value / 1000)


def _few(canary: Canary, metric: Metric, samples: float) -> Reason:
    text = f"{metric.name} has {shortest(round(samples, 1))} samples, minSamples is {metric.min_samples}"
    return Reason(FEW_SAMPLES, f"Halt {reasons.whose(canary)} advancement {text}", FEW_TODO, Fault.PROVIDER)


def _failure(metric: Metric, source: Source, text: str) -> str:
    if text.startswith(WHOLE):
        return text
    if source == "builtin":
        return f"Prometheus query failed: {text}"
    return f"{'Prometheus' if source == 'query' else 'Metric'} query failed for {metric.name}: {text}"


def _silence(canary: Canary, provider: str, metric: Metric, source: Source, error: str) -> str:
    if source == "query":
        return f"Halt advancement no values found for metric: {metric.name}"
    if source == "template":
        return f"Halt advancement no values found for custom metric: {metric.name}: {error}"
    text = (
        f"Halt advancement no values found for {provider} metric {metric.name}"
        f" probably {reasons.target(canary)} is not receiving traffic"
    )
    return f"{text}: {error}" if metric.name == SUCCESS_RATE else text


def _bounds(canary: Canary, metric: Metric, source: Source, value: float) -> Reason | None:
    low, high = accepted(metric, source)
    for bound, sign, outside in ((low, "<", operator.lt), (high, ">", operator.gt)):
        if bound is not None and outside(value, bound):
            text = _shown(metric, source, value, sign, bound, outside)
            return Reason("metric-bad", f"Halt {reasons.whose(canary)} advancement {text}", BAD_TODO)
    return None


def passes(metric: Metric, source: Source, value: float) -> bool:
    """Whether a value is within the accepted range."""
    low, high = accepted(metric, source)
    return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def accepted(metric: Metric, source: Source) -> tuple[float | None, float | None]:
    """The accepted range. The older `threshold` is a minimum for the success rate and a maximum for other metrics."""
    if metric.threshold_range is not None:
        return metric.threshold_range.min, metric.threshold_range.max
    if source == "builtin" and metric.name == SUCCESS_RATE:
        return metric.threshold, None
    return None, metric.threshold


def _shown(
    metric: Metric, source: Source, value: float, sign: str, bound: float, outside: Callable[[float, float], bool]
) -> str:
    """The metric, its value and the bound. Shows whole milliseconds if they are as exact as the value."""
    if source != "builtin":
        return f"{metric.name} {value:.2f} {sign} {shortest(bound)}"
    if metric.name == SUCCESS_RATE:
        return f"success rate {value:.2f}% {sign} {shortest(bound)}%"
    whole = float(int(value))
    told = whole if outside(whole, bound) else value
    return f"request duration {show(told / 1000)} {sign} {show(bound / 1000)}"


def shortest(value: float) -> str:
    """The shortest form of a number: `99`, `0.5`."""
    return repr(value).removesuffix(".0")
