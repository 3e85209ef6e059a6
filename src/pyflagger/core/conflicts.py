"""Conflicts with another controller that undoes flagger's writes to routes and Services. Repeats writes with backoff.

A repetition is the same write for the same revision, soon after the last one. A write after a change of the source is
none. Before a repetition, flagger asks the API server for the other field manager, and names it until the write has
lasted for a while. Called by `decide` for every decision, by `preconditions` before it repairs, and by `strategy`
before it steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from pyflagger.api.facts import Managed, Problem
from pyflagger.core import reasons
from pyflagger.core.decision import Action, Decision, Ensure, Part, Reason, SetRoute
from pyflagger.core.memory import Conflict, Time
from pyflagger.core.situation import FindManager, Generated, Sync
from pyflagger.core.view import View

PAUSE_FIRST, PAUSE_MAX, PAUSE_MAX_URGENT = 5.0, 300.0, 30.0
NAMED, UNNAMED = 2, 4
"""The number of repetitions before flagger reports a conflict, with a known and with an unknown field manager."""

ROUTED: Mapping[Part, Callable[[Generated], Sync]] = {
    Part.ROUTING: lambda made: made.routing,
    Part.CANARY_SERVICE: lambda made: made.canary_service,
    Part.PRIMARY_SERVICE: lambda made: made.primary_service,
    Part.APEX_SERVICE: lambda made: made.apex_service,
}
"""The parts that route visitors, and so may have conflicts."""
USED = (Part.APEX_SERVICE, Part.PRIMARY_SERVICE)
"""Services that select no pods once another controller points them at the target. flagger restores them quickly,
because a GitOps controller may do so every minute."""


def manager(view: View) -> Managed | None:
    """The last foreign writer, if flagger has asked for it."""
    found = view.situation.evidence.get(FindManager())
    return found if isinstance(found, Managed) else None


def ask() -> Decision:
    """The decision to ask for the last foreign writer."""
    return Decision(needs=(FindManager(),), reasons=(reasons.ASKING,))


def problems(view: View) -> tuple[Problem, ...]:
    """The current conflicts, as problems."""
    return tuple(dict.fromkeys(_problem(each) for each in _troubles(view)))


def rests(view: View, action: Action) -> bool:
    """Whether this write must wait, because the same one was undone."""
    standing = _standing(view)
    return any(mark in standing and view.now < _due(standing[mark]) for mark in _marks(view, (action,)))


def holds(view: View) -> Reason | None:
    """Why the canary gets no more traffic: the last write may be undone at any moment."""
    found = (each for each in _troubles(view) if not each.harmless and view.now < _due(each))
    return next((reasons.blocked(_problem(each)) for each in found), None)


def damped(view: View, decision: Decision) -> Decision:
    """The decision, unless it repeats a write that was undone just now."""
    marks = _marks(view, decision.actions)
    if not marks:
        return _awake(view, decision)
    standing = _standing(view)
    again = [standing[mark] for mark in marks if mark in standing]
    early = [each for each in again if view.now < _due(each)]
    if early:
        return _awake(view, Decision(reasons=(reasons.blocked(_problem(early[0])),)))
    if again and manager(view) is None:
        return ask()
    written = {mark: _counted(view, new, standing.get(mark)) for mark, new in marks.items()}
    memory = decision.memory or view.memory
    return replace(decision, memory=replace(memory, conflicts={**standing, **written}))


def _counted(view: View, new: Conflict, old: Conflict | None) -> Conflict:
    """The record of a write now: the first one, or a repetition."""
    by = manager(view)
    if old is None or by is None:
        return replace(new, at=Time(view.now))
    return replace(new, times=old.times + 1, at=Time(view.now), by=by)


def _marks(view: View, actions: Iterable[Action]) -> Mapping[str, Conflict]:
    """The writes that others may undo. The key has the generation, the revision and the content."""
    found: dict[str, Conflict] = {}
    made = view.situation.generated
    whose = f"{view.canary.metadata.generation} {view.running}"
    for action in actions:
        if isinstance(action, SetRoute):
            urgent = action.route.canary == 0 and not view.target_asleep
            found[f"{whose} {action.route} {action.everyone}"] = Conflict(
                most=PAUSE_MAX_URGENT if urgent else PAUSE_MAX
            )
        elif isinstance(action, Ensure) and action.part in ROUTED:
            tidying = ROUTED[action.part](made) == "untidy"
            most = PAUSE_FIRST if action.part in USED and not tidying else PAUSE_MAX
            key = f"{whose} {action.part} {made.wanted.get(action.part, '')}"
            found[key] = Conflict(most=most, harmless=tidying)
    return found


def _awake(view: View, decision: Decision) -> Decision:
    """The decision with a wake-up for the end of a pause or of a conflict."""
    if decision.actions or decision.needs:
        return decision
    moments = [moment for each in _troubles(view) for moment in (_due(each), _until(view, each)) if moment > view.now]
    wakes = [*moments, *([] if decision.wake is None else [decision.wake])]
    return replace(decision, wake=min(wakes)) if wakes else decision


def _standing(view: View) -> Mapping[str, Conflict]:
    """The recent writes, by their key."""
    found = view.memory.conflicts.items()
    return {mark: each for mark, each in found if view.now < _until(view, each)}


def _troubles(view: View) -> list[Conflict]:
    """The recent writes that are conflicts."""
    return [each for each in _standing(view).values() if _told(each)]


def _problem(conflict: Conflict) -> Problem:
    return reasons.conflicting(conflict.by, conflict.harmless)


def _told(conflict: Conflict) -> bool:
    return conflict.times >= (NAMED if conflict.by.named else UNNAMED)


def _pause(conflict: Conflict) -> float:
    least = NAMED if conflict.by.named else UNNAMED
    return min(conflict.most, PAUSE_FIRST * 2.0 ** min(conflict.times - least, 10)) if _told(conflict) else 0.0


def _due(conflict: Conflict) -> float:
    """When the same write may be repeated."""
    return conflict.at + _pause(conflict)


def _until(view: View, conflict: Conflict) -> float:
    """When the write has lasted long enough: two rounds that would have repeated it."""
    return conflict.at + 2 * max(_pause(conflict), view.situation.interval) + view.situation.interval
