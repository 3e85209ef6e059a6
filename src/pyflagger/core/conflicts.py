"""Somebody else who writes to our routes and Services: what is written is undone, and written again ever more seldom.

The same write for the same revision, once more soon after the last time, is a repetition; another one, because what
ours is copied from has changed, is none. Before it the API server is asked who manages the object besides us; whoever
it is, is named until the write has stood for a while. Called by `decide` for every decision, by `preconditions`
before it repairs, and by `strategy` before it steps.
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
"""How often the same is written before somebody is blamed: whom the API server names, and whom it does not."""

ROUTED: Mapping[Part, Callable[[Generated], Sync]] = {
    Part.ROUTING: lambda made: made.routing,
    Part.CANARY_SERVICE: lambda made: made.canary_service,
    Part.PRIMARY_SERVICE: lambda made: made.primary_service,
    Part.APEX_SERVICE: lambda made: made.apex_service,
}
"""What visitors are led by, and so what others may conflict."""
USED = (Part.APEX_SERVICE, Part.PRIMARY_SERVICE)
"""Services that select nobody's pods once somebody points them at the target: a GitOps controller that does so every
minute must not take visitors a minute each time."""


def manager(view: View) -> Managed | None:
    """Who wrote last to what is ours, as far as that has been asked."""
    found = view.situation.evidence.get(FindManager())
    return found if isinstance(found, Managed) else None


def ask() -> Decision:
    """The decision to find out who that is."""
    return Decision(needs=(FindManager(),), reasons=(reasons.ASKING,))


def problems(view: View) -> tuple[Problem, ...]:
    """Who undoes what we write, told for as long as the last time is not long ago."""
    return tuple(dict.fromkeys(_problem(each) for each in _troubles(view)))


def rests(view: View, action: Action) -> bool:
    """Whether this very write has to wait, as it was undone the last time."""
    standing = _standing(view)
    return any(mark in standing and view.now < _due(standing[mark]) for mark in _marks(view, (action,)))


def holds(view: View) -> Reason | None:
    """Why no more traffic is given to the canary: what was written last may be undone any moment."""
    found = (each for each in _troubles(view) if not each.harmless and view.now < _due(each))
    return next((reasons.blocked(_problem(each)) for each in found), None)


def damped(view: View, decision: Decision) -> Decision:
    """The decision, unless it writes what was undone only just now."""
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
    """Written now: for the first time, or once more."""
    by = manager(view)
    if old is None or by is None:
        return replace(new, at=Time(view.now))
    return replace(new, times=old.times + 1, at=Time(view.now), by=by)


def _marks(view: View, actions: Iterable[Action]) -> Mapping[str, Conflict]:
    """What is written that others may undo, and for which revision; and what sort of thing that is."""
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
    """With a look in time when a pause is over, or when what was told is not so any more."""
    if decision.actions or decision.needs:
        return decision
    moments = [moment for each in _troubles(view) for moment in (_due(each), _until(view, each)) if moment > view.now]
    wakes = [*moments, *([] if decision.wake is None else [decision.wake])]
    return replace(decision, wake=min(wakes)) if wakes else decision


def _standing(view: View) -> Mapping[str, Conflict]:
    """What was written lately, by its mark."""
    found = view.memory.conflicts.items()
    return {mark: each for mark, each in found if view.now < _until(view, each)}


def _troubles(view: View) -> list[Conflict]:
    """Of these the ones that somebody is blamed for."""
    return [each for each in _standing(view).values() if _told(each)]


def _problem(conflict: Conflict) -> Problem:
    return reasons.conflicting(conflict.by, conflict.harmless)


def _told(conflict: Conflict) -> bool:
    return conflict.times >= (NAMED if conflict.by.named else UNNAMED)


def _pause(conflict: Conflict) -> float:
    least = NAMED if conflict.by.named else UNNAMED
    return min(conflict.most, PAUSE_FIRST * 2.0 ** min(conflict.times - least, 10)) if _told(conflict) else 0.0


def _due(conflict: Conflict) -> float:
    """When the same may be written again."""
    return conflict.at + _pause(conflict)


def _until(view: View, conflict: Conflict) -> float:
    """When it has stood long enough: the round that would write it again has come and gone twice."""
    return conflict.at + 2 * max(_pause(conflict), view.situation.interval) + view.situation.interval
