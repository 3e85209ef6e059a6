"""A run whose windows overlap in other ways, played many times with seeded random numbers.

For windows of more than two intervals, and for overlapping windows of several metrics or with a policy. The only module
of the package that draws random numbers. The same arguments give the same figures.
"""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TypeAlias

from pyflagger.foresight.chain import Ending
from pyflagger.foresight.checks import needed
from pyflagger.foresight.judges import Judge
from pyflagger.foresight.poisson import masses
from pyflagger.foresight.rules import NOTHING, Lapse, Outcome, Verdict, judged

BATCH, RUNS = 2_000, 20_000
"""Releases to play at once, and at most."""

ERROR = 0.004
"""The standard error of a probability at which the play ends."""

SEED = 18

Column: TypeAlias = list[int]
"""Requests of a kind up to each part of an interval, from the start of the run."""


@dataclass(frozen=True)
class Scene:
    """What to play. `rates`: requests a second at each step. `shares`: of bad requests, for each judge. `errors`: the
    share of queries that fail. `interval` in seconds."""

    rates: Sequence[float]
    judges: Sequence[Judge]
    shares: Sequence[float]
    interval: float
    errors: float

    @cached_property
    def cuts(self) -> list[float]:
        """The parts of an interval: from each to the next. A window begins at one of them."""
        rests = {self.interval - self._rest(judge) for judge in self.judges}
        return [*sorted({0.0, *rests} - {self.interval}), self.interval]

    @cached_property
    def lengths(self) -> list[int]:
        """How many parts are in the window of each judge."""
        whole = len(self.cuts) - 1
        rests = [sum(1 for cut in self.cuts[:-1] if cut >= self.interval - self._rest(judge)) for judge in self.judges]
        return [int(judge.seen // self.interval) * whole + rest for judge, rest in zip(self.judges, rests, strict=True)]

    def _rest(self, judge: Judge) -> float:
        return round(max(0.0, judge.seen) % self.interval, 6)

    def share(self, kind: str) -> float:
        """The share of failed or slow requests."""
        pairs = zip(self.judges, self.shares, strict=True)
        return next((share for judge, share in pairs if judge.kind == kind), 0.0)


class _Player:
    """Plays releases. `visits` and `rolled` count the checks and the rollbacks of each step."""

    def __init__(self, scene: Scene, threshold: int, consecutive: bool, seed: int) -> None:
        self._scene, self._threshold, self._consecutive = scene, threshold, consecutive
        self._uniform = random.Random(seed).random
        self._kinds = sorted({judge.kind for judge in scene.judges})
        self._steps = [self._draws(rate) for rate in scene.rates]
        self.visits, self.rolled = [0] * len(scene.rates), [0] * len(scene.rates)

    def _draws(self, rate: float) -> list[list[tuple[int, list[float]]]]:
        """For each part of an interval at this rate: the laws of its good requests and of each kind of bad ones."""
        shares = [self._scene.share(kind) for kind in self._kinds]
        shares.insert(0, max(0.0, 1 - sum(shares)))
        parts = [rate * (stop - start) for start, stop in pairwise(self._scene.cuts)]
        return [[_law(requests * share) for share in shares] for requests in parts]

    def play(self) -> None:
        """One release."""
        columns = [[0] * (max(self._scene.lengths) + 1) for _ in range(1 + len(self._kinds))]
        lapses: list[Lapse] = [NOTHING] * len(self._scene.judges)
        at = failed = age = 0
        while at < len(self._steps):
            self.visits[at] += 1
            age += 1
            self._arrive(at, columns)
            verdict = self._round(columns, lapses, age)
            if verdict == "pass":
                at, failed = at + 1, 0 if self._consecutive else failed
            failed += verdict == "fail"
            if failed == self._threshold:
                self.rolled[at] += 1
                return

    def _arrive(self, at: int, columns: list[Column]) -> None:
        """The requests of an interval at a step."""
        uniform = self._uniform
        for laws in self._steps[at]:
            for column, (first, sums) in zip(columns, laws, strict=True):
                column.append(column[-1] + first + bisect(sums, uniform()))

    def _round(self, columns: list[Column], lapses: list[Lapse], age: int) -> Verdict:
        """Judge a round, and keep what it leaves."""
        verdicts: set[Verdict] = set()
        for index, judge in enumerate(self._scene.judges):
            verdict: Verdict = "pass"
            lapse = NOTHING
            if age > judge.policy.delay:
                outcome = self._outcome(judge, columns, -1 - self._scene.lengths[index])
                verdict, lapse = judged(judge.policy, lapses[index], outcome)
            lapses[index] = lapse
            verdicts.add(verdict)
        return "fail" if "fail" in verdicts else "wait" if "wait" in verdicts else "pass"

    def _outcome(self, judge: Judge, columns: list[Column], start: int) -> Outcome:
        if self._scene.errors and self._uniform() < self._scene.errors:
            return "error"
        if judge.blind and self._uniform() < judge.blind:
            return "none"
        arrived = [column[-1] - column[start] for column in columns]
        total, bad = sum(arrived), arrived[1 + self._kinds.index(judge.kind)]
        if total < max(1, judge.least):
            return "none"
        return "bad" if total - bad < needed(bad, judge.limit) else "pass"


def _law(mean: float) -> tuple[int, list[float]]:
    """A Poisson law: the least number, and the sums of the probabilities from there. The last sum is 1."""
    first, terms = masses(mean)
    return first, [*list(accumulate(terms))[:-1], 1.0]


def ending(scene: Scene, threshold: int, *, consecutive: bool = False, seed: int = SEED, most: int = RUNS) -> Ending:
    """How a run ends, with the standard error of a simulation. `most`: the maximum of releases to play."""
    player = _Player(scene, threshold, consecutive, seed)
    runs, error = 0, 1.0
    while error > ERROR and runs < most:
        for _ in range(BATCH):
            player.play()
        runs += BATCH
        error = _error(sum(player.rolled), runs)
    rolled, visits = [each / runs for each in player.rolled], [each / runs for each in player.visits]
    return Ending((runs - sum(player.rolled)) / runs, rolled, visits, error)


def _error(found: int, runs: int) -> float:
    """The standard error of a share, never 0: two more of each outcome are assumed (Agresti and Coull)."""
    share = (found + 2) / (runs + 4)
    return math.sqrt(share * (1 - share) / (runs + 4))
