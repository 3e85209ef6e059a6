"""The values of expressions, and Prometheus's number format.

Shared by the store, the evaluator and the HTTP API.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Label pairs, sorted by name, without empty values. The label `__name__` is the metric's name."""

NAME = "__name__"
NAN = math.nan

_STALE_BITS = struct.pack("<Q", 0x7FF8_0000_0000_0002)
STALE: float = struct.unpack("<d", _STALE_BITS)[0]
"""A NaN with a special payload: the series has no value from here until its next sample."""

ErrorKind = Literal["bad_data", "execution", "not_found"]


class QueryError(Exception):
    """A failed query, with Prometheus's `errorType`. Evaluation raises no other exception."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Sample(NamedTuple):
    """One element of an instant vector."""

    labels: Labels
    value: float


class Window(NamedTuple):
    """One series of a range vector. Times, `start` and `end` are in milliseconds since the epoch. Excludes `start`."""

    labels: Labels
    times: Sequence[int]
    values: Sequence[float]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector."""

    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A range vector, or the answer to a range query."""

    series: Sequence[Window]


Value: TypeAlias = float | str | Vector | Matrix


def is_stale(value: float) -> bool:
    """Whether a value is the staleness marker, and not a NaN that a target reported."""
    return value != value and struct.pack("<d", value) == _STALE_BITS


def labels_of(pairs: Iterable[tuple[str, str]]) -> Labels:
    """Sorted labels. An empty value means that the label is absent."""
    return tuple(sorted((name, value) for name, value in pairs if value))


def without_name(labels: Labels) -> Labels:
    """The labels without the metric's name."""
    return tuple(pair for pair in labels if pair[0] != NAME)


def total(values: Sequence[float]) -> float:
    """The sum, exact to the last bit if it is finite. Infinities and NaN follow IEEE 754."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def show_number(value: float) -> str:
    """A number in the format of the HTTP API: the shortest digits that parse to the same value, with an exponent for
    very large and very small numbers.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value and not 1e-6 <= abs(value) < 1e21:
        return repr(value)
    text = repr(value)
    text = format(Decimal(text), "f") if "e" in text else text
    return text.removesuffix(".0")


def show_labels(labels: Labels) -> str:
    """Labels for an error text: `{a="b"}`."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
