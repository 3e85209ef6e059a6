"""A run as a chain of rounds: how likely it ends in which way, and after how many checks. Exact.

Applies where no request is in the windows of two checks. States are step, failed checks and what the policies remember.
All terms are products and sums of probabilities, so nothing cancels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pyflagger.foresight.rules import Rounds, State

NEGLIGIBLE = 1e-18
"""Probabilities below this are dropped: of releases that still wait."""

Pool: TypeAlias = Mapping[State, float]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends. `rolled`: the probability of a rollback at each step. `visits`: the expected checks of each step.

    `error`: the standard error of the probabilities if they are simulated, else 0.
    """

    promoted: float
    rolled: Sequence[float]
    visits: Sequence[float]
    error: float = 0.0

    @property
    def rolled_back(self) -> float:
        """The probability of a rollback."""
        return sum(self.rolled)

    @property
    def checks(self) -> float:
        """The expected number of checks."""
        return sum(self.visits)


@dataclass
class _Run:
    """The flow through one step: `arrive[c]` has the mass of releases with `c` failed checks."""

    rounds: Rounds
    threshold: int
    consecutive: bool
    arrive: list[dict[State, float]]
    rolled: list[float] = field(default_factory=list)
    visits: list[float] = field(default_factory=list)

    def step(self, at: int) -> None:
        """Judge a step until each release has left it."""
        following: list[dict[State, float]] = [defaultdict(float) for _ in range(self.threshold)]
        self.rolled.append(0.0)
        self.visits.append(0.0)
        for failed in range(self.threshold):
            pool: Pool = self.arrive[failed]
            while (mass := sum(pool.values())) > NEGLIGIBLE:
                self.visits[at] += mass
                pool = self._round(at, failed, pool, following[0 if self.consecutive else failed])
        self.arrive = following

    def _round(self, at: int, failed: int, pool: Pool, passed: dict[State, float]) -> Pool:
        """Judge a pool once. Returns those that wait."""
        waiting: dict[State, float] = defaultdict(float)
        for state, mass in pool.items():
            for (verdict, after), probability in self.rounds.at(at, state).items():
                if verdict == "pass":
                    passed[after] += mass * probability
                elif verdict == "wait":
                    waiting[after] += mass * probability
                elif failed + 1 < self.threshold:
                    self.arrive[failed + 1][after] += mass * probability
                else:
                    self.rolled[at] += mass * probability
        return waiting


def ending(rounds: Rounds, threshold: int, *, consecutive: bool = False) -> Ending:
    """How a run ends whose `threshold`th failed check rolls back."""
    run = _Run(rounds, threshold, consecutive, [defaultdict(float) for _ in range(threshold)])
    run.arrive[0][rounds.start] = 1.0
    for at in range(rounds.steps):
        run.step(at)
    promoted = sum(sum(pool.values()) for pool in run.arrive)
    return Ending(promoted, run.rolled, run.visits)
