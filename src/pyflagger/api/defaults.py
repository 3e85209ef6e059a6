"""The defaults that the operator uses for a missing or unusable field.

It imports the models for type checkers only: `flagger list` uses the constants and has no time to import the models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pyflagger.api import durations

if TYPE_CHECKING:
    from pyflagger.api.canary import Analysis, Canary

INTERVAL_SECONDS = 60.0
INTERVAL_SECONDS_MIN = 10.0
KUBERNETES_ITERATIONS = 10
SETTLE_SECONDS = 3.0
"""How long EndpointSlices and proxies may take to pick up new pods. The EndpointSlice controller alone may be a second
behind the Deployment controller, and the API truncates times to seconds."""
SEEN_SETTLE_SECONDS = SETTLE_SECONDS - 1
"""The same, from the time at which flagger saw that the pods are available. That time is not truncated."""
HEARD_SECONDS = 2.0
"""How long proxies may take to pick up a route before pods that it left can be removed. Measured: 0.2 to 1.1 s."""

Strategy: TypeAlias = Literal["canary", "ab-testing", "blue-green"]


def interval(canary: Canary, floor: float = INTERVAL_SECONDS_MIN) -> float:
    """Seconds between rounds: 60 if missing or unreadable, and at least `floor`."""
    text = canary.spec.analysis.interval if canary.spec.analysis else ""
    try:
        return max(durations.parse(text), floor)
    except ValueError:
        return max(INTERVAL_SECONDS, floor)


def threshold(canary: Canary) -> int:
    """The number of failed checks that ends a run, at least 1."""
    return max(canary.spec.analysis.threshold, 1) if canary.spec.analysis else 1


def strategy(canary: Canary) -> Strategy:
    """The kind of release that the analysis describes."""
    analysis = canary.spec.analysis
    if analysis is None or analysis.iterations <= 0:
        return "canary"
    return "ab-testing" if analysis.match else "blue-green"


def max_weight(analysis: Analysis) -> int:
    """The weight at which promotion starts, in percent."""
    if analysis.step_weights and not analysis.step_weight:
        return min(100, analysis.step_weights[-1])
    return analysis.max_weight if analysis.max_weight > 0 else 100


def skip(canary: Canary) -> bool:
    """Whether flagger promotes the release without analysis."""
    return canary.spec.skip_analysis or canary.spec.analysis is None


def deadline(canary: Canary) -> int:
    """Seconds that a workload may take without making progress."""
    return canary.spec.progress_deadline_seconds
