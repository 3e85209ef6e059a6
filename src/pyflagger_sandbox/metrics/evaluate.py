"""Evaluates one expression at one instant.

It walks the typed tree, reads the store, and applies the tables of functions, aggregations and operators. The engine
calls it once for an instant query, and once for each step of a range query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from .aggregate import aggregate
from .binary import binary
from .functions import CALENDAR, KEEP_NAME, MAPS, OVER, VECTORS, over_time
from .store import Series, Store
from .syntax import Aggregate, At, Binary, Call, Matcher, Negate, Node, Number, Range, Selector, Subquery, Text
from .values import NAME, Labels, Matrix, QueryError, Sample, Value, Vector, Window, labels_of, without_name

V = TypeVar("V", float, Vector, Matrix)


STEP_COST = 10
"""The cost of one step of a subquery, in samples: a step takes time even if it finds none."""


class Budget:
    """The number of samples that a query may still read."""

    def __init__(self, samples: int) -> None:
        self._left = samples

    def spend(self, samples: int) -> None:
        """Count samples. Raises QueryError (execution) when the query reads too many."""
        self._left -= samples
        if self._left < 0:
            raise QueryError("execution", "query processing would load too many samples into memory in query execution")


@dataclass(frozen=True, slots=True)
class Moment:
    """The instant and its context. Times are in milliseconds. `start` and `end` belong to the range query."""

    store: Store
    at: int
    start: int
    end: int
    lookback: int
    resolution: int
    budget: Budget
    found: dict[Selector, list[Series]] = field(default_factory=dict)

    def value(self, node: Node) -> Value:
        """The value of an expression at this instant. Raises QueryError."""
        match node:
            case Number() | Text():
                return node.value
            case Selector():
                return Vector([Sample(labels, value) for labels, _, value in self._latest(node)])
            case Range():
                return self._range(node)
            case Subquery():
                return self._subquery(node)
            case Negate():
                return self._negate(self.value(node.expr))
            case Binary():
                result = binary(node, self.value(node.lhs), self.value(node.rhs))
                return _distinct(result) if isinstance(result, Vector) else result
            case Aggregate():
                param = None if node.param is None else self.value(node.param)
                return Vector(aggregate(node, _expect(self.value(node.expr), Vector).samples, param))
            case Call():
                return self._call(node)

    def _reference(self, offset: int, at: At) -> int:
        base = {"start": self.start, "end": self.end}[at] if isinstance(at, str) else at
        return (self.at if base is None else base) - offset

    def _select(self, selector: Selector) -> list[Series]:
        if selector not in self.found:
            self.found[selector] = select(self.store, selector.matchers)
        return self.found[selector]

    def _latest(self, node: Selector) -> list[tuple[Labels, int, float]]:
        at = self._reference(node.offset, node.at)
        result = []
        for series in self._select(node):
            newest = series.latest(at, self.lookback)
            if newest is not None:
                result.append((series.labels, *newest))
        self.budget.spend(len(result))
        return result

    def _range(self, node: Range) -> Matrix:
        end = self._reference(node.selector.offset, node.selector.at)
        windows = (series.window(end - node.span, end) for series in self._select(node.selector))
        found = [window for window in windows if window is not None]
        self.budget.spend(sum(len(window.times) for window in found))
        return Matrix(found)

    def _subquery(self, node: Subquery) -> Matrix:
        end = self._reference(node.offset, node.at)
        start, step = end - node.span, node.step or self.resolution
        self.budget.spend(STEP_COST * (node.span // step))
        instants = range((start // step + 1) * step, end + 1, step)
        return Matrix(series_of(self, node.expr, instants, start, end))

    def _negate(self, value: Value) -> Value:
        if isinstance(value, float):
            return -value
        samples = _expect(value, Vector).samples
        return _distinct(Vector([Sample(without_name(labels), -number) for labels, number in samples]))

    def _call(self, node: Call) -> Value:
        special = _SPECIAL.get(node.function)
        if special is not None:
            return special(self, node)
        args = [self.value(arg) for arg in node.args]
        if node.function in MAPS:
            return _distinct(_mapped(MAPS[node.function], args))
        if node.function in CALENDAR:
            return _distinct(_mapped(CALENDAR[node.function], args or [Vector([Sample((), self.at / 1000)])]))
        if node.function in OVER:
            return _distinct(_over(node.function, args))
        if node.function in VECTORS:
            result = VECTORS[node.function](*args)
            return _distinct(result) if isinstance(result, Vector) else result
        raise QueryError("bad_data", f"function {node.function!r} is not supported by the embedded metrics store")

    def _time(self, node: Call) -> Value:
        return self.at / 1000

    def _timestamp(self, node: Call) -> Value:
        argument = node.args[0]
        if isinstance(argument, Selector):
            return _distinct(Vector([Sample(without_name(ls), time / 1000) for ls, time, _ in self._latest(argument)]))
        samples = _expect(self.value(argument), Vector).samples
        return _distinct(Vector([Sample(without_name(labels), self.at / 1000) for labels, _ in samples]))

    def _absent(self, node: Call) -> Value:
        value = self.value(node.args[0])
        present = value.series if isinstance(value, Matrix) else _expect(value, Vector).samples
        return Vector([] if present else [Sample(_absent_labels(node.args[0]), 1.0)])


_SPECIAL: dict[str, Callable[[Moment, Call], Value]] = {
    "time": Moment._time,
    "timestamp": Moment._timestamp,
    "absent": Moment._absent,
    "absent_over_time": Moment._absent,
}


def select(store: Store, matchers: Sequence[Matcher]) -> list[Series]:
    """The series that satisfy all matchers."""
    exact = next((m.value for m in matchers if m.name == NAME and m.op == "="), None)
    rest = [m for m in matchers if not (m.name == NAME and m.op == "=" and m.value == exact)]
    found: Iterable[Series] = store if exact is None else store.named(exact)
    for name, test in [(m.name, m.test()) for m in sorted(rest, key=lambda m: "~" in m.op)]:
        found = [series for series in found if test(series.known.get(name, ""))]
    return list(found)


def series_of(moment: Moment, node: Node, instants: Sequence[int], start: int, end: int) -> list[Window]:
    """An expression at several instants, as series. Raises QueryError unless it is a number or an instant vector."""
    gathered: dict[Labels, tuple[list[int], list[float]]] = {}
    for at in instants:
        value = replace(moment, at=at).value(node)
        if isinstance(value, float):
            value = Vector([Sample((), value)])
        for labels, number in _expect(value, Vector).samples:
            times, values = gathered.setdefault(labels, ([], []))
            times.append(at)
            values.append(number)
    moment.budget.spend(sum(len(times) for times, _ in gathered.values()))
    return [Window(labels, times, values, start, end) for labels, (times, values) in gathered.items()]


def _mapped(function: Callable[..., float], args: Sequence[Value]) -> Vector:
    vector, *scalars = args
    numbers = [_expect(scalar, float) for scalar in scalars]
    samples = _expect(vector, Vector).samples
    return Vector([Sample(without_name(labels), function(value, *numbers)) for labels, value in samples])


def _over(name: str, args: Sequence[Value]) -> Vector:
    scalars = [arg for arg in args if isinstance(arg, float)]
    matrix = next((arg for arg in args if isinstance(arg, Matrix)), None)
    result = []
    for window in _expect(matrix, Matrix).series:
        value = over_time(name, window, scalars)
        if value is not None:
            result.append(Sample(window.labels if name in KEEP_NAME else without_name(window.labels), value))
    return Vector(result)


def _expect(value: Value | None, kind: type[V]) -> V:
    if not isinstance(value, kind):
        raise QueryError("bad_data", f"expected {kind.__name__.lower()}, got {type(value).__name__.lower()}")
    return value


def _distinct(vector: Vector) -> Vector:
    if len({sample.labels for sample in vector.samples}) < len(vector.samples):
        raise QueryError("execution", "vector cannot contain metrics with the same labelset")
    return vector


def _absent_labels(node: Node) -> Labels:
    selector = node.selector if isinstance(node, Range) else node
    if not isinstance(selector, Selector):
        return ()
    names = [matcher.name for matcher in selector.matchers]
    equal = [m for m in selector.matchers if m.op == "=" and m.name != NAME and names.count(m.name) == 1]
    return labels_of((matcher.name, matcher.value) for matcher in equal)
