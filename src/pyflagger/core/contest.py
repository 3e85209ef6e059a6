"""Somebody else who writes to our routes and Services: what is written is undone, and written again ever more seldom.

The same write for the same revision, once more soon after the last time, is a repetition; another one, because what
ours is copied from has changed, is none. Before it the API server is asked who manages the object besides us; whoever
it is, is named until the write has stood for a while. Called by `decide` for every decision, by `guards` before it
mends, and by `strategy` before it steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from pyflagger.api.facts import Managed, Problem
from pyflagger.core import reasons
from pyflagger.core.case import Case
from pyflagger.core.decision import Action, Decision, Ensure, Part, Reason, SetRoute
from pyflagger.core.memory import Contest, Time
from pyflagger.core.situation import FindManager, Generated, Sync

PAUSE_FIRST, PAUSE_MAX, PAUSE_MAX_URGENT = 5.0, 300.0, 30.0
NAMED, UNNAMED = 2, 4
"""How often the same is written before somebody is blamed: whom the API server names, and whom it does not."""

ROUTED: Mapping[Part, Callable[[Generated], Sync]] = {
    Part.ROUTING: lambda made: made.routing,
    Part.CANARY_SERVICE: lambda made: made.canary_service,
    Part.PRIMARY_SERVICE: lambda made: made.primary_service,
    Part.APEX_SERVICE: lambda made: made.apex_service,
}
"""What visitors are led by, and so what others may contest."""
USED = (Part.APEX_SERVICE, Part.PRIMARY_SERVICE)
"""Services that select nobody's pods once somebody points them at the target: a GitOps controller that does so every
minute must not take visitors a minute each time."""


def manager(case: Case) -> Managed | None:
    """Who wrote last to what is ours, as far as that has been asked."""
    found = case.situation.evidence.get(FindManager())
    return found if isinstance(found, Managed) else None


def ask() -> Decision:
    """The decision to find out who that is."""
    return Decision(needs=(FindManager(),), reasons=(reasons.ASKING,))


def problems(case: Case) -> tuple[Problem, ...]:
    """Who undoes what we write, told for as long as the last time is not long ago."""
    return tuple(dict.fromkeys(_problem(each) for each in _troubles(case)))


def rests(case: Case, action: Action) -> bool:
    """Whether this very write has to wait, as it was undone the last time."""
    standing = _standing(case)
    return any(mark in standing and case.now < _due(standing[mark]) for mark in _marks(case, (action,)))


def holds(case: Case) -> Reason | None:
    """Why no more traffic is given to the canary: what was written last may be undone any moment."""
    found = (each for each in _troubles(case) if not each.harmless and case.now < _due(each))
    return next((reasons.blocked(_problem(each)) for each in found), None)


def damped(case: Case, decision: Decision) -> Decision:
    """The decision, unless it writes what was undone only just now."""
    marks = _marks(case, decision.actions)
    if not marks:
        return _awake(case, decision)
    standing = _standing(case)
    again = [standing[mark] for mark in marks if mark in standing]
    early = [each for each in again if case.now < _due(each)]
    if early:
        return _awake(case, Decision(reasons=(reasons.blocked(_problem(early[0])),)))
    if again and manager(case) is None:
        return ask()
    written = {mark: _counted(case, new, standing.get(mark)) for mark, new in marks.items()}
    memory = decision.memory or case.memory
    return replace(decision, memory=replace(memory, contests={**standing, **written}))


def _counted(case: Case, new: Contest, old: Contest | None) -> Contest:
    """Written now: for the first time, or once more."""
    by = manager(case)
    if old is None or by is None:
        return replace(new, at=Time(case.now))
    return replace(new, times=old.times + 1, at=Time(case.now), by=by)


def _marks(case: Case, actions: Iterable[Action]) -> Mapping[str, Contest]:
    """What is written that can be contested, and for which revision; and what sort of thing that is."""
    found: dict[str, Contest] = {}
    made = case.situation.generated
    whose = f"{case.canary.metadata.generation} {case.running}"
    for action in actions:
        if isinstance(action, SetRoute):
            urgent = action.route.canary == 0 and not case.target_asleep
            found[f"{whose} {action.route} {action.everyone}"] = Contest(most=PAUSE_MAX_URGENT if urgent else PAUSE_MAX)
        elif isinstance(action, Ensure) and action.part in ROUTED:
            tidying = ROUTED[action.part](made) == "untidy"
            most = PAUSE_FIRST if action.part in USED and not tidying else PAUSE_MAX
            key = f"{whose} {action.part} {made.wanted.get(action.part, '')}"
            found[key] = Contest(most=most, harmless=tidying)
    return found


def _awake(case: Case, decision: Decision) -> Decision:
    """With a look in time when a pause is over, or when what was told is not so any more."""
    if decision.actions or decision.needs:
        return decision
    moments = [moment for each in _troubles(case) for moment in (_due(each), _until(case, each)) if moment > case.now]
    wakes = [*moments, *([] if decision.wake is None else [decision.wake])]
    return replace(decision, wake=min(wakes)) if wakes else decision


def _standing(case: Case) -> Mapping[str, Contest]:
    """What was written lately, by its mark."""
    found = case.memory.contests.items()
    return {mark: each for mark, each in found if case.now < _until(case, each)}


def _troubles(case: Case) -> list[Contest]:
    """Of these the ones that somebody is blamed for."""
    return [each for each in _standing(case).values() if _told(each)]


def _problem(contest: Contest) -> Problem:
    return reasons.contested(contest.by, contest.harmless)


def _told(contest: Contest) -> bool:
    return contest.times >= (NAMED if contest.by.named else UNNAMED)


def _pause(contest: Contest) -> float:
    least = NAMED if contest.by.named else UNNAMED
    return min(contest.most, PAUSE_FIRST * 2.0 ** min(contest.times - least, 10)) if _told(contest) else 0.0


def _due(contest: Contest) -> float:
    """When the same may be written again."""
    return contest.at + _pause(contest)


def _until(case: Case, contest: Contest) -> float:
    """When it has stood long enough: the round that would write it again has come and gone twice."""
    return contest.at + 2 * max(_pause(contest), case.situation.interval) + case.situation.interval
