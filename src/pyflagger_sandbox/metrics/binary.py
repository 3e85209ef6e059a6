"""Binary operators: arithmetic and comparison on numbers and vectors, and the set operators.

Vector matching (on, ignoring, group_left, group_right) and its error texts follow Prometheus. The evaluator calls it
with two evaluated sides.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping

from .syntax import Binary, Matching
from .values import NAME, NAN, Labels, QueryError, Sample, Value, Vector, show_labels, without_name


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return NAN if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _modulo(a: float, b: float) -> float:
    return NAN if b == 0 or math.isinf(a) else math.fmod(a, b)


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a == 0:
            return math.copysign(math.inf, a) if b % 2 == 1 else math.inf
        return NAN


ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _modulo,
    "^": _power,
    "atan2": math.atan2,
}
COMPARISON: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def binary(node: Binary, lhs: Value, rhs: Value) -> Value:
    """Evaluate an operator. Raises QueryError (execution) for an ambiguous match."""
    match lhs, rhs:
        case float(), float():
            return _scalars(node.op, lhs, rhs)
        case Vector(), float():
            return _with_scalar(node, lhs, lambda value: (value, rhs))
        case float(), Vector():
            return _with_scalar(node, rhs, lambda value: (lhs, value))
        case Vector(), Vector():
            if node.op in _SETS:
                return Vector(_SETS[node.op](lhs.samples, rhs.samples, node.matching))
            return Vector(_matched(node, lhs.samples, rhs.samples))
    raise QueryError("bad_data", "binary expression must contain only scalar and instant vector types")


def _scalars(op: str, a: float, b: float) -> float:
    return ARITHMETIC[op](a, b) if op in ARITHMETIC else float(COMPARISON[op](a, b))


def _with_scalar(node: Binary, vector: Vector, pair: Callable[[float], tuple[float, float]]) -> Vector:
    """Apply the operator to each element. A filtering comparison keeps the vector's element unchanged."""
    if node.op in ARITHMETIC:
        compute = ARITHMETIC[node.op]
        return Vector([Sample(without_name(labels), compute(*pair(value))) for labels, value in vector.samples])
    compare = COMPARISON[node.op]
    if node.as_bool:
        return Vector([Sample(without_name(labels), float(compare(*pair(v)))) for labels, v in vector.samples])
    return Vector([sample for sample in vector.samples if compare(*pair(sample.value))])


def _signature(labels: Labels, matching: Matching) -> Labels:
    if matching.on:
        return tuple(pair for pair in labels if pair[0] in matching.labels)
    return tuple(pair for pair in labels if pair[0] not in matching.labels and pair[0] != NAME)


def _matched(node: Binary, lhs: Iterable[Sample], rhs: Iterable[Sample]) -> list[Sample]:
    """Match element by element. With group_right, elements of the right side may share a match group."""
    matching = node.matching
    many, one = (rhs, lhs) if matching.many == "right" else (lhs, rhs)
    if not many or not one:
        return []
    partners = _unique(one, matching, side="left" if matching.many == "right" else "right")
    seen: set[Labels] = set()
    result = []
    for sample in many:
        signature = _signature(sample.labels, matching)
        partner = partners.get(signature)
        if partner is None:
            continue
        pair = (partner.value, sample.value) if matching.many == "right" else (sample.value, partner.value)
        value = _element(node, *pair)
        if value is None:
            continue
        labels = _result_labels(node, sample.labels, partner.labels)
        _claim(seen, labels if matching.many else signature, matching)
        result.append(Sample(labels, value))
    return result


def _element(node: Binary, a: float, b: float) -> float | None:
    if node.op in ARITHMETIC:
        return ARITHMETIC[node.op](a, b)
    holds = COMPARISON[node.op](a, b)
    if node.as_bool:
        return float(holds)
    return a if holds else None


def _unique(samples: Iterable[Sample], matching: Matching, *, side: str) -> dict[Labels, Sample]:
    found: dict[Labels, Sample] = {}
    for sample in samples:
        signature = _signature(sample.labels, matching)
        other = found.setdefault(signature, sample)
        if other is not sample:
            raise QueryError(
                "execution",
                f"found duplicate series for the match group {show_labels(signature)} on the {side} hand-side of the "
                f"operation: [{show_labels(sample.labels)}, {show_labels(other.labels)}];many-to-many matching not "
                "allowed: matching labels must be unique on one side",
            )
    return found


def _claim(seen: set[Labels], key: Labels, matching: Matching) -> None:
    if key in seen:
        advice = (
            "grouping labels must ensure unique matches"
            if matching.many
            else "many-to-one matching must be explicit (group_left/group_right)"
        )
        raise QueryError("execution", f"multiple matches for labels: {advice}")
    seen.add(key)


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    matching = node.matching
    labels = without_name(many) if node.op in ARITHMETIC or node.as_bool else many
    if not matching.many:
        return tuple(pair for pair in labels if (pair[0] in matching.labels) == matching.on)
    if not matching.include:
        return labels
    kept = {name: value for name, value in labels if name not in matching.include}
    kept.update((name, value) for name, value in one if name in matching.include)
    return tuple(sorted(kept.items()))


def _and(lhs: Iterable[Sample], rhs: Iterable[Sample], matching: Matching) -> list[Sample]:
    right = {_signature(sample.labels, matching) for sample in rhs}
    return [sample for sample in lhs if _signature(sample.labels, matching) in right]


def _or(lhs: Iterable[Sample], rhs: Iterable[Sample], matching: Matching) -> list[Sample]:
    left = {_signature(sample.labels, matching) for sample in lhs}
    return [*lhs, *(sample for sample in rhs if _signature(sample.labels, matching) not in left)]


def _unless(lhs: Iterable[Sample], rhs: Iterable[Sample], matching: Matching) -> list[Sample]:
    right = {_signature(sample.labels, matching) for sample in rhs}
    return [sample for sample in lhs if _signature(sample.labels, matching) not in right]


_SETS: Mapping[str, Callable[[Iterable[Sample], Iterable[Sample], Matching], list[Sample]]] = {
    "and": _and,
    "or": _or,
    "unless": _unless,
}
