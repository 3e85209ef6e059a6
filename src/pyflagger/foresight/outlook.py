"""What a release of a Canary will do at a stated traffic: the one answer of this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from pyflagger.api import defaults
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities
from pyflagger.foresight import chain, chance, overlap
from pyflagger.foresight.chain import Ending
from pyflagger.foresight.checks import Odds
from pyflagger.foresight.judges import Judge, Traffic, Unforeseen, judges
from pyflagger.foresight.plan import Plan, Step, plan
from pyflagger.foresight.rules import Policy, Rounds

Health: TypeAlias = Literal["healthy", "bad"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A Canary as far as its outcome depends on it."""

    plan: Plan
    judges: tuple[Judge, ...]
    threshold: int
    consecutive: bool = False

    @property
    def apart(self) -> bool:
        """Whether no request is in the windows of two checks."""
        return all(judge.seen <= self.plan.interval for judge in self.judges)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A release at a stated traffic. `served`: the requests that a release whose checks pass sends to the canary.

    `harmed`: the requests that fail in a bad release and would not in a healthy one."""

    setting: Setting
    traffic: Traffic
    healthy: Ending
    bad: Ending
    served: float
    harmed: float
    unforeseen: tuple[Unforeseen, ...] = ()

    @property
    def missed(self) -> float:
        """The probability that a bad release is promoted."""
        return self.bad.promoted


def setting(canary: Canary, plan_: Plan, found: Sequence[Judge]) -> Setting:
    """The settings of a Canary with an analysis."""
    analysis = canary.spec.analysis
    consecutive = analysis is not None and analysis.counting == "consecutive"
    return Setting(plan_, tuple(found), defaults.threshold(canary), consecutive)


def outlook(
    canary: Canary, traffic: Traffic, *, provider: str, capabilities: Capabilities, interval: float, mean: bool = False
) -> Outlook:
    """Foresee the releases of a valid Canary with an analysis. `interval` is the effective one, in seconds."""
    found, others = judges(canary, traffic, interval, mean=mean)
    plan_ = plan(canary, provider=provider, capabilities=capabilities, interval=interval)
    return foresee(setting(canary, plan_, found), traffic, tuple(others))


def foresee(of: Setting, traffic: Traffic, others: tuple[Unforeseen, ...] = ()) -> Outlook:
    """The outlook of a setting."""
    bad = end(of, traffic, "bad")
    served = traffic.rate * of.plan.interval * sum(_exposed(of.plan))
    more = traffic.base * (traffic.harm - 1) * traffic.rate * of.plan.interval
    harmed = sum(visits * step.visitors * more for visits, step in zip(bad.visits, of.plan.steps, strict=True))
    return Outlook(of, traffic, end(of, traffic, "healthy"), bad, served, harmed, others)


def _exposed(plan_: Plan) -> list[float]:
    """The share of visitors at the canary in each interval of a good release."""
    last = plan_.steps[-1].visitors if plan_.steps else 0.0
    home = [last, *(weight / 100 for weight in plan_.home)][: len(plan_.home)]
    return [*(step.visitors for step in plan_.steps), *home]


def end(of: Setting, traffic: Traffic, health: Health) -> Ending:
    """How a release ends."""
    return law(of, traffic, health)(of.threshold)


def law(of: Setting, traffic: Traffic, health: Health) -> Callable[[int], Ending]:
    """How a release ends, by its threshold: exact, unless windows overlap in a way that has only a simulation."""
    interval, shares = of.plan.interval, [share(judge, of, traffic, health) for judge in of.judges]
    rates = [rate(step, traffic) for step in of.plan.steps]
    if of.apart:
        table = [[check(judge, step, of, traffic, health) for judge in of.judges] for step in of.plan.steps]
        rounds = Rounds(table, [judge.policy for judge in of.judges])
        return partial(chain.ending, rounds, consecutive=of.consecutive)
    if len(of.judges) == 1 and _plain(judge := of.judges[0], interval, traffic):
        windows = overlap.Windows(rates, interval, judge.seen, shares[0], judge.limit)
        return partial(overlap.ending, windows, consecutive=of.consecutive)
    scene = chance.Scene(rates, of.judges, shares, interval, traffic.errors)
    return partial(chance.ending, scene, consecutive=of.consecutive)


def bounds(of: Setting, traffic: Traffic, health: Health) -> tuple[float, float] | None:
    """The lowest and the highest probability of a rollback, whatever several metrics have in common, and whether a
    share of exactly the limit passes. None if that is not known: with policies, or with windows that overlap."""
    if not of.apart or any(judge.policy != Policy() for judge in of.judges):
        return None
    low, high = [], []
    for step in of.plan.steps:
        odds = [check(judge, step, of, traffic, health) for judge in of.judges]
        low.append(max((1 - each.passed for each in odds), default=0.0))
        high.append(min(1.0, sum(1 - each.passed + each.edge for each in odds)))
    ends = [_fixed(of, fails).rolled_back for fails in (low, high)]
    return ends[0], ends[1]


def _fixed(of: Setting, fails: Sequence[float]) -> Ending:
    """The end of a run with these probabilities of a failed check."""
    rounds = Rounds([[Odds(fail)] for fail in fails], [Policy()])
    return chain.ending(rounds, of.threshold, consecutive=of.consecutive)


def _plain(judge: Judge, interval: float, traffic: Traffic) -> bool:
    """Whether overlapping windows have an exact law: those of at most two intervals, without a policy."""
    plain = judge.policy == Policy() and not (judge.least or judge.blind or traffic.errors)
    return plain and judge.seen <= 2 * interval and 0 < judge.limit < 1


def check(judge: Judge, step: Step, of: Setting, traffic: Traffic, health: Health) -> Odds:
    """The odds of one check at a step."""
    return judge.odds(rate(step, traffic), share(judge, of, traffic, health), traffic.errors)


def rate(step: Step, traffic: Traffic) -> float:
    """The requests a second that reach the canary at a step."""
    return traffic.rate * step.share + traffic.load


def share(judge: Judge, of: Setting, traffic: Traffic, health: Health) -> float:
    """The share of bad requests that a check sees. A bad release has more failed ones, or slow ones if that is all
    that is judged."""
    harmed = "failed" if any(each.kind == "failed" for each in of.judges) else "slow"
    base = traffic.base if judge.kind == "failed" else traffic.slow or 0.0
    return min(1.0, base * traffic.harm) if health == "bad" and judge.kind == harmed else base
