"""A bounded store of recent samples, in memory.

The scraper (or a test) fills it, and the evaluator reads it. It reads no clock: every sample has its time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from .values import NAME, STALE, Labels, Window, is_stale

_SLACK = 10
"""Trim samples when they exceed the retention by a tenth: rarely, and many at once."""


class Series:
    """The samples of one label set, oldest first. Times are in milliseconds. `known` maps label names to values."""

    __slots__ = ("known", "labels", "times", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.known = dict(labels)
        self.times: array[int] = array("q")
        self.values: array[float] = array("d")

    def append(self, time: int, value: float) -> bool:
        """Add a sample. Returns False, and drops it, if it is not newer than the last one."""
        if self.times and time <= self.times[-1]:
            return False
        self.times.append(time)
        self.values.append(value)
        return True

    def trim(self, before: int) -> None:
        """Drop the samples up to and including this time."""
        cut = bisect_right(self.times, before)
        del self.times[:cut], self.values[:cut]

    def latest(self, at: int, lookback: int) -> tuple[int, float] | None:
        """The newest sample in (at-lookback, at]; None if the series is stale there."""
        index = bisect_right(self.times, at) - 1
        if index < 0 or self.times[index] <= at - lookback or is_stale(self.values[index]):
            return None
        return self.times[index], self.values[index]

    def window(self, start: int, end: int) -> Window | None:
        """The samples in (start, end] without staleness markers; None if there are none."""
        low, high = bisect_right(self.times, start), bisect_right(self.times, end)
        times: Sequence[int] = self.times[low:high]
        values: Sequence[float] = self.values[low:high]
        if any(value != value and is_stale(value) for value in values):
            kept = [(t, v) for t, v in zip(times, values, strict=True) if not is_stale(v)]
            times, values = [t for t, _ in kept], [v for _, v in kept]
        return Window(self.labels, times, values, start, end) if times else None


class Store:
    """All series by their labels: at most `max_series`, each with the samples of `retention` seconds.

    Drops the samples of series over the limit, and counts them in `refused`.
    """

    def __init__(self, *, retention: float = 600.0, max_series: int = 50_000) -> None:
        self.retention = int(retention * 1000)
        self.max_series = max_series
        self.refused = 0
        self.appended = 0
        self._series: dict[Labels, Series] = {}
        self._by_name: dict[str, dict[Labels, Series]] = {}

    def __len__(self) -> int:
        return len(self._series)

    def append(self, labels: Labels, time: int, value: float) -> None:
        """Add one sample. Drops it if it is not newer than the last one of its series, or if the series is over the
        limit.
        """
        series = self._series.get(labels) or self._create(labels)
        if series is None:
            self.refused += 1
            return
        self.appended += series.append(time, value)
        if series.times[0] <= time - self.retention - self.retention // _SLACK:
            series.trim(time - self.retention)

    def end(self, labels: Labels, time: int) -> None:
        """Mark the series as stale from this time."""
        series = self._series.get(labels)
        if series is not None and series.times and not is_stale(series.values[-1]):
            series.append(time, STALE)

    def sweep(self, now: int) -> None:
        """Drop the series without a sample within the retention."""
        for labels in [key for key, series in self._series.items() if series.times[-1] <= now - self.retention]:
            self._drop(labels)

    def named(self, name: str) -> Iterable[Series]:
        """The series of one metric."""
        return self._by_name.get(name, {}).values()

    def __iter__(self) -> Iterator[Series]:
        return iter(self._series.values())

    def _create(self, labels: Labels) -> Series | None:
        if len(self._series) >= self.max_series:
            return None
        series = self._series[labels] = Series(labels)
        self._by_name.setdefault(series.known.get(NAME, ""), {})[labels] = series
        return series

    def _drop(self, labels: Labels) -> None:
        name = self._series.pop(labels).known.get(NAME, "")
        del self._by_name[name][labels]
        if not self._by_name[name]:
            del self._by_name[name]
