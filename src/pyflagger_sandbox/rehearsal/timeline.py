"""What happened in a rehearsal, as values in order, and each canary's state so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pyflagger.objects import Key, Obj
from pyflagger_sandbox.rehearsal.script import When

NEVER_BEGAN = frozenset({"", "Initializing", "Initialized"})
ENDED = frozenset({"Succeeded", "Failed", "Terminated", "gone"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `at`: seconds since the first step of the canary. `passed`: of a check or hook; else None."""

    at: float
    kind: str
    text: str
    passed: bool | None = None


@dataclass(slots=True)
class Track:
    """One canary: its entries, and its state now. `began`: when its first step was, None before."""

    key: Key
    began: float | None = None
    entries: list[Entry] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    called: dict[str, int] = field(default_factory=dict)
    phase: str = ""
    weight: int = 0
    iterations: int = 0
    failed: int = 0
    failed_in_all: int = 0
    checks: int = 0
    weights: list[tuple[float, int]] = field(default_factory=list)
    """The canary's weight by the time at which it was set."""
    running: bool = False
    """Whether a release is running since the last step."""
    waits: str = ""
    """Why the operator waits or refuses, by the conditions of the Canary."""
    stopped: float | None = None
    """When its last phase began."""

    def holds(self, when: When) -> bool:
        """Whether all that is asked for is true now."""
        wanted = (
            not when.phase or self.phase in when.phase,
            when.weight is None or self.weight == when.weight,
            when.iterations is None or self.iterations == when.iterations,
            when.failed_checks is None or self.failed == when.failed_checks,
            not when.event or any(when.event in text for text in self.events),
            not when.hook or self.called.get(when.hook, 0) > 0,
        )
        return all(wanted)


def _waits(conditions: Iterable[Obj]) -> str:
    """The message of the condition Blocked, else of Waiting, if it is true."""
    told = {each.get("type"): each.get("message", "") for each in conditions if each.get("status") == "True"}
    return str(told.get("Blocked") or told.get("Waiting") or "")


class Journal:
    """The tracks of all canaries. `changed` returns at the next change of one of them."""

    def __init__(self, now: Callable[[], float], keys: tuple[Key, ...]) -> None:
        self._now = now
        self.tracks = {key: Track(key) for key in keys}
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def since(self, key: Key) -> float:
        """Seconds since the first step of a canary; 0 before it."""
        began = self.tracks[key].began
        return 0.0 if began is None else round(self._now() - began, 3)

    def note(self, key: Key, kind: str, text: str, passed: bool | None = None) -> None:
        """Write a line, once the first step was made."""
        if self.tracks[key].began is not None:
            self.tracks[key].entries.append(Entry(self.since(key), kind, text, passed))
        self.wake()

    def wake(self) -> None:
        """Let all who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def event(self, key: Key, kind: str, text: str) -> None:
        """An Event of the operator. `kind`: Normal or Warning."""
        self.tracks[key].events.append(text)
        self.note(key, "event" if kind == "Normal" else "warning", text)

    def status(self, key: Key, obj: Obj | None) -> None:
        """The status of a Canary, as it is now."""
        track, status = self.tracks[key], (obj or {}).get("status") or {}
        phase, weight = "gone" if obj is None else status.get("phase", ""), status.get("canaryWeight", 0)
        iterations, failed = status.get("iterations", 0), status.get("failedChecks", 0)
        track.failed_in_all += max(0, failed - track.failed) if track.began is not None else 0
        track.waits = _waits(status.get("conditions") or ())
        before, track.phase, track.failed = track.phase, phase, failed
        weighed, track.weight = track.weight, weight
        iterated, track.iterations = track.iterations, iterations
        if phase != before:
            track.running = track.running or phase not in ENDED | NEVER_BEGAN
            track.stopped = self.since(key)
            self.note(key, "phase", phase)
        if weight != weighed:
            track.weights.append((self.since(key), weight))
            self.note(key, "weight", f"{weight} %")
        if iterations > iterated:
            self.note(key, "iteration", f"{iterations}")
        self.wake()
