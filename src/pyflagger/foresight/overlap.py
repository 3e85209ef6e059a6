"""A run whose windows overlap the one before: an interval is shorter than a window, and at least half of it. Exact.

A check sees the end of the past, as long as the window is longer than the interval, and the whole next interval. So
the state is step, failed checks and the score of that end, and one pass over them is enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pyflagger.foresight.chain import Ending
from pyflagger.foresight.scores import NOTHING, Above, Law, joined, merged, scaled, score

CELLS = 100
"""Cells of the grid for a standard deviation of the score."""

NEGLIGIBLE = 1e-17


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of one metric. `rates`: requests a second at each step. `seen` and `interval` in seconds. `share`:
    of bad requests; more than `limit` fails."""

    rates: Sequence[float]
    interval: float
    seen: float
    share: float
    limit: float

    @property
    def width(self) -> int:
        """The width of a cell."""
        deviation = math.sqrt(max(self.rates) * self.seen * self.share) * (1 - self.limit) / self.limit
        return 2 * int(deviation / CELLS / 2 + 0.5) + 1

    def law(self, rate: float, seconds: float) -> Law:
        """The law of the score of so many seconds."""
        return score(rate * seconds, self.share, self.limit, self.width)


def ending(windows: Windows, threshold: int, *, consecutive: bool = False) -> Ending:
    """How a run ends. Exact up to the grid: the largest error measured is 0.03 points."""
    arrive: dict[int, Law] = {0: NOTHING}
    tail = windows.seen - windows.interval
    rolled, visits = [], []
    for rate in windows.rates:
        head, piece = windows.law(rate, windows.interval - tail), windows.law(rate, tail)
        following: dict[int, Law] = {}
        rolled.append(0.0)
        visits.append(0.0)
        for failed in range(threshold):
            law = arrive.pop(failed, None)
            if law is None or law.mass < NEGLIGIBLE:
                continue
            visits[-1] += law.mass
            fails, passes = _judged(law, head, piece, windows.width)
            if failed + 1 == threshold:
                rolled[-1] += fails.mass
            else:
                arrive[failed + 1] = merged(arrive.get(failed + 1, Law(0, ())), fails)
            into = 0 if consecutive else failed
            following[into] = merged(following.get(into, Law(0, ())), passes)
        arrive = following
    return Ending(sum(law.mass for law in arrive.values()), rolled, visits)


def _judged(law: Law, head: Law, piece: Law, width: int) -> tuple[Law, Law]:
    """The new ends of the past, after a check that fails and after one that passes."""
    before = joined(law, head)
    above, mass = Above(before, width), before.mass
    shares = [
        above(-cell) + (before.empty if cell > 0 else 0.0)
        for cell in range(piece.first, piece.first + len(piece.masses))
    ]
    empty = piece.empty * (above(0) + before.empty)
    fails = scaled(piece, shares, empty)
    return fails, scaled(piece, [mass - each for each in shares], piece.empty * mass - empty)
