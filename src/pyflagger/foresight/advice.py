"""The smallest change of a Canary that reaches the wanted rates of false alarms and missed faults.

It tries thresholds first, then longer intervals and windows, then a minimum of samples. What none of them reaches needs
a comparison with the primary.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pyflagger.foresight.chain import Ending
from pyflagger.foresight.judges import Judge, Traffic
from pyflagger.foresight.outlook import Outlook, Setting, law
from pyflagger.foresight.rules import Policy

THRESHOLD_MAX = 20
TIMES = (1, 2, 5)
"""By how much an interval or a window may grow."""

PATIENCE = 10
"""Rounds that a check waits for its minimum of samples."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The highest accepted probabilities: a healthy release is rolled back, a bad one is promoted."""

    alarm: float = 0.01
    missed: float = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """A changed setting that reaches the wanted rates. `interval` and `windows` in seconds, the latter in the order of
    the judges. `samples`: the minimum of samples of each, 0 for none. `seconds`: how long a good release then takes."""

    threshold: int
    interval: float
    windows: tuple[float, ...]
    samples: tuple[int, ...]
    healthy: Ending
    bad: Ending
    seconds: float


def reached(found: Outlook, wanted: Wanted) -> bool:
    """Whether a Canary reaches the wanted rates as it is."""
    return found.healthy.rolled_back <= wanted.alarm and found.missed <= wanted.missed


def advice(found: Outlook, wanted: Wanted) -> Change | None:
    """The first change that reaches the wanted rates; None if none does."""
    for setting in _settings(found.setting, found.traffic):
        if (change := _with_threshold(setting, found.traffic, wanted)) is not None:
            return change
    return None


def _settings(of: Setting, traffic: Traffic) -> Iterator[Setting]:
    """The setting, and changed ones whose law is exact, those with shorter releases first."""
    if all(judge.seen <= 2 * of.plan.interval for judge in of.judges):
        yield of
    for times in TIMES:
        for longer in TIMES:
            changed = _stretched(of, traffic, times, longer)
            if (times, longer) != (1, 1) and changed.apart:
                yield changed
    if of.apart and any(0 < judge.limit < 1 and not judge.least for judge in of.judges):
        yield replace(of, judges=tuple(map(_sampled, of.judges)))


def _stretched(of: Setting, traffic: Traffic, times: float, longer: float) -> Setting:
    judges = tuple(_longer(judge, traffic.scrape, longer) for judge in of.judges)
    return replace(of, plan=replace(of.plan, interval=of.plan.interval * times), judges=judges)


def _longer(judge: Judge, scrape: float, times: float) -> Judge:
    window = judge.window * times
    blind = 0.0 if scrape <= 0 else min(1.0, max(0.0, 2 - window / scrape))
    return replace(judge, window=window, blind=blind, seen=scrape if blind else window - scrape)


def _sampled(judge: Judge) -> Judge:
    """At least as many samples as one bad request needs to stay within the limit. It waits until they are there."""
    if judge.least or not 0 < judge.limit < 1:
        return judge
    return replace(judge, least=math.ceil(1 / judge.limit - 1e-9), policy=Policy("wait", PATIENCE))


def _with_threshold(of: Setting, traffic: Traffic, wanted: Wanted) -> Change | None:
    """The smallest threshold without too many false alarms, if it misses few faults. Larger ones miss more."""
    healthy, bad = law(of, traffic, "healthy"), law(of, traffic, "bad")
    ends: dict[int, Ending] = {}

    def enough(threshold: int) -> bool:
        ends[threshold] = healthy(threshold)
        return ends[threshold].rolled_back <= wanted.alarm

    threshold = 1 + bisect_left(range(1, THRESHOLD_MAX + 1), True, key=enough)
    if threshold > THRESHOLD_MAX or (end := bad(threshold)).promoted > wanted.missed:
        return None
    samples = tuple(judge.least for judge in of.judges)
    windows = tuple(judge.window for judge in of.judges)
    return Change(threshold, of.plan.interval, windows, samples, ends[threshold], end, of.plan.seconds)
