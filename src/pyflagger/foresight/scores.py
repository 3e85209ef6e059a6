"""Laws of a score on a grid, with their sums and convolutions.

With limit L, a time with `bad` and `good` requests has the score `bad (1 - L) / L - good`. Scores of parts of a window
add up, and the window is over its limit exactly when the sum is above 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from pyflagger.foresight.poisson import masses

CUT = 1e-16
"""Probabilities below this are left out at the ends of a law."""

_BITS, _BYTES = 64, 17
"""A probability as a whole number of 64 bits. A sum of products of two of them fits into 17 bytes."""


@dataclass(frozen=True, slots=True)
class Law:
    """P(score = first), P(score = first + 1), … in cells of the grid. `empty`: no request, which has score 0."""

    first: int
    masses: Sequence[float]
    empty: float = 0.0

    @property
    def mass(self) -> float:
        """The probability of all of it."""
        return math.fsum(self.masses) + self.empty


NOTHING = Law(0, (), 1.0)
"""Before the first request."""


def score(n: float, p: float, limit: float, width: int) -> Law:
    """The law of a time with `n` requests on average and a share `p` of bad ones, in cells of `width`, an odd number,
    so that no rounding prefers a side.

    Exact for a width of 1 if (1 - limit) / limit is whole.
    """
    each = (1 - limit) / limit
    least_bad, bad = masses(n * p, CUT)
    least_good, good = masses(n * (1 - p), CUT)
    first, binned = _binned(least_good, good, width)
    tops = [_top(least_bad + at, each, width) for at in range(len(bad))]
    low = tops[0] - first - len(binned) + 1
    cells = [0.0] * (tops[-1] - first - low + 1)
    down = binned[::-1]
    for top, mass in zip(tops, bad, strict=True):
        _add(cells, top - first - len(down) + 1 - low, down, mass)
    empty = math.exp(-n)
    if least_bad == 0 and least_good == 0:
        cells[tops[0] - low] = max(0.0, cells[tops[0] - low] - empty)
    return _trimmed(low, cells, empty)


def _top(bad: int, each: float, width: int) -> int:
    """The cell of so many bad requests without good ones."""
    if width > 1:
        return math.floor(bad * each / width + 0.5)
    return math.ceil(bad * each * (1 - 1e-12) - 1e-9)


def _binned(first: int, terms: Sequence[float], width: int) -> tuple[int, list[float]]:
    """A law of whole numbers in cells of `width`."""
    if width == 1:
        return first, list(terms)
    low = (first + width // 2) // width
    cells = [0.0] * ((first + len(terms) - 1 + width // 2) // width - low + 1)
    for at, mass in enumerate(terms, first + width // 2):
        cells[at // width - low] += mass
    return low, cells


def _add(cells: list[float], at: int, terms: Sequence[float], mass: float = 1.0) -> None:
    stop = at + len(terms)
    cells[at:stop] = [cell + mass * term for cell, term in zip(cells[at:stop], terms, strict=True)]


def _trimmed(low: int, cells: Sequence[float], empty: float) -> Law:
    """Without negligible ends."""
    start, stop = 0, len(cells)
    while start < stop and cells[start] < CUT:
        start += 1
    while stop > start and cells[stop - 1] < CUT:
        stop -= 1
    return Law(low + start, cells[start:stop], empty)


def scaled(law: Law, shares: Sequence[float], empty: float) -> Law:
    """The law times a probability for each cell."""
    return _trimmed(law.first, [mass * share for mass, share in zip(law.masses, shares, strict=True)], empty)


def merged(one: Law, two: Law) -> Law:
    """The sum of two laws: one or the other happens."""
    if not one.masses or not two.masses:
        some = one if one.masses else two
        return Law(some.first, some.masses, one.empty + two.empty)
    low, high = min(one.first, two.first), max(one.first + len(one.masses), two.first + len(two.masses))
    cells = [0.0] * (high - low)
    for law in (one, two):
        _add(cells, law.first - low, law.masses)
    return Law(low, cells, one.empty + two.empty)


def joined(one: Law, two: Law) -> Law:
    """The law of the sum of two independent scores."""
    both = Law(one.first + two.first, _convolved(one.masses, two.masses))
    parts = (both, scaled(two, [one.empty] * len(two.masses), 0.0), scaled(one, [two.empty] * len(one.masses), 0.0))
    found = merged(merged(parts[0], parts[1]), parts[2])
    return Law(found.first, found.masses, one.empty * two.empty)


def _convolved(one: Sequence[float], two: Sequence[float]) -> list[float]:
    """The convolution, as one product of two whole numbers: Python multiplies these fast."""
    if not one or not two:
        return []
    product = _packed(one) * _packed(two)
    cells = len(one) + len(two) - 1
    digits = product.to_bytes((cells + 1) * _BYTES, "little")
    scale = 2.0 ** (-2 * _BITS)
    return [int.from_bytes(digits[at : at + _BYTES], "little") * scale for at in range(0, cells * _BYTES, _BYTES)]


def _packed(terms: Sequence[float]) -> int:
    scale = 2.0**_BITS
    return int.from_bytes(b"".join(int(term * scale).to_bytes(_BYTES, "little") for term in terms), "little")


class Above:
    """P(score > x), without the case that no request arrived."""

    def __init__(self, law: Law, width: int) -> None:
        self._first, self._width = law.first, width
        self._sums = [*reversed([0.0, *accumulate(reversed(law.masses))])]

    def __call__(self, x: int) -> float:
        """For a whole number of cells. Less than half of a cell's scores, which are whole numbers, are above its
        middle."""
        share = (self._width - 1) / (2 * self._width)
        return (1 - share) * self._from(x + 1) + share * self._from(x)

    def _from(self, x: int) -> float:
        return self._sums[min(max(0, x - self._first), len(self._sums) - 1)]
