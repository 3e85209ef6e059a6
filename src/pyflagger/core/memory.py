"""What flagger remembers of a canary between decisions and does not store; empty after a restart.

A decision returns the next memory as a value. Whatever is forgotten in a restart is found out again at no harm: an
Event is repeated, a check is made again, a pause begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar, cast

from pyflagger.api.facts import Managed, Route

T = TypeVar("T")

Role: TypeAlias = Literal["canary", "primary"]


class Time(float):
    """Seconds since the epoch. A type of its own: when the wall clock is stepped, each Time in a memory moves along."""

    __slots__ = ()


DUE: Final = Time(0.0)
"""Long ago: the next judging round may begin at once."""

AT_WRITE: Final = Time("inf")
"""The time at which the decision has been carried out but for its status write, which only the operator knows."""


class Subject(NamedTuple):
    """What is told once: a reason's code or a condition's type, and which one where several stand at the same time."""

    code: str
    item: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told last of a subject. Phase, revision and route are empty where a telling does not depend on them."""

    text: str
    phase: str = ""
    revision: str = ""
    route: Route | None = None
    time: Time = field(default=AT_WRITE, compare=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for pods or for a route: in which phase and for which revision, since when, and what was told of it last.

    `since` is None when it is over: the same wait that begins again is not told at once.
    """

    phase: str
    revision: str
    since: Time | None
    told_at: Time
    text: str


@dataclass(frozen=True, slots=True)
class Round:
    """One judging round: its revision, and when the round before ended (None: unknown)."""

    revision: str
    after: Time | None


@dataclass(frozen=True, slots=True)
class Available:
    """Pods of a revision that became available.

    `settled` is when proxies know of them by the API's time, which no step of our clock moves. `seen` is when flagger
    saw them.
    """

    revision: str
    settled: float
    seen: Time


@dataclass(frozen=True, slots=True)
class Conflict:
    """How often in a row the same was written, when last, and who had undone it.

    `harmless`: whoever undoes it leads no visitor elsewhere. `most`: for how many seconds it is put off at most.
    """

    times: int = 1
    at: Time = DUE
    by: Managed = field(default_factory=Managed)
    harmless: bool = False
    most: float = 300.0


@dataclass(frozen=True, slots=True)
class Memory:
    """All of it. A time is None until what it tells of has happened, a revision is empty until there is one.

    `tick` is when the last judging round ended, where that is newer than `status.lastTickTime`. `conflicts` are the
    writes to routes and Services of lately, by what was written. `told` is what is not told again.
    """

    tick: Time | None = None
    conflicts: Mapping[str, Conflict] = field(default_factory=dict)
    told: Mapping[Subject, Told] = field(default_factory=dict)
    waits: Mapping[str, Wait] = field(default_factory=dict)
    """By the code of the reason for the wait."""

    troubles: Mapping[Role, str] = field(default_factory=dict)
    """What the pods of each role said of themselves when they were asked last."""

    left: Time | None = None
    """When flagger routed all traffic away from the target's pods."""

    taken: Time | None = None
    """When flagger routed everybody to the canary, those that match no rule (A/B) too."""

    announced: Time | None = None
    """When the data plane had accepted routes that name Services which they do not lead to."""

    handed_back: Time | None = None
    """When the user's objects were restored on deletion."""

    canary_seen: Time | None = None
    """When the canary's pods were first seen ready, where nothing in the cluster tells."""

    available: Available | None = None
    """The canary's pods that became available last."""

    primary_seen: Time | None = None
    """When the primary was first seen ready after a rollout that kept none of its pods."""

    probed: bool = False
    """Whether the metric providers have been probed."""

    target_reverted: bool = False
    """Whether the target has been scaled up on deletion."""

    grown: str = ""
    """The revision for which the canary's autoscaler has been asked for as many pods as the primary has."""

    pre_rollout: str = ""
    """The revision that passed its pre-rollout hooks."""

    opened: Round | None = None
    """The first round that was told of. Its rollback hooks were asked before."""

    already: tuple[object, ...] = ()
    """The Events, alerts and counts of a decision that failed after them: those of the next one that are equal are left
    out."""

    def round_ended(self) -> Memory:
        """A judging round ends with what is written now: a slow write takes nothing from its interval."""
        return replace(self, tick=AT_WRITE)

    def new_run(self, tick: Time, lasting: Container[str]) -> Memory:
        """The memory when a run begins or ends: of the run before it keeps conflicts, and what was told of `lasting`
        subjects (codes)."""
        kept = {subject: told for subject, told in self.told.items() if subject.code in lasting}
        return Memory(tick=tick, conflicts=self.conflicts, told=kept)

    def without(self, code: str, *but: str) -> Memory:
        """Forget what was told of a subject, `but` some of its items: when it comes back, it is told again."""
        gone = {subject for subject in self.told if subject.code == code and subject.item not in but}
        return replace(self, told={key: self.told[key] for key in self.told if key not in gone}) if gone else self


def stamped(memory: Memory, now: float) -> Memory:
    """The memory with `now` (seconds since the epoch) in the place of AT_WRITE."""
    return _timed(memory, lambda time: Time(now) if time == AT_WRITE else time)


def moved(memory: Memory, seconds: float) -> Memory:
    """The memory after the wall clock was stepped: every time moves along. DUE is none that could."""
    return _timed(memory, lambda time: time if time in (DUE, AT_WRITE) else Time(time + seconds))


def _timed(value: T, change: Callable[[Time], Time]) -> T:
    """A value with each Time in it changed; the same object when none is."""
    found: Any = value
    if isinstance(value, Time):
        found = change(value)
    elif isinstance(value, Mapping):
        new = _changed(value, change)
        found = {**value, **new} if new else value
    elif is_dataclass(value) and not isinstance(value, type):
        new = _changed({each.name: getattr(value, each.name) for each in fields(value)}, change)
        found = replace(value, **new) if new else value
    return cast(T, found)


def _changed(values: Mapping[Any, Any], change: Callable[[Time], Time]) -> dict[Any, Any]:
    """Of some values those that change."""
    after = {key: _timed(old, change) for key, old in values.items()}
    return {key: new for key, new in after.items() if new is not values[key]}
