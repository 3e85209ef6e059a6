"""Quantiles: of plain values, and of classic histogram buckets, with Prometheus's interpolation rules.

Pure arithmetic. The aggregations and the function table call it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from .values import NAME, NAN, Labels, Sample

_NOISE = 1e-12
"""A relative difference of adjacent buckets up to this is a rounding error of summed floats, not an observation."""


def edge(q: float) -> float | None:
    """The result for a quantile outside 0..1; None inside."""
    if math.isnan(q):
        return NAN
    if q < 0:
        return -math.inf
    return math.inf if q > 1 else None


def quantile(q: float, values: Sequence[float]) -> float:
    """The q-quantile, with linear interpolation. NaN sorts before all numbers."""
    outside = edge(q)
    if outside is not None or not values:
        return NAN if outside is None else outside
    ordered = sorted(values, key=lambda value: (value == value, value))
    rank = q * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(len(ordered) - 1, low + 1)
    weight = rank - low
    return ordered[low] * (1 - weight) + ordered[high] * weight


def histogram_quantile(q: float, buckets: Iterable[Sample]) -> list[Sample]:
    """One quantile for each group of `le` buckets. Ignores samples without a number in `le`."""
    groups: dict[Labels, dict[float, float]] = {}
    for labels, value in buckets:
        bound = _bound(labels)
        if bound is None:
            continue
        rest = tuple(pair for pair in labels if pair[0] not in ("le", NAME))
        counts = groups.setdefault(rest, {})
        counts[bound] = counts.get(bound, 0.0) + value
    return [Sample(labels, bucket_quantile(q, counts)) for labels, counts in groups.items()]


def bucket_quantile(q: float, counts: dict[float, float]) -> float:
    """The q-quantile of cumulative counts by upper bound; NaN without observations or without a `+Inf` bucket."""
    outside = edge(q)
    if outside is not None:
        return outside
    bounds = sorted(counts)
    if len(bounds) < 2 or bounds[-1] != math.inf:
        return NAN
    cumulative = _monotonic([counts[bound] for bound in bounds])
    observed = cumulative[-1]
    if observed == 0 or math.isnan(observed):
        return NAN
    rank = q * observed
    index = bisect_left(cumulative, rank, 0, len(cumulative) - 1)
    if index == len(bounds) - 1:
        return bounds[-2]
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    low, below = (bounds[index - 1], cumulative[index - 1]) if index else (0.0, 0.0)
    inside = cumulative[index] - below
    return low + (bounds[index] - low) * ((rank - below) / inside) if inside else NAN


def _bound(labels: Labels) -> float | None:
    text = next((value for name, value in labels if name == "le"), "")
    try:
        return float(text)
    except ValueError:
        return None


def _monotonic(counts: Sequence[float]) -> list[float]:
    """Cumulative counts that never decrease. Removes differences within the rounding error."""
    result = [counts[0]]
    for count in counts[1:]:
        previous = result[-1]
        noise = abs(count - previous) <= _NOISE * abs(count + previous)
        result.append(previous if noise or count < previous else count)
    return result
