"""Values that the API leaves to the operator: what a missing or unusable field means."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pyflagger.api import durations
from pyflagger.api.canary import Analysis, Canary

INTERVAL_SECONDS = 60.0
INTERVAL_SECONDS_MIN = 10.0
KUBERNETES_ITERATIONS = 10
SETTLE_SECONDS = 3.0
"""What EndpointSlices and proxies have to learn where new pods are. The controller of EndpointSlices alone may take a
second more than that of Deployments, and times of the API are cut to seconds."""
SEEN_SETTLE_SECONDS = SETTLE_SECONDS - 1
"""The same from when flagger saw that the pods are available: a time of its own is not cut to seconds."""
HEARD_SECONDS = 2.0
"""What proxies have to hear of a route before pods that it does not lead to any more may go. Measured: 0.2 to 1.1 s."""

Strategy: TypeAlias = Literal["canary", "ab-testing", "blue-green"]


def interval(canary: Canary, floor: float = INTERVAL_SECONDS_MIN) -> float:
    """Seconds between judging rounds: 60 when missing or unreadable, never under the floor."""
    text = canary.spec.analysis.interval if canary.spec.analysis else ""
    try:
        return max(durations.parse(text), floor)
    except ValueError:
        return max(INTERVAL_SECONDS, floor)


def threshold(canary: Canary) -> int:
    """Failed checks that end a run; at least 1."""
    return max(canary.spec.analysis.threshold, 1) if canary.spec.analysis else 1


def strategy(canary: Canary) -> Strategy:
    """Which kind of release this is."""
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
    """Whether the release is promoted without analysis."""
    return canary.spec.skip_analysis or canary.spec.analysis is None


def deadline(canary: Canary) -> int:
    """Seconds that a workload may go without progress."""
    return canary.spec.progress_deadline_seconds
