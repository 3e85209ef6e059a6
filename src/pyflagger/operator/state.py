"""What the operator keeps in mind about one canary between looks; lost in a restart, and never missed.

Owned by `operator.reconcile`; `operator.observe` reads its memory into the Situation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pyflagger.api.facts import Problem
from pyflagger.core.decision import Action, Remember
from pyflagger.core.situation import DUE, Contest, Memory, Need, Result

STEP_SECONDS_MIN = 0.5
"""A wall clock that is off by less was slewed, not stepped."""


@dataclass(slots=True)
class State:
    """One canary's evidence so far, standing texts, alarm, and how often in a row a look has failed."""

    generation: int | None = None
    evidence: dict[Need, Result] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    tick: float | None = None
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

    contests: Mapping[str, Contest] = field(default_factory=dict)

    def keep_time(self, offset: float) -> None:
        """`offset` is wall time less monotonic time. When the wall clock was stepped, what is kept moves along."""
        step = 0.0 if self.offset is None else offset - self.offset
        if self.offset is not None and abs(step) < STEP_SECONDS_MIN:
            return
        self.offset = offset
        self.tick = self.tick + step if self.tick else self.tick
        self.due = None if self.due is None else self.due + step
        self.owed = None if self.owed is None else self.owed + step
        self.contests = {mark: replace(each, at=each.at + step) for mark, each in self.contests.items()}

    def memory(self) -> Memory:
        """What a decision may know of it."""
        return Memory(
            said=dict(self.said),
            tick=self.tick,
            refused=self.refused[1] if self.refused else self.stuck,
            contests=self.contests,
        )

    def refuse(self, action: Action, problem: Problem) -> None:
        """An action was not allowed; that stands until one of its sort is, or the spec is another one."""
        self.refused = (_sort(action), problem)

    def allow(self, action: Action) -> None:
        """An action went well."""
        if self.refused and self.refused[0] == _sort(action):
            self.refused = None

    def remember(self, change: Remember, now: float) -> None:
        """Carry a Remember out, `now` (seconds since the epoch)."""
        if change.tick is not None:
            self.tick = now if change.tick == "ended" else DUE
        if change.contests is not None:
            self.contests = change.contests
        for code, text in change.said:
            if text is None:
                self.said.pop(code, None)
            else:
                self.said[code] = text
        self.said.update(dict.fromkeys(change.stamped, str(now)))

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
