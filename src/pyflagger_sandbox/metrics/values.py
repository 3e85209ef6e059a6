"""What an expression evaluates to, and how Prometheus writes numbers.

Shared by the store, the evaluator and the HTTP API; knows nothing of any of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Label pairs sorted by name, without empty values; the metric's name is the label `__name__`."""

NAME = "__name__"
NAN = math.nan

_STALE_BITS = struct.pack("<Q", 0x7FF8_0000_0000_0002)
STALE: float = struct.unpack("<d", _STALE_BITS)[0]
"""A NaN with a payload of its own: from here on the series has no value (until its next sample)."""

ErrorKind = Literal["bad_data", "execution", "not_found"]


class QueryError(Exception):
    """A query that cannot be answered, with Prometheus's `errorType`. The only exception evaluation raises."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Sample(NamedTuple):
    """One element of an instant vector."""

    labels: Labels
    value: float


class Window(NamedTuple):
    """One series of a range vector. Times, `start` and `end` in milliseconds since the epoch; `start` is excluded."""

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
    """Whether this NaN is the staleness marker and not a number that a target reported."""
    return value != value and struct.pack("<d", value) == _STALE_BITS


def labels_of(pairs: Iterable[tuple[str, str]]) -> Labels:
    """Sorted labels; empty values mean that the label is absent."""
    return tuple(sorted((name, value) for name, value in pairs if value))


def without_name(labels: Labels) -> Labels:
    """The labels without the metric's name."""
    return tuple(pair for pair in labels if pair[0] != NAME)


def total(values: Sequence[float]) -> float:
    """The sum, exact to the last bit where it is finite; infinities and NaN as in IEEE 754."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def show_number(value: float) -> str:
    """A number as the HTTP API writes it: shortest digits that read back the same, exponents only when far from 1."""
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
