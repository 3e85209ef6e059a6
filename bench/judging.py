"""How often comparisons are wrong: releases with known error rates, judged by the operator's own decisions.

`make bench-judging` plays a thousand releases of each kind. A release is a series of rounds: traffic is drawn from a
model, and `core.decide` decides what follows, from the status that it wrote last. Times are virtual. The models:

steady    requests and errors are independent
drift     the base rate of errors rises tenfold during the release, on both sides
burst     volume and base rate change from round to round on both sides; errors come in clumps, each on one side
heavy     the same, with clumps of up to a thousand errors
pods      each side has an error rate of its own in each unit, as few pods have
straddle  clumps that last for two units on one side, against the assumption
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from core.world import INTERVAL, ready_world
from pyflagger.api.canary import Phase
from pyflagger.api.compared import Counted
from pyflagger.api.facts import Route
from pyflagger.core.betting import Unit
from pyflagger.core.comparison import need
from pyflagger.core.decide import decide
from pyflagger.core.decision import Decision, SetRoute, WriteStatus
from pyflagger.core.memory import Memory
from pyflagger.core.situation import CheckMetric, Counts, Situation, Value
from pyflagger.core.verdict import checks
from pyflagger.core.view import View

BASE = 0.005
CLUMP = 5.0
UNITS = 2
ROUNDS_MAX = 300
METRIC = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "compare": {"warmUp": "0s"}}
STEPS = {"stepWeights": list(range(5, 51, 5)), "maxWeight": 50, "threshold": 2}


class Traffic(NamedTuple):
    """Requests a round in all, how much worse the canary is, and the model."""

    rate: float
    times: float
    model: str


class Ended(NamedTuple):
    """How a release ended, after how many rounds, and how many visitors the canary failed."""

    rolled_back: bool
    rounds: int
    failed: float


# Drawing ------------------------------------------------------------------------------------------------------------


def poisson(random: Random, mean: float) -> int:
    """A number of independent events; a normal approximation from a mean of 100 on."""
    if mean > 100:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, many, product = math.exp(-mean), 0, random.random()
    while product > limit:
        many += 1
        product *= random.random()
    return many


def _clump(random: Random, heavy: bool) -> int:
    if heavy:
        return min(1000, int(random.paretovariate(1.3)))
    return 1 + int(math.log(1 - random.random()) / math.log(1 - 1 / CLUMP))


def _clumps(random: Random, mean: float, heavy: bool) -> int:
    """Errors in clumps whose mean number of errors is `mean`."""
    return sum(_clump(random, heavy) for _ in range(poisson(random, mean / CLUMP)))


class Visitors:
    """The traffic of one release."""

    def __init__(self, random: Random, traffic: Traffic) -> None:
        self._random, self._traffic = random, traffic
        self._late = [0, 0]
        self._rounds = 0

    def round(self, weight: int, until: float) -> tuple[Unit, ...]:
        """The units of one round at this weight."""
        volume, base = self._traffic.rate / UNITS, self._base()
        if self._traffic.model in ("burst", "heavy", "straddle"):
            volume *= self._random.lognormvariate(-0.5, 1.0)
            base = min(0.2, base * self._random.gammavariate(0.5, 2.0))
        self._rounds += 1
        return tuple(
            self._unit(weight / 100, volume, base, until - at * INTERVAL / UNITS) for at in reversed(range(UNITS))
        )

    def _base(self) -> float:
        return BASE * (0.2 + 0.18 * min(self._rounds, 10)) if self._traffic.model == "drift" else BASE

    def _unit(self, share: float, volume: float, base: float, until: float) -> Unit:
        sides = [self._side(0, volume * share, base * self._traffic.times), self._side(1, volume * (1 - share), base)]
        return Unit(until, *sides)

    def _side(self, at: int, mean: float, errors: float) -> Counted:
        random, model = self._random, self._traffic.model
        if model == "pods":
            shape = (4.0, 36.0)[at]
            errors *= random.gammavariate(shape, 1 / shape)
        requests, errors = poisson(random, mean), min(0.95, errors)
        if model in ("steady", "drift", "pods"):
            bad = poisson(random, requests * errors)
        else:
            bad = _clumps(random, requests * errors, model == "heavy")
        if model == "straddle":
            bad, self._late[at] = bad - bad // 2 + self._late[at], bad // 2
        return Counted(float(bad), float(max(requests, bad)))


# Releasing ----------------------------------------------------------------------------------------------------------


def begun() -> Situation:
    """A release that has just got its first weight."""
    world = ready_world({**STEPS, "metrics": [METRIC]}).change("v1:r2")
    while not world.route or not world.route.canary:
        world.run(0.5)
    return replace(world.situation(), memory=Memory(), evidence={})


def release(start: Situation, visitors: Visitors) -> Ended:
    """Play one release to its end."""
    situation, failed = start, 0.0
    for rounds in range(1, ROUNDS_MAX):
        now = (situation.canary.status.last_tick_time or situation.now) + situation.interval
        route = situation.route
        assert isinstance(route, Route)
        units = visitors.round(route.canary, now)
        failed += sum(unit.canary.bad for unit in units)
        situation = replace(situation, now=now, memory=Memory())
        (check,) = checks(View.of(situation).analysis)
        counted = need(View.of(situation), check)
        evidence = {CheckMetric(0, "builtin"): Value(100.0), **({counted: Counts(units)} if counted else {})}
        situation = _applied(replace(situation, evidence=evidence))
        status = situation.canary.status
        if status.rollback is not None or status.phase is not Phase.PROGRESSING:
            return Ended(status.rollback is not None, rounds, failed)
    return Ended(False, ROUNDS_MAX, failed)


def _applied(situation: Situation) -> Situation:
    """The situation after the decision of a round."""
    decision = _decided(situation)
    route, canary = situation.route, situation.canary
    for action in decision.actions:
        if isinstance(action, SetRoute):
            route = action.route
        if isinstance(action, WriteStatus):
            canary = canary.model_copy(update={"status": action.status})
    return replace(situation, route=route, canary=canary)


def _decided(situation: Situation) -> Decision:
    """The decision that ends the round. The first weight is written before it."""
    for _ in range(4):
        decision = decide(situation)
        if any(isinstance(action, WriteStatus) for action in decision.actions):
            return decision
        situation = replace(situation, memory=decision.memory or situation.memory)
    raise AssertionError(f"no round: {decision.reasons}")


# Reporting ----------------------------------------------------------------------------------------------------------


def wilson(found: int, runs: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    z, share = 1.96, found / runs
    middle = (share + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z / (1 + z * z / runs) * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    return middle - half, middle + half


def told(traffic: Traffic, ended: list[Ended]) -> str:
    """A row of the table."""
    found, runs = sum(each.rolled_back for each in ended), len(ended)
    low, high = wilson(found, runs)
    rounds, failed = (
        sum(values) / runs for values in zip(*((each.rounds, each.failed) for each in ended), strict=True)
    )
    share = f"{100 * found / runs:.2f} % ({100 * max(0.0, low):.2f} to {100 * high:.2f})"
    return f"| {traffic.model} | {traffic.rate:g} | {traffic.times:g} | {share} | {rounds:.1f} | {failed:.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--models", nargs="+", default=["steady", "drift", "burst", "heavy", "pods", "straddle"])
    parser.add_argument("--rates", nargs="+", type=float, default=[10, 100, 1000, 10_000])
    parser.add_argument("--times", nargs="+", type=float, default=[1.0, 1.25])
    options = parser.parse_args()
    start = begun()
    print("| model | requests a round | canary's errors | rolled back (95 %) | rounds | failed visits |")
    print("|---|---|---|---|---|---|")
    for model in options.models:
        for rate in options.rates:
            for times in options.times:
                traffic, random = Traffic(rate, times, model), Random(f"{model} {rate} {times}")
                ended = [release(start, Visitors(random, traffic)) for _ in range(options.runs)]
                print(told(traffic, ended), flush=True)


if __name__ == "__main__":
    main()
