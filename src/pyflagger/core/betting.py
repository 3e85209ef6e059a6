"""The evidence that a canary fails more often than its primary: one bet for each unit of time.

H0: in odds, the canary fails at most `margin` times as often as the primary. A canary
at exactly that margin has a fair share of the bad requests of a unit. For each unit, part of the money is bet on a
larger share than that. Under H0 a bet gains nothing on average, whatever the correlation of errors in the unit. So the
probability that the money ever multiplies by 1/alpha is at most alpha, at any number of looks (Ville's inequality). The
bet may depend on the number of requests and of bad requests in the unit, but not on the side that has them.

The money is the evidence: 1 at the start, 100 when the canary looks 100:1 worse. A part of it is held back for faults
that appear late. Logarithms are natural. Called by `comparison` and by the tests of its error rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyflagger.api.compared import Comparison, Counted

RATIOS = (1.6, 3.0, 8.0, 30.0)
"""The alternatives: how many times the margin the canary's odds are. Each gets the same part of the money."""

STAKED = 0.8
"""The part of the money that is bet from the start."""

RELEASED = 0.03
"""The part of the reserve that is added to the bets before each unit."""

BET_MAX = 0.95
CORRELATION = 0.02
"""The assumed correlation of errors in a unit. Only the size of a bet depends on it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The requests of both sides in one unit of time, which ends at `until` (seconds since the epoch)."""

    until: float
    canary: Counted
    primary: Counted

    @property
    def usable(self) -> bool:
        """Whether its numbers are possible."""
        return _possible(self.canary) and _possible(self.primary)


def _possible(side: Counted) -> bool:
    return math.isfinite(side.requests) and 0 <= side.bad <= side.requests


def begun(name: str, until: float) -> Comparison:
    """The state before the first unit. Requests before `until` are left out."""
    each = math.log(STAKED / len(RATIOS))
    return Comparison(name, until, (each,) * len(RATIOS), math.log(1 - STAKED), odds=(0.0, 0.0))


def sound(state: Comparison) -> bool:
    """Whether a stored state can be continued."""
    numbers = (*state.wealth, *state.odds, state.reserve, state.until)
    shaped = len(state.wealth) == len(RATIOS) and len(state.odds) == len(("canary", "primary"))
    return shaped and all(map(math.isfinite, numbers)) and _possible(state.canary) and _possible(state.primary)


def evidence(state: Comparison) -> float:
    """The natural logarithm of the evidence."""
    return total((*state.wealth, state.reserve))


def total(logs: Sequence[float]) -> float:
    """The logarithm of the sum of numbers, by their logarithms."""
    top = max(logs)
    return top + math.log(sum(math.exp(each - top) for each in logs))


def counted(state: Comparison, unit: Unit, margin: float) -> Comparison:
    """The state after a unit. A unit that was counted before, or with impossible numbers, changes nothing."""
    if unit.until <= state.until or not unit.usable:
        return state
    ours, theirs = unit.canary, unit.primary
    if not (ours.requests and theirs.requests):
        return replace(state, until=unit.until, blind=state.blind + 1)
    state = replace(
        state,
        until=unit.until,
        canary=_sum(state.canary, ours),
        primary=_sum(state.primary, theirs),
        odds=_odds(state.odds, ours, theirs),
        units=state.units + 1,
        blind=0,
    )
    return _bet(state, ours, theirs, margin) if ours.bad + theirs.bad else state


def _sum(before: Counted, more: Counted) -> Counted:
    return Counted(before.bad + more.bad, before.requests + more.requests)


def _odds(before: Sequence[float], ours: Counted, theirs: Counted) -> tuple[float, ...]:
    """The sums of the estimate of Mantel and Haenszel, after a unit."""
    whole = ours.requests + theirs.requests
    more = (ours.bad * (theirs.requests - theirs.bad) / whole, theirs.bad * (ours.requests - ours.bad) / whole)
    return tuple(one + two for one, two in zip(before, more, strict=True))


def _bet(state: Comparison, ours: Counted, theirs: Counted, margin: float) -> Comparison:
    """The state after a unit with bad requests. The part of the reserve does not depend on the unit."""
    more = state.reserve + math.log(RELEASED / len(RATIOS))
    gains = factors(ours, theirs, margin)
    wealth = tuple(total((old, more)) + gain for old, gain in zip(state.wealth, gains, strict=True))
    return replace(state, wealth=wealth, reserve=state.reserve + math.log1p(-RELEASED))


def factors(ours: Counted, theirs: Counted, margin: float) -> tuple[float, ...]:
    """The logarithm of what the bet on each alternative multiplies its money by. Both sides have requests, one bad."""
    bad = ours.bad + theirs.bad
    fair, share = fair_share(ours.requests, theirs.requests, margin), ours.bad / bad
    spread = 1.0 if bad <= 1 else (1 + (bad - 1) * CORRELATION) / bad
    logs = []
    for ratio in RATIOS:
        worse = fair_share(ours.requests, theirs.requests, margin * ratio)
        bet = min(BET_MAX, (worse - fair) / ((worse - fair) + (1 - worse) * spread))
        logs.append(math.log1p(bet * (share / fair - 1)))
    return tuple(logs)


def fair_share(ours: float, theirs: float, margin: float) -> float:
    """The share of all bad requests that a canary with `margin` times the odds of the primary has."""
    return ours * margin / (ours * margin + theirs)


def merged(states: Sequence[Comparison]) -> float:
    """The logarithm of the evidence of several metrics: its average, which is valid however they depend."""
    return total([evidence(state) for state in states]) - math.log(len(states))


def ratio(state: Comparison) -> float | None:
    """The estimated odds ratio of canary to primary. None without bad requests of the primary to compare with."""
    ours, theirs = state.odds
    return ours / theirs if theirs else None
