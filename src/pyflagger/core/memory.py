"""What flagger remembers of a canary between decisions without storing it. Empty after a restart.

A decision returns the next memory as a value. Losing it in a restart is safe: flagger repeats an Event, repeats a
check, or restarts a pause.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from functools import cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar, cast, get_args, get_type_hints

from pyflagger.api.facts import Managed, Route
from pyflagger.api.records import Acted, Judged, Waited

T = TypeVar("T")

Role: TypeAlias = Literal["canary", "primary"]


class Time(float):
    """Seconds since the epoch. A separate type, because a step of the wall clock moves every Time in a memory."""

    __slots__ = ()


DUE: Final = Time(0.0)
"""Long ago: the next judging round may start immediately."""

AT_WRITE: Final = Time("inf")
"""A placeholder for the time just before the decision's status write, which only the operator knows."""


class Subject(NamedTuple):
    """The subject of a report: a reason's code or a condition's type, and an item if several can coexist."""

    code: str
    item: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """The last report on a subject. Phase, revision and route are empty if the report does not depend on them."""

    text: str
    phase: str = ""
    revision: str = ""
    route: Route | None = None
    time: Time = field(default=AT_WRITE, compare=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait for pods or for a route: its phase and revision, its start, and its last report.

    `since` is None if it is over. If the same wait starts again, flagger does not report it immediately.
    """

    phase: str
    revision: str
    since: Time | None
    told_at: Time
    text: str


@dataclass(frozen=True, slots=True)
class Round:
    """One judging round: its revision, and the end of the previous round (None: unknown)."""

    revision: str
    after: Time | None


@dataclass(frozen=True, slots=True)
class Available:
    """Pods of a revision that became available.

    `settled`: when proxies know them, in the API's time, which steps of the local clock do not move. `seen`: when
    flagger saw them.
    """

    revision: str
    settled: float
    seen: Time


@dataclass(frozen=True, slots=True)
class Lapse:
    """What a metric has lacked in a row. `silent_since`: the first round without data. `errors`: errors so far."""

    silent_since: Time | None = None
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Conflict:
    """How often flagger repeated a write, the time of the last one, and the field manager that undid it.

    `harmless`: undoing it affects no visitor. `most`: the maximum backoff in seconds.
    """

    times: int = 1
    at: Time = DUE
    by: Managed = field(default_factory=Managed)
    harmless: bool = False
    most: float = 300.0


@dataclass(frozen=True, slots=True)
class Notes:
    """Rounds, waits and actions of the release under way that its record lacks.

    `revision`: the one that the record names, empty if unknown. `at`: the last write to the record.
    """

    rounds: tuple[Judged, ...] = ()
    waits: tuple[Waited, ...] = ()
    actions: tuple[Acted, ...] = ()
    revision: str = ""
    at: Time | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """The whole memory. A time is None, and a revision is empty, until the event occurs.

    `tick`: the end of the last judging round, if newer than `status.lastTickTime`. `conflicts`: the recent writes to
    routes and Services, by content. `told`: the reports that flagger does not repeat.
    """

    tick: Time | None = None
    conflicts: Mapping[str, Conflict] = field(default_factory=dict)
    told: Mapping[Subject, Told] = field(default_factory=dict)
    waits: Mapping[str, Wait] = field(default_factory=dict)
    """By the code of the reason for the wait."""

    troubles: Mapping[Role, str] = field(default_factory=dict)
    """The last known trouble of the pods, by role."""

    left: Time | None = None
    """When flagger routed all traffic away from the target's pods."""

    taken: Time | None = None
    """When flagger routed all visitors to the canary, including those that match no rule (A/B)."""

    announced: Time | None = None
    """When the data plane had accepted routes that name new Services at weight 0."""

    handed_back: Time | None = None
    """When flagger restored the user's objects on deletion."""

    canary_seen: Time | None = None
    """When flagger first saw the canary's pods ready, if the cluster does not record it."""

    available: Available | None = None
    """The pods of the canary that became available last."""

    primary_seen: Time | None = None
    """When flagger first saw the primary ready after a rollout that kept no pods."""

    probed: bool = False
    """Whether flagger has probed the metric providers."""

    target_reverted: bool = False
    """Whether flagger has scaled up the target on deletion."""

    grown: str = ""
    """The revision whose canary flagger has scaled to the primary's replicas."""

    pre_rollout: str = ""
    """The revision that passed its pre-rollout hooks."""

    lapses: Mapping[tuple[int, str], Lapse] = field(default_factory=dict)
    """By index and source of the check."""

    opened: Round | None = None
    """The first reported round. Its rollback hooks were called before."""

    notes: Notes = field(default_factory=Notes)
    """What the record of the release still lacks."""

    already: tuple[object, ...] = ()
    """The Events, alerts and counts of a decision that failed after them. The next decision omits equal ones."""

    def round_ended(self) -> Memory:
        """The memory after a judging round. The interval starts with the write, so a slow write cannot shorten it."""
        return replace(self, tick=AT_WRITE)

    def new_run(self, tick: Time, lasting: Container[str]) -> Memory:
        """The memory at the start or end of a run. Keeps conflicts, notes, and `lasting` reports (codes)."""
        kept = {subject: told for subject, told in self.told.items() if subject.code in lasting}
        return Memory(tick=tick, conflicts=self.conflicts, told=kept, notes=self.notes)

    def without(self, code: str, *but: str) -> Memory:
        """Forget the reports on a subject, `but` some of its items, so that flagger reports it if it returns."""
        gone = {subject for subject in self.told if subject.code == code and subject.item not in but}
        return replace(self, told={key: self.told[key] for key in self.told if key not in gone}) if gone else self


def stamped(memory: Memory, now: float) -> Memory:
    """The memory with `now` (seconds since the epoch) in place of AT_WRITE."""
    return _timed(memory, lambda time: Time(now) if time == AT_WRITE else time)


def moved(memory: Memory, seconds: float) -> Memory:
    """The memory after a step of the wall clock. Every time moves, except DUE and AT_WRITE."""
    return _timed(memory, lambda time: time if time in (DUE, AT_WRITE) else Time(time + seconds))


def _timed(value: T, change: Callable[[Time], Time]) -> T:
    """A Time, mapping or dataclass with every Time in it changed; the same object without a change."""
    found: Any = value
    if isinstance(value, Time):
        found = change(value)
    elif isinstance(value, Mapping):
        new = _changed(value, change)
        found = {**value, **new} if new else value
    else:
        new = _changed({name: getattr(value, name) for name in _timed_fields(found.__class__)}, change)
        found = replace(found, **new) if new else value
    return cast(T, found)


@cache
def _timed_fields(kind: type[Any]) -> tuple[str, ...]:
    """The fields of a dataclass that can hold a Time, by their types."""
    return tuple(name for name, hint in get_type_hints(kind).items() if _holds_times(hint))


def _holds_times(hint: Any) -> bool:
    inner = get_type_hints(hint).values() if is_dataclass(hint) else get_args(hint)
    return hint is Time or any(map(_holds_times, inner))


def _changed(values: Mapping[Any, Any], change: Callable[[Time], Time]) -> dict[Any, Any]:
    """The values that change, with their new values."""
    after = {key: _timed(old, change) for key, old in values.items() if old is not None}
    return {key: new for key, new in after.items() if new is not values[key]}
