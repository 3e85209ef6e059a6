"""Metric series for thousands of canaries: one number each, or a short list of numbers for a histogram.

The library's metrics have an object with a lock for each number: 0.6 KiB, and 3.4 KiB for a histogram. This module uses
the library's interface for custom collectors instead.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeAlias, TypeVar

from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import INF, floatToGoString

T = TypeVar("T")
Labels: TypeAlias = tuple[str, ...]
"""Values, in the order of the family's names."""


class _Family(Collector, Generic[T]):
    """A T for the labels of each member."""

    kind: str

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name, self._text, self._labels = name, text, tuple(labels)
        self._held: dict[Labels, T] = {}

    def __contains__(self, labels: Labels) -> bool:
        return labels in self._held

    def of(self, first: Labels) -> list[Labels]:
        """The members whose labels start with these."""
        return [labels for labels in self._held if labels[: len(first)] == first]

    def remove(self, labels: Labels) -> None:
        """Remove a member, if it exists."""
        self._held.pop(labels, None)

    def collect(self) -> Iterable[Metric]:
        """The family. This is safe in any thread while others update it."""
        family = Metric(self._name, self._text, self.kind)
        family.samples = self._samples()  # type: ignore[assignment]
        yield family

    def _samples(self) -> Iterator[Sample]:
        """Generate samples one by one: a list for thousands of canaries would take megabytes."""
        for labels, held in tuple(self._held.items()):
            yield from self._sampled(dict(zip(self._labels, labels, strict=True)), held)

    @abstractmethod
    def _sampled(self, labels: dict[str, str], held: T) -> Iterator[Sample]: ...


class _Numbers(_Family[float]):
    def set(self, labels: Labels, value: float) -> None:
        """Set the value."""
        self._held[labels] = value


class Gauges(_Numbers):
    """Numbers that go up and down."""

    kind = "gauge"

    def _sampled(self, labels: dict[str, str], held: float) -> Iterator[Sample]:
        yield Sample(self._name, labels, held)


class Counters(_Numbers):
    """Numbers that grow, counted here or elsewhere. The name is without `_total`."""

    kind = "counter"

    def count(self, labels: Labels) -> None:
        """Add one."""
        self._held[labels] = self._held.get(labels, 0.0) + 1.0

    def _sampled(self, labels: dict[str, str], held: float) -> Iterator[Sample]:
        yield Sample(f"{self._name}_total", labels, held)


class Histograms(_Family[list[float]]):
    """A count for each bucket, and last the sum. `buckets` are upper bounds in ascending order, without +Inf."""

    kind = "histogram"

    def __init__(self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        super().__init__(name, text, labels)
        self._bounds = (*buckets, INF)
        self._spelt = [floatToGoString(bound) for bound in self._bounds]  # type: ignore[no-untyped-call]

    def observe(self, labels: Labels, value: float) -> None:
        """Add a value. The bucket of a bound has the values up to it."""
        held = self._held.setdefault(labels, [0.0] * (len(self._bounds) + 1))
        held[bisect_left(self._bounds, value)] += 1
        held[-1] += value

    def _sampled(self, labels: dict[str, str], held: list[float]) -> Iterator[Sample]:
        *counts, total = tuple(held)
        for bound, count in zip(self._spelt, accumulate(counts), strict=True):
            yield Sample(f"{self._name}_bucket", {**labels, "le": bound}, count)
        yield Sample(f"{self._name}_count", labels, sum(counts))
        yield Sample(f"{self._name}_sum", labels, total)
