"""Releases played by the operator's own rules, round by round, with random requests: what an outlook must agree with.

`core.analysis` judges each round and `core.strategy` takes its step. A round depends on few facts, so the answer of the
rules is kept for each set of them, and a hundred thousand releases take seconds. The situation
before the first round is that of the plan.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, product
from typing import Any, NamedTuple

from foresight.test_outlook import EVERYTHING, MATCH, RATE, canary
from pyflagger.api.canary import Canary, Phase
from pyflagger.api.durations import parse
from pyflagger.api.facts import Fault, Problem
from pyflagger.core import analysis, strategy
from pyflagger.core.decision import Decision, SetRoute, WriteStatus
from pyflagger.core.memory import stamped
from pyflagger.core.situation import CheckMetric, NoData, QueryFailed, Result, Value
from pyflagger.core.verdict import passes
from pyflagger.core.view import View
from pyflagger.foresight.judges import Traffic
from pyflagger.foresight.outlook import end, outlook
from pyflagger.foresight.plan import begun
from pyflagger.foresight.poisson import masses

PIECE = 15.0
"""Seconds. Intervals and windows are multiples of it."""

BAD, FEW, NONE, ERROR = Value(0.0, 1e9), Value(100.0, 0.0), NoData(), QueryFailed(Problem(Fault.PROVIDER, "away"))
GOOD = Value(100.0, 1e9)


class Case(NamedTuple):
    """A Canary at a traffic. `share`: of failed requests."""

    analysis: dict[str, Any]
    traffic: Traffic
    share: float


class Release:
    """The rules of one Canary, and what they made of each situation so far."""

    def __init__(self, case: Case) -> None:
        self.canary: Canary = canary(case.analysis, provider="istio")
        assert self.canary.spec.analysis is not None
        self.metrics = self.canary.spec.analysis.metrics
        self.interval = parse(self.canary.spec.analysis.interval)
        first = begun(self.canary, "istio", EVERYTHING, self.interval)
        first = _with(first, status=first.status.but(last_transition_time=first.now))
        self.start = self._carried(first, strategy.advance(first, ()))
        self._known: dict[tuple[Any, ...], View | bool] = {}

    def judge(self, view: View, results: Sequence[Result]) -> View | bool:
        """The situation an interval after a round with these results; whether it promotes, at the end."""
        key = (*_facts(view), tuple(results))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._judged(view, results)
        return known

    def _judged(self, view: View, results: Sequence[Result]) -> View | bool:
        evidence = {CheckMetric(at, "builtin"): result for at, result in enumerate(results)}
        after = self._carried(view, analysis.round_of(_with(view, evidence=evidence)))
        if analysis.fails(after):
            return False
        return True if after.status.phase is Phase.PROMOTING else after

    def _carried(self, view: View, decision: Decision) -> View:
        """The situation once the decision is carried out and an interval has passed."""
        assert not decision.needs, decision
        route, status = view.route, view.status
        for action in decision.actions:
            route = action.route if isinstance(action, SetRoute) else route
            status = action.status if isinstance(action, WriteStatus) else status
        memory = stamped(decision.memory, view.now) if decision.memory else view.memory
        return _with(view, status=status, route=route, memory=memory, now=view.now + self.interval)


def _with(view: View, **changes: Any) -> View:
    status = changes.pop("status", view.status)
    of = view.canary.model_copy(update={"status": status})
    return View.of(replace(view.situation, canary=of, **{"evidence": {}, **changes}))


def _facts(view: View) -> tuple[Any, ...]:
    """What the rules may decide by, apart from results: times count from now, and none matters after an hour."""
    status, memory = view.status, view.memory
    lapses = [
        (key, None if lapse.silent_since is None else round(view.now - lapse.silent_since), lapse.errors)
        for key, lapse in sorted(memory.lapses.items())
    ]
    age = round(min(3600.0, view.now - (status.last_transition_time or 0.0)))
    return (
        view.route,
        status.canary_weight,
        status.iterations,
        status.failed_checks,
        tuple(lapses),
        age,
    )


class Visitors:
    """Requests of a part of an interval: good and failed ones, by the share of traffic at the canary."""

    def __init__(self, case: Case, uniform: random.Random) -> None:
        self._case, self._uniform = case, uniform.random
        self._laws: dict[int, tuple[tuple[int, list[float]], ...]] = {}

    def arrive(self, view: View) -> tuple[int, int]:
        """The requests of a piece."""
        weight = 100 if view.route.mirrored else view.route.canary
        laws = self._laws.get(weight)
        if laws is None:
            mean, bad = self._case.traffic.rate * weight / 100 * PIECE, self._case.share
            laws = self._laws[weight] = (_law(mean * (1 - bad)), _law(mean * bad))
        (least, good), (fewest, failed) = laws
        return least + bisect(good, self._uniform()), fewest + bisect(failed, self._uniform())


def _law(mean: float) -> tuple[int, list[float]]:
    first, terms = masses(mean)
    return first, [*list(accumulate(terms))[:-1], 1.0]


def played(case: Case, runs: int, seed: int = 1) -> float:
    """The share of rollbacks."""
    release, chance = Release(case), random.Random(seed)
    visitors = Visitors(case, chance)
    return sum(not _play(release, case, visitors, chance) for _ in range(runs)) / runs


def _play(release: Release, case: Case, visitors: Visitors, chance: random.Random) -> bool:
    view, past = release.start, [(0, 0)] * 100
    pieces = round(release.interval / PIECE)
    while True:
        past = [*past[-40:], *(visitors.arrive(view) for _ in range(pieces))]
        after = release.judge(view, [_result(case, metric, past, chance) for metric in release.metrics])
        if isinstance(after, bool):
            return after
        view = after


def _result(case: Case, metric: Any, past: list[tuple[int, int]], chance: random.Random) -> Result:
    """What a metrics server answers, as one of a few values: the rules ask no more than whether it passes."""
    if case.traffic.errors and chance.random() < case.traffic.errors:
        return ERROR
    window = parse(metric.interval)
    seen = past[-round((window - case.traffic.scrape) / PIECE) :]
    good, bad = sum(each[0] for each in seen), sum(each[1] for each in seen)
    if good + bad == 0:
        return NONE
    if (good + bad) * window / (window - case.traffic.scrape) < metric.min_samples - 1e-6:
        return FEW
    return GOOD if passes(metric, "builtin", good / (good + bad) * 100) else BAD


def foreseen(case: Case) -> float:
    """The probability of a rollback that lint foretells."""
    found = outlook(
        canary(case.analysis),
        replace(case.traffic, base=case.share, harm=1),
        provider="istio",
        capabilities=EVERYTHING,
        interval=parse(case.analysis["interval"]),
    )
    return end(found.setting, found.traffic, "healthy").rolled_back


# A grid of Canaries -------------------------------------------------------------------------------------------------

PLANS: tuple[dict[str, Any], ...] = (
    {"stepWeight": 5, "maxWeight": 50},
    {"stepWeights": [1, 5, 20, 60]},
    {"stepWeight": 20, "maxWeight": 50, "mirror": True},
    {"iterations": 10, "match": MATCH},
    {"iterations": 4, "mirror": True},
)
METRICS: tuple[dict[str, Any], ...] = (
    {"interval": "1m"},
    {"interval": "2m"},
    {"interval": "1m", "noData": "wait"},
    {"interval": "1m", "noData": "pass", "noDataAfter": "2m", "minSamples": 20},
    {"interval": "1m", "errorLimit": 1, "initialDelay": "3m"},
    {"interval": "3m"},
)
THRESHOLDS = (2, 5)


def grid() -> list[Case]:
    """Sixty Canaries: five plans, six metrics, two thresholds, with rates and shares that make them uncertain."""
    rates = (0.3, 1.0, 3.0, 10.0, 30.0)
    found = []
    for number, (plan, metric, threshold) in enumerate(product(PLANS, METRICS, THRESHOLDS)):
        counting = "consecutive" if number % 7 == 3 else "cumulative"
        errors = 0.05 if "errorLimit" in metric else 0.0
        analysis_ = {"interval": "1m", "threshold": threshold, "counting": counting, **plan}
        analysis_["metrics"] = [{**RATE, **metric}]
        traffic = Traffic(rates[number % 5], scrape=15.0, errors=errors)
        found.append(Case(analysis_, traffic, (0.005, 0.01)[number % 2]))
    return found
