"""What the operator keeps in mind about one canary between looks; lost in a restart, and never missed.

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
    """One canary's evidence so far, memory, alarm, and how often in a row a look has failed."""

    generation: int | None = None
    evidence: dict[Need, Result] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    offset: float | None = None
    due: float | None = None
    owed: float | None = None
    """When the round that is under way was due."""
    began: float | None = None
    failures: int = 0
    asking: Need | None = None
    gathering: asyncio.Task[None] | None = None
    refused: tuple[object, Problem] | None = None
    stuck: Problem | None = None
    """What was carried out and had no effect, until a look comes to its end."""

    def keep_time(self, offset: float) -> None:
        """`offset` is wall time less monotonic time. When the wall clock was stepped, what is kept moves along."""
        step = 0.0 if self.offset is None else offset - self.offset
        if self.offset is not None and abs(step) < STEP_SECONDS_MIN:
            return
        self.offset = offset
        self.memory = moved(self.memory, step)
        self.due = None if self.due is None else self.due + step
        self.owed = None if self.owed is None else self.owed + step

    @property
    def hindrance(self) -> Problem | None:
        """Why the last action that was refused, or had no effect, was."""
        return self.refused[1] if self.refused else self.stuck

    def remember(self, decision: Decision, done: int, now: float) -> None:
        """The first `done` actions of a decision are carried out, `now` (seconds since the epoch)."""
        self.memory = carried_out(self.memory, decision, done, now)

    def finished(self, decision: Decision) -> None:
        """A decision is carried out to its end: what it wants forgotten may be told again."""
        if decision.memory or self.memory.already:
            self.memory = replace(self.memory, told=(decision.memory or self.memory).told, already=())

    def refuse(self, action: Action, problem: Problem) -> None:
        """An action was not allowed; that stands until one of its sort is, or the spec is another one."""
        self.refused = (_sort(action), problem)

    def allow(self, action: Action) -> None:
        """An action went well."""
        if self.refused and self.refused[0] == _sort(action):
            self.refused = None

    def turn_to(self, generation: int | None) -> None:
        """The spec is that of another generation now: what was asked by the old one answers nothing."""
        self.generation, self.refused, self.stuck = generation, None, None
        self.evidence.clear()
        self.stop_gathering()

    def stop_gathering(self) -> None:
        """What is being asked is of no use any more."""
        if self.gathering is not None:
            self.gathering.cancel()
        self.gathering = self.asking = None


def _sort(action: Action) -> object:
    """What has to go well before a refusal counts as mended: the same sort of action on the same part."""
    return type(action), getattr(action, "part", None)
