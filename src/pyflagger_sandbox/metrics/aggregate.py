"""Aggregation operators: `sum by (code) (…)`, `topk(3, …)`, `quantile(0.9, …)` and the rest.

The evaluator calls it with an evaluated vector and parameter.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence

from .quantiles import quantile
from .syntax import Aggregate
from .values import NAME, NAN, Labels, QueryError, Sample, Value, labels_of, show_number, total


def _numbers(values: Sequence[float]) -> Sequence[float]:
    """The values that are not NaN; all values if all are NaN, so that the result is NaN."""
    return [value for value in values if value == value] or values


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return total(values) / len(values)


def variance(values: Sequence[float]) -> float:
    """The population variance."""
    if not all(map(math.isfinite, values)):
        return NAN
    middle = mean(values)
    return total([(value - middle) ** 2 for value in values]) / len(values)


REDUCERS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": total,
    "avg": mean,
    "min": lambda values: min(_numbers(values)),
    "max": lambda values: max(_numbers(values)),
    "count": lambda values: float(len(values)),
    "group": lambda values: 1.0,
    "stdvar": variance,
    "stddev": lambda values: math.sqrt(variance(values)),
}


def aggregate(node: Aggregate, samples: Sequence[Sample], param: Value | None) -> list[Sample]:
    """One sample for each group (topk and bottomk: the selected elements). Raises QueryError."""
    groups = _groups(node, samples)
    if node.op in REDUCERS:
        reduce = REDUCERS[node.op]
        return [Sample(key, reduce([s.value for s in group])) for key, group in groups.items()]
    if node.op == "count_values" and isinstance(param, str):
        return _count_values(param, groups)
    if node.op == "quantile" and isinstance(param, float):
        return [Sample(key, quantile(param, [s.value for s in group])) for key, group in groups.items()]
    if node.op in ("topk", "bottomk") and isinstance(param, float):
        return _extremes(node.op == "topk", param, groups)
    raise QueryError("bad_data", f"aggregation {node.op!r} is not supported by the embedded metrics store")


def _groups(node: Aggregate, samples: Sequence[Sample]) -> dict[Labels, list[Sample]]:
    dropped = node.labels | {NAME}
    groups: dict[Labels, list[Sample]] = {}
    for sample in samples:
        if node.without:
            key = tuple(pair for pair in sample.labels if pair[0] not in dropped)
        else:
            key = tuple(pair for pair in sample.labels if pair[0] in node.labels) if node.labels else ()
        groups.setdefault(key, []).append(sample)
    return groups


def _extremes(largest: bool, param: float, groups: Mapping[Labels, list[Sample]]) -> list[Sample]:
    if not math.isfinite(param) or abs(param) >= 2**63:
        raise QueryError("execution", f"Scalar value {show_number(param)} overflows int64")
    sign = -1 if largest else 1
    result: list[Sample] = []
    for group in groups.values():
        order = ((s.value != s.value, sign * s.value if s.value == s.value else 0.0, i) for i, s in enumerate(group))
        result.extend(group[index] for _, _, index in heapq.nsmallest(max(0, int(param)), order))
    return result


def _count_values(label: str, groups: Mapping[Labels, list[Sample]]) -> list[Sample]:
    counts: dict[Labels, int] = {}
    for key, group in groups.items():
        for sample in group:
            labels = labels_of([*(pair for pair in key if pair[0] != label), (label, show_number(sample.value))])
            counts[labels] = counts.get(labels, 0) + 1
    return [Sample(labels, float(count)) for labels, count in counts.items()]
