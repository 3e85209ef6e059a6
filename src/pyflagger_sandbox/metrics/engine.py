"""Queries over the store: instant and range.

The HTTP API, the in-process client and tests call it. It reads no clock: callers pass the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from . import syntax
from .evaluate import Budget, Moment, select, series_of
from .store import Series, Store
from .values import Matrix, QueryError, Value

MAX_POINTS = 11_000


class Engine:
    """PromQL over a `Store`. `lookback` and `resolution` (of subqueries without a step) in seconds.

    Raises MissingExtra when the wheel with the grammar is not installed.
    """

    def __init__(
        self, store: Store, *, lookback: float = 300.0, resolution: float = 60.0, max_samples: int = 2_000_000
    ) -> None:
        syntax.grammar()
        self.store = store
        self._lookback = int(lookback * 1000)
        self._resolution = int(resolution * 1000)
        self._max_samples = max_samples

    def instant(self, query: str, at: float) -> Value:
        """The value of a query at `at` (seconds since the epoch). Raises only QueryError."""
        node = syntax.parse(query)
        now = _millis(at)
        with _bounded_depth():
            return self._moment(now, now, now).value(node)

    def range(self, query: str, start: float, end: float, step: float) -> Matrix:
        """A query at every step from `start` to `end` (seconds), as series. Raises only QueryError."""
        if not (math.isfinite(step) and step >= 0.001):
            raise QueryError("bad_data", "zero or negative query resolution step widths are not accepted")
        first, last = _millis(start), _millis(end)
        if last < first:
            raise QueryError("bad_data", 'invalid parameter "end": end timestamp must not be before start time')
        instants = range(first, last + 1, int(step * 1000))
        if len(instants) > MAX_POINTS:
            raise QueryError(
                "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)",
            )
        node = syntax.parse(query)
        moment = self._moment(first, first, last)
        with _bounded_depth():
            return Matrix(series_of(moment, node, instants, first, last))

    def series(self, selector: str) -> list[Series]:
        """The series of a plain selector, of any age. Raises QueryError."""
        return select(self.store, syntax.selector_of(selector).matchers)

    def _moment(self, at: int, start: int, end: int) -> Moment:
        return Moment(self.store, at, start, end, self._lookback, self._resolution, Budget(self._max_samples))


@contextmanager
def _bounded_depth() -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise QueryError("bad_data", "the query's operators are nested too deeply") from error


def _millis(seconds: float) -> int:
    if not math.isfinite(seconds) or abs(seconds) > 1e15:
        raise QueryError("bad_data", f"{seconds} is not a time")
    return round(seconds * 1000)
