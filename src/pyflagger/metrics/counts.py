"""The requests of canary and primary in units of time, counted from raw samples of Prometheus.

`rate` and `increase` extrapolate, and lose the first value of a series that has just appeared, such as the first errors
of a canary. Here the difference of two raw samples is a whole number, each request is in exactly one unit, and a series
that appeared within the last five minutes counts from zero. What a counter had counted between a reset and the next
sample is lost if the series is older. Called by `operator.evidence`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pyflagger.api.canary import Canary
from pyflagger.metrics.base import Exchange, NoValues
from pyflagger.metrics.dialect import Dialect
from pyflagger.metrics.prometheus import Prometheus, Times
from pyflagger.metrics.promql import WHAT
from pyflagger.metrics.template import Variables, render

NEW_SECONDS = 300
"""A series that did not exist so long ago counts from zero."""

UNITS_MAX = 240
"""Maximum number of units in one query. A longer time is cut into longer units."""

SIDES = ("canary", "primary")
Named = tuple[Dialect, Variables]
Pair = tuple[list[str], list[str]]
"""Templates of the series of all requests, and of the good ones."""


class Tally(NamedTuple):
    """Requests of a unit that ends at `until` (seconds since the epoch), and the bad ones, of both sides."""

    until: float
    bad: float
    requests: float
    primary_bad: float
    primary_requests: float


BY_PODS = frozenset({"http", "appmesh"})
"""Dialects that tell the sides by the names of pods. A DaemonSet's primary has pods that look like the canary's."""


def comparable(canary: Canary, dialect: Dialect) -> bool:
    """Whether the series of a dialect tell the requests of a canary from those of its primary."""
    return bool(dialect.counters) and not (dialect.name in BY_PODS and canary.spec.target_ref.kind == "DaemonSet")


def units_between(since: float, now: float, unit: float) -> Times:
    """The ends of equal units, at least one. None is shorter than `unit` seconds, except the only one."""
    whole = round((now - since) * 1000)
    many = min(UNITS_MAX, max(1, int(whole / 1000 // unit)))
    step = max(1, whole // many) / 1000
    return Times(now - step * (many - 1), now, step)


def failures(provider: Prometheus, sides: Sequence[Named], times: Times) -> Exchange[tuple[Tally, ...]]:
    """The requests, and those with a 5xx. Raises the errors of a query."""

    def series(dialect: Dialect) -> Pair:
        every = [f"{each.name}{{{each.labels}}}" for each in dialect.counters]
        return every, [f"{each.name}{{{each.labels}, {each.good}}}" for each in dialect.counters]

    return _tallied(provider, sides, series, times)


def slow(provider: Prometheus, sides: Sequence[Named], bound: str, times: Times) -> Exchange[tuple[Tally, ...]]:
    """The requests, and those above a bound of the histogram. Raises the errors of a query."""

    def series(dialect: Dialect) -> Pair:
        every = [f'{name}{{{labels}, le="+Inf"}}' for name, labels in dialect.buckets]
        return every, [f'{name}{{{labels}, le="{bound}"}}' for name, labels in dialect.buckets]

    return _tallied(provider, sides, series, times)


def bound_for(provider: Prometheus, primary: Named, limit: float, now: float) -> Exchange[str]:
    """The bound of the primary's histogram to count by: the smallest that is not below `limit` (seconds), else the
    largest finite one. Raises NoValues if there is none, and the errors of a query."""
    dialect, named = primary
    series = " or ".join(f"{name}{{{labels}}}" for name, labels in dialect.buckets)
    text = f'label_replace(count by (le) ({render(series, named)}), "{WHAT}", "$1", "le", "(.+)")'
    found = yield from provider.range(text, Times(now, now, 1.0))
    bounds = sorted((float(label), label) for label in found if _is_finite(label))
    if not bounds:
        raise NoValues("the primary's histogram has no bounds")
    above = [label for bound, label in bounds if bound * dialect.bucket_unit >= limit * (1 - 1e-9)]
    return above[0] if above else bounds[-1][1]


def _is_finite(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def _tallied(
    provider: Prometheus, sides: Sequence[Named], series: Callable[[Dialect], Pair], times: Times
) -> Exchange[tuple[Tally, ...]]:
    """Count all and good requests of both sides, in one query."""
    queries = {
        f"{side} {kind}": _counted([render(each, named) for each in found], times.step)
        for side, (dialect, named) in zip(SIDES, sides, strict=True)
        for kind, found in zip(("all", "good"), series(dialect), strict=True)
    }
    text = " or ".join(f'label_replace({query}, "{WHAT}", "{what}", "", "")' for what, query in queries.items())
    found = yield from provider.range(text, times)
    return _read(found)


def _counted(series: Sequence[str], step: float) -> str:
    """How much these counters have grown within a step. The series of different names share no labels."""
    window, new = round(step * 1000), max(NEW_SECONDS, math.ceil(step))
    grown = [f"({each} - {each} offset {window}ms >= 0) or ({each} unless {each} offset {new}s)" for each in series]
    return f"sum({' or '.join(grown)})"


def _read(found: Mapping[str, Mapping[float, float]]) -> tuple[Tally, ...]:
    """The tallies by time. A side without samples has no requests; one without good requests has bad ones only."""
    every = {side: found.get(f"{side} all", {}) for side in SIDES}
    good = {side: found.get(f"{side} good", {}) for side in SIDES}
    tallies = []
    for until in sorted(set(every["canary"]) | set(every["primary"])):
        sides = [(every[side].get(until, 0.0), good[side].get(until, 0.0)) for side in SIDES]
        (ours, fine), (theirs, theirs_fine) = sides
        tallies.append(Tally(until, ours - fine, ours, theirs - theirs_fine, theirs))
    return tuple(tallies)
