"""The law of how many requests arrive: Poisson, cut where it has no weight."""

from __future__ import annotations

import math
from itertools import accumulate

NEGLIGIBLE = 1e-17
"""Terms below this are left out."""


def masses(mean: float, least: float = NEGLIGIBLE) -> tuple[int, list[float]]:
    """P(N = first), P(N = first + 1), … of a Poisson law, with `first`, while they are over `least`.

    It starts at the mode and goes out by the recurrence, so no term overflows or cancels. Their sum is 1: with `lgamma`
    alone it would be wrong by 1e-9 at a million requests.
    """
    if mean <= 0:
        return 0, [1.0]
    mode = int(mean)
    at_mode = math.exp(mode * math.log(mean) - mean - math.lgamma(mode + 1))
    up, down = _upward(mean, mode, at_mode, least), _downward(mean, mode, at_mode, least)
    found = down[::-1] + up
    whole = math.fsum(found)
    return mode - len(down), [mass / whole for mass in found]


def _upward(mean: float, mode: int, at_mode: float, least: float) -> list[float]:
    found, k, mass = [at_mode], mode, at_mode
    while mass > least:
        k += 1
        mass *= mean / k
        found.append(mass)
    return found


def _downward(mean: float, mode: int, at_mode: float, least: float) -> list[float]:
    found, k, mass = [], mode, at_mode
    while k > 0 and mass > least:
        mass *= k / mean
        k -= 1
        found.append(mass)
    return found


class Below:
    """P(N < k) of a Poisson law."""

    def __init__(self, mean: float) -> None:
        self._first, terms = masses(mean)
        self._sums = [0.0, *accumulate(terms)]

    def __call__(self, k: float) -> float:
        """The probability of fewer than `k`, which is a whole number or infinite."""
        if k - self._first >= len(self._sums):
            return self._sums[-1]
        return self._sums[max(0, int(k) - self._first)]
