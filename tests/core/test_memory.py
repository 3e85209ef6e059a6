"""What is remembered: by value, timed when it was carried out, and as far as it was when an action failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, get_args, get_type_hints

import pytest

from core.world import Killed, World, canary, ready_world
from pyflagger.api.canary import CanaryStatus, Phase
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Fault, Managed, Problem, Route
from pyflagger.core.decision import Action, Alert, Decision, Ensure, Part, Say, ScaleTarget, SetRoute, WriteStatus
from pyflagger.core.memory import (
    AT_WRITE,
    DUE,
    Available,
    Conflict,
    Lapse,
    Memory,
    Notes,
    Round,
    Subject,
    Time,
    Told,
    Wait,
    moved,
    stamped,
)
from pyflagger.core.reasons import ASKING
from pyflagger.core.remember import carried_out

NOW = Time(1_000.0)
SUBJECT, TOLD = Subject("a"), Told("text", time=AT_WRITE)
SAY = Say("Normal", ASKING, "", "", ((SUBJECT, TOLD),))
HOME, STATUS = SetRoute(ALL_PRIMARY), WriteStatus(CanaryStatus())
TWICE = {"mark": Conflict(times=2, at=NOW)}
AFTER = Memory(tick=AT_WRITE, conflicts=TWICE, told={SUBJECT: TOLD}, left=AT_WRITE, grown="r2")


def full(time: Time) -> Memory:
    """A memory with every field set, and this time in all that have one."""
    return Memory(
        tick=time,
        conflicts={"mark": Conflict(times=3, at=time, by=Managed("argocd", "httproute web.test"))},
        told={SUBJECT: Told("text", "Progressing", "r1", Route(80, 20), time)},
        waits={"canary-not-ready": Wait("Progressing", "r1", time, time, "text")},
        troubles={"canary": "text"},
        left=time,
        taken=time,
        announced=time,
        handed_back=time,
        canary_seen=time,
        available=Available("r1", 7.0, time),
        primary_seen=time,
        probed=True,
        target_reverted=True,
        grown="r1",
        pre_rollout="r1",
        lapses={(0, "query"): Lapse(time, 2)},
        opened=Round("r1", time),
        notes=Notes(revision="r1", at=time),
        already=(SAY,),
    )


def times(value: Any) -> list[Time]:
    """Every time in a value."""
    if isinstance(value, Time):
        return [value]
    parts = list(value.values()) if isinstance(value, Mapping) else []
    parts += [getattr(value, each.name) for each in fields(value)] if hasattr(value, "__dataclass_fields__") else []
    return [time for part in parts for time in times(part)]


def test_a_full_memory_has_all_there_is() -> None:
    """The fixture grows with the type: a field that is left out here would not be moved unnoticed."""
    usual, some = Memory(), full(NOW)
    assert [each.name for each in fields(Memory) if getattr(some, each.name) == getattr(usual, each.name)] == []
    hints = get_type_hints(Memory)
    timed = [name for name, hint in hints.items() if Time in get_args(hint)]
    assert len(timed) == 7 and len(times(some)) == len(timed) + 8


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_every_time_moves_with_the_clock(step: float) -> None:
    """By its type, wherever it is; what is no time stays."""
    after = moved(full(NOW), step)
    assert set(times(after)) == {Time(NOW + step)} and after == full(Time(NOW + step))
    assert moved(full(DUE), step) == full(DUE)


def test_at_write_becomes_the_time_of_the_write() -> None:
    """All of them the same one; times that are known stay, and so does a memory without any."""
    assert set(times(stamped(full(AT_WRITE), 5.0))) == {Time(5.0)}
    known = full(NOW)
    assert stamped(known, 5.0) is known


@pytest.mark.parametrize(
    ("actions", "done", "want"),
    [
        ((SAY, HOME, STATUS), 3, stamped(AFTER, NOW)),
        ((SAY, HOME, STATUS), 2, replace(stamped(AFTER, NOW), already=(SAY,))),
        ((SAY, HOME, STATUS), 1, Memory(told={SUBJECT: TOLD}, already=(SAY,))),
        ((SAY, HOME, STATUS), 0, Memory()),
        ((SAY, HOME, ScaleTarget(2)), 2, Memory(conflicts=TWICE, told={SUBJECT: TOLD}, left=NOW, already=(SAY,))),
        ((HOME, Ensure(Part.ROUTING), SAY), 1, Memory(left=NOW)),
        ((), 0, stamped(AFTER, NOW)),
    ],
    ids=["all", "but the status", "but the route", "nothing", "but what follows the routes", "one of two", "no action"],
)
def test_what_is_kept_when_an_action_fails(actions: tuple[Action, ...], done: int, want: Memory) -> None:
    """What was told, and what was written once all routes are; the rest is decided again."""
    assert carried_out(Memory(), Decision(actions=actions, memory=AFTER), done, NOW) == want


def test_a_decision_that_changes_nothing_leaves_the_memory() -> None:
    """The same object, so that it costs nothing."""
    known = full(NOW)
    assert carried_out(known, Decision(actions=(Ensure(Part.OWNERS),)), 1, 5.0) is known


@pytest.mark.parametrize(("route", "everyone"), [(Route(80, 20), False), (ALL_CANARY, True), (ALL_PRIMARY, False)])
def test_where_visitors_are_is_known_of_the_last_split_alone(route: Route, everyone: bool) -> None:
    """A time at which they left counts for nothing once they were led back."""
    decision = Decision(actions=(SetRoute(route, everyone), ScaleTarget(2)), memory=AFTER)
    found = carried_out(full(DUE), decision, 1, NOW)
    assert (found.left is not None, found.taken is not None) == (route == ALL_PRIMARY, everyone)


def test_what_a_decision_told_before_it_failed_the_next_one_leaves_out() -> None:
    """Once; a decision that is carried out to its end may be followed by one that tells the same."""
    world = ready_world().change("v1:r2")
    first = world.decide()
    told = tuple(action for action in first.actions if isinstance(action, Say | Alert))
    assert len(told) == 2 and first.actions[1:3] == told
    world.memory = carried_out(world.memory, first, 3, world.now)
    second = world.decide()
    assert second.actions == (first.actions[0], *first.actions[3:]) and second.memory is not None
    world.memory = carried_out(world.memory, second, len(second.actions), world.now)
    assert world.memory.already == () and world.decide().actions == first.actions


def test_suspended_is_told_each_time_it_is() -> None:
    """Nothing has to be done in between."""
    world = ready_world()
    for times_told in (1, 2):
        world.spec(suspend=True).run(5).spec(suspend=False).run(5)
        assert world.texts.count("skipping canary run as object is suspended") == times_told
    assert [type(action) for action in world.actions] == [Say, Say]


def test_what_stands_is_told_once_and_again_when_it_comes_back() -> None:
    """A second problem is told beside the first, which is not repeated."""
    first, second = (Problem(Fault.MANIFEST, text, "Mend it.") for text in ("one", "two"))
    world = World(canary(), problems=(first,)).run(20)
    world.problems = (first, second)
    assert world.run(20).texts == ["one", "two"]
    world.problems = (second,)
    assert world.run(20).texts == ["one", "two"]
    world.problems = (first, second)
    assert world.run(20).texts == ["one", "two", "one"]


def test_a_round_is_opened_once() -> None:
    """A process that dies loses its memory, and tells again; one that does not, does not."""
    world = ready_world({"webhooks": [{"name": "no", "type": "pre-rollout", "url": "http://no"}]}, hooks={"no": "no"})
    world.change("v1:r2").run(5)
    assert world.status.phase is Phase.PROGRESSING and world.memory.opened is not None
    opened = replace(world.memory.opened)
    world.look()
    assert world.memory.opened == opened
    world.kill_after = 0
    world.now += world.interval
    with pytest.raises(Killed):
        world.settle()
    assert world.memory == Memory()
