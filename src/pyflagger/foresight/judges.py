"""The metrics of a Canary whose outcomes can be foreseen: shares of requests against a limit.

The success rate is one, and so is the 99th percentile of the duration: it is over the limit when more than 1 % of the
requests are. A mean and the query of a user have no such law.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pyflagger.api import durations
from pyflagger.api.canary import Canary, Metric
from pyflagger.core.policy import WAIT_INTERVALS
from pyflagger.core.verdict import BUILTIN, DURATION, SUCCESS_RATE, accepted
from pyflagger.foresight.checks import Odds, odds
from pyflagger.foresight.rules import Policy

Kind: TypeAlias = Literal["failed", "slow"]

QUANTILE_LIMIT = 0.01
"""The share of slow requests over which the 99th percentile is over its limit."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What to foresee a release for.

    `rate`: requests a second of visitors. `load`: requests a second that load tests send to the canary directly.
    `base`: the share of requests that fail in a healthy release, and `slow` the share over the limit of the duration;
    None if unknown. `harm`: how many times more there are in a bad one. `scrape`: seconds between two scrapes.
    `errors`: the share of queries that fail.
    """

    rate: float
    base: float = 0.005
    harm: float = 2.0
    slow: float | None = None
    load: float = 0.0
    scrape: float = 15.0
    errors: float = 0.0


@dataclass(frozen=True, slots=True)
class Judge:
    """One check of a share of requests. `window` and `seen` in seconds: `rate()` sees the time from the first to the
    last sample in the window. `blind`: the share of windows with fewer than two samples. `least`: as seen.
    """

    index: int
    name: str
    kind: Kind
    limit: float
    window: float
    seen: float
    blind: float
    least: int
    policy: Policy

    def requests(self, rate: float) -> float:
        """The requests that a check sees on average, at `rate` requests a second."""
        return rate * self.seen

    def odds(self, rate: float, share: float, errors: float) -> Odds:
        """The odds of a check at `rate` requests a second and a share `share` of bad ones."""
        found = odds(self.requests(rate), share, self.limit, least=self.least, errors=errors)
        seen = 1 - self.blind
        return Odds(found.bad * seen, self.blind * (1 - errors) + found.none * seen, found.error, found.edge * seen)


@dataclass(frozen=True, slots=True)
class Unforeseen:
    """A metric whose outcomes are not foreseen, and why. The others are foreseen as if it passed."""

    index: int
    name: str
    why: str


def judges(canary: Canary, traffic: Traffic, interval: float, *, mean: bool) -> tuple[list[Judge], list[Unforeseen]]:
    """The metrics that decide, in order. `mean`: the built-in duration of the traffic provider is a mean."""
    counted: list[Judge] = []
    others: list[Unforeseen] = []
    for index, metric in enumerate(canary.spec.analysis.metrics if canary.spec.analysis else ()):
        if metric.dry_run:
            continue
        others += [Unforeseen(index, metric.name, why) for why in _unknown(metric, traffic, mean)]
        if (kind := _kind(metric, traffic, mean)) is not None:
            counted.append(_judge(index, metric, kind, traffic.scrape, interval))
    return counted, others


def _kind(metric: Metric, traffic: Traffic, mean: bool) -> Kind | None:
    if metric.compare is not None:
        return None
    if metric.name == SUCCESS_RATE:
        return "failed"
    return "slow" if metric.name == DURATION and not mean and traffic.slow is not None else None


def _unknown(metric: Metric, traffic: Traffic, mean: bool) -> Iterator[str]:
    if metric.compare is not None:
        yield "it is compared with the primary, which rolls few healthy releases back at any traffic"
    elif metric.name == DURATION and mean:
        yield "the built-in duration of this provider is a mean, which has no known law"
    elif metric.name == DURATION and traffic.slow is None:
        yield "give the share of requests over its limit with --slow"
    if metric.query or metric.template_ref or metric.name not in BUILTIN:
        yield "the law of a query's values is unknown"


def _judge(index: int, metric: Metric, kind: Kind, scrape: float, interval: float) -> Judge:
    window = durations.parse(metric.interval or "1m")
    blind = 0.0 if scrape <= 0 else min(1.0, max(0.0, 2 - window / scrape))
    seen = scrape if blind else window - scrape
    least = math.ceil(metric.min_samples * seen / window - 1e-9) if metric.min_samples and window > 0 else 0
    limit = _limit(metric, kind)
    return Judge(index, metric.name, kind, limit, window, seen, blind, least, policy(metric, interval))


def _limit(metric: Metric, kind: Kind) -> float:
    """The largest accepted share of bad requests."""
    if kind == "slow":
        return QUANTILE_LIMIT
    low, _ = accepted(metric, "builtin")
    return 1.0 if low is None else 1 - low / 100


def policy(metric: Metric, interval: float) -> Policy:
    """The policy of a metric, in rounds of `interval` seconds."""
    if metric.no_data_after:
        patience = math.ceil(durations.parse(metric.no_data_after) / interval)
    else:
        patience = WAIT_INTERVALS if metric.no_data == "wait" else 0
    delay = math.ceil(durations.parse(metric.initial_delay) / interval) - 1 if metric.initial_delay else 0
    return Policy(metric.no_data, patience, metric.error_limit, max(0, delay))
