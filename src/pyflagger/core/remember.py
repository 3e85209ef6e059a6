"""The next memory: the memory of a decision, plus the effects of its actions, minus facts that ended.

`noted` completes every decision of `decide`. The operator applies the memory with `carried_out`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from pyflagger.api.facts import ALL_PRIMARY
from pyflagger.core import reasons
from pyflagger.core.decision import Action, Alert, Count, Decision, Ensure, Part, Revert, Say, SetRoute, WriteStatus
from pyflagger.core.memory import AT_WRITE, DUE, Memory, Time, stamped
from pyflagger.core.view import View


def noted(view: View, decision: Decision) -> Decision:
    """The decision with its next memory; None if it does not change. Needs do not change it."""
    if decision.needs:
        return decision
    already = view.memory.already
    memory = _forgotten(view, reduce(_taught, decision.actions, decision.memory or view.memory))
    if already:
        actions = tuple(action for action in decision.actions if action not in already)
        decision, memory = replace(decision, actions=actions), replace(memory, already=())
    return replace(decision, memory=None if memory == view.memory else memory)


def carried_out(before: Memory, decision: Decision, done: int, now: float) -> Memory:
    """The memory after the first `done` actions of a decision, at `now` (seconds since the epoch).

    If at most the status write is left, it is the whole next memory. If an action failed before that, it only records
    the writes to routes and Services, if all were written. flagger decides everything else again. While any action is
    left, it keeps reports, so that flagger does not repeat them.
    """
    after, did, left = decision.memory or before, decision.actions[:done], decision.actions[done:]
    if not all(isinstance(action, WriteStatus) for action in left):
        written = not any(isinstance(action, SetRoute | Ensure) for action in left)
        kept = replace(before, conflicts=after.conflicts) if written else before
        after = reduce(_taught, did, kept)
    if left:
        already = (*before.already, *(action for action in did if isinstance(action, Say | Alert | Count)))
        after = replace(after, told={**before.told, **after.told}, already=already)
    return after if after is before else stamped(after, now)


def _taught(memory: Memory, action: Action) -> Memory:
    """The memory with the effect of an action."""
    match action:
        case Say(told=told) if told:
            return replace(memory, told={**memory.told, **dict(told)})
        case SetRoute(route, everyone):
            left, taken = AT_WRITE if route == ALL_PRIMARY else None, AT_WRITE if everyone else None
            return replace(memory, left=left, taken=taken)
        case Ensure(Part.ROUTING) | Revert("routing"):
            return replace(memory, announced=None)
    return memory


def _forgotten(view: View, memory: Memory) -> Memory:
    """The memory without facts that ended, so that flagger reports or times them again if they return."""
    if not view.canary.spec.suspend:
        memory = memory.without(reasons.SUSPENDED.code)
    if not view.situation.left:
        memory = memory.without(reasons.LEFT_BEHIND)
    if memory.canary_seen is not None and not view.target.readiness.undated:
        memory = replace(memory, canary_seen=None)
    return memory


def clean_slate(view: View, tick: Time = DUE) -> Memory:
    """A memory without the facts of a run."""
    return view.memory.new_run(tick, reasons.LASTING)
