"""A check as a gauge: where its value, its limits and the primary's value lie on one axis. Pure.

The axis always holds every limit, so that no picture looks better than the numbers.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflagger.seeing.model import Check

WIDTH = 200.0
MARGIN = 0.2
"""Share of the span that is left free on each side."""


class Gauge(NamedTuple):
    """Positions from 0 to WIDTH. `below` and `above`: where the allowed range begins and ends, None without a limit."""

    below: float | None
    above: float | None
    value: float | None
    primary: float | None
    low: float
    high: float


def gauge(check: Check) -> Gauge | None:
    """The gauge of a check; None without a limit and a value."""
    known = [each for each in (check.value, check.primary, check.min, check.max) if each is not None]
    if not known:
        return None
    low, high = domain(known, percent=check.unit == "%")

    def at(number: float | None) -> float | None:
        return None if number is None else round((number - low) / (high - low) * WIDTH, 1)

    return Gauge(at(check.min), at(check.max), at(check.value), at(check.primary), low, high)


def domain(known: list[float], *, percent: bool) -> tuple[float, float]:
    """The ends of an axis: all numbers with a margin, no negative ones that nothing asks for, at most 100 %."""
    least, most = min(known), max(known)
    span = (most - least) or abs(most) or 1.0
    low = least - MARGIN * span
    high = most + MARGIN * span
    if least >= 0:
        low = max(0.0, low)
    if percent and most <= 100:
        high = min(100.0, high)
    return (low, high) if high > low else (low - 1, high + 1)
