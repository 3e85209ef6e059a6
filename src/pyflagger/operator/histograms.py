"""One histogram for each of thousands of canaries, each a short list of numbers.

The library's own holds an object with a lock for each bucket: 3.4 KiB a canary. Its interface for collectors of one's
own is made for this. Called by `operator.telemetry`; knows nothing of canaries but their labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

INF = float("inf")


class Histograms(Collector):
    """A Collector. `buckets` are upper bounds in ascending order, without +Inf."""

    def __init__(self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self._name, self._text, self._labels = name, text, tuple(labels)
        self._bounds = (*buckets, INF)
        self._held: dict[tuple[str, ...], list[float]] = {}
        """By the labels' values: a count for each bucket, and last the sum."""

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        """Count a value in; values up to a bound are in its bucket."""
        held = self._held.setdefault(labels, [0.0] * (len(self._bounds) + 1))
        held[bisect_left(self._bounds, value)] += 1
        held[-1] += value

    def remove(self, labels: tuple[str, ...]) -> None:
        """Drop a histogram, if there is one."""
        self._held.pop(labels, None)

    def collect(self) -> Iterable[Metric]:
        """All of them; in any thread, while others count."""
        family = Metric(self._name, self._text, "histogram")
        family.samples = self._samples()  # type: ignore[assignment]
        yield family

    def _samples(self) -> Iterator[Sample]:
        """One after the other: of thousands of canaries all at once are megabytes."""
        bounds = [floatToGoString(bound) for bound in self._bounds]  # type: ignore[no-untyped-call]
        for values, held in tuple(self._held.items()):
            labels = dict(zip(self._labels, values, strict=True))
            *counts, total = tuple(held)
            for bound, count in zip(bounds, accumulate(counts), strict=True):
                yield Sample(f"{self._name}_bucket", {**labels, "le": bound}, count)
            yield Sample(f"{self._name}_count", labels, sum(counts))
            yield Sample(f"{self._name}_sum", labels, total)
