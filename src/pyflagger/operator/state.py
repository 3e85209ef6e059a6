"""The state that the operator keeps about one canary between reconciliations. A restart may lose it.

Owned by `operator.reconcile`; `operator.observe` reads its memory into the Situation.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from pyflagger.api.facts import Problem
from pyflagger.core.decision import Action, Decision
from pyflagger.core.memory import Memory, moved
from pyflagger.core.remember import carried_out
from pyflagger.core.situation import Need, Result

STEP_SECONDS_MIN = 0.5
"""A wall clock that is off by less was slewed, not stepped."""


@dataclass(slots=True)
class State:
    """The evidence, memory, wake-up and consecutive failures of one canary."""

    generation: int | None = None
    evidence: dict[Need, Result] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    offset: float | None = None
    due: float | None = None
    owed: float | None = None
    """When the current round was due."""
    began: float | None = None
    failures: int = 0
    asking: tuple[Need, ...] = ()
    asked_at: float | None = None
    """Since when it waits for the answers to what it is `asking`."""
    gathering: asyncio.Task[None] | None = None
    refused: tuple[object, Problem] | None = None
    stuck: Problem | None = None
    """Actions without effect, until a reconciliation ends normally."""

    def keep_time(self, offset: float) -> None:
        """`offset` is wall time less monotonic time. When the wall clock was stepped, what is kept moves along."""
        step = 0.0 if self.offset is None else offset - self.offset
        if self.offset is not None and abs(step) < STEP_SECONDS_MIN:
            return
        self.offset = offset
        self.memory = moved(self.memory, step)
        self.due = None if self.due is None else self.due + step
        self.owed = None if self.owed is None else self.owed + step
        self.asked_at = None if self.asked_at is None else self.asked_at + step

    @property
    def hindrance(self) -> Problem | None:
        """The problem of the last action that was refused or had no effect."""
        return self.refused[1] if self.refused else self.stuck

    def remember(self, decision: Decision, done: int, now: float) -> None:
        """The first `done` actions of a decision are carried out, `now` (seconds since the epoch)."""
        self.memory = carried_out(self.memory, decision, done, now)

    def finished(self, decision: Decision) -> None:
        """A decision is completed: the texts that it forgets may be reported again."""
        if decision.memory or self.memory.already:
            self.memory = replace(self.memory, told=(decision.memory or self.memory).told, already=())

    def refuse(self, action: Action, problem: Problem) -> None:
        """Record a refused action, until an action of its sort succeeds or the spec changes."""
        self.refused = (_sort(action), problem)

    def allow(self, action: Action) -> None:
        """Record a successful action."""
        if self.refused and self.refused[0] == _sort(action):
            self.refused = None

    def turn_to(self, generation: int | None) -> None:
        """Set the generation of the spec. Evidence for an older generation is dropped."""
        self.generation, self.refused, self.stuck = generation, None, None
        self.evidence.clear()
        self.stop_gathering()

    def stop_gathering(self) -> None:
        """Cancel the evidence that is being gathered."""
        if self.gathering is not None:
            self.gathering.cancel()
        self.answered()

    def ask(self, needs: tuple[Need, ...], now: float) -> None:
        """Some needs are asked now."""
        self.asking, self.asked_at = needs, now

    def answered(self) -> None:
        """It waits for no answer now."""
        self.gathering, self.asking, self.asked_at = None, (), None


def _sort(action: Action) -> object:
    """The sort of an action. A success of the same sort on the same part clears a refusal."""
    return type(action), getattr(action, "part", None)
