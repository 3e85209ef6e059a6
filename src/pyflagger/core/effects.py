"""The effects of actions, and the state of a canary in which each is possible.

An effect is a decision whose status write, the last one, has the result. An action that needs ready pods has its effect
`late`: after the rules of the judging phases that wait for pods. Called by `steering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from pyflagger.api import actions, defaults
from pyflagger.api.actions import Action, CanaryAction, State
from pyflagger.api.canary import HookType, Phase
from pyflagger.api.durations import stamp
from pyflagger.api.facts import Route
from pyflagger.api.steered import Gate, Hold, LastAction, Promotion
from pyflagger.core import (
    analysis,
    answers,
    bootstrap,
    conflicts,
    handover,
    pausing,
    preconditions,
    rebuild,
    rollback,
    start,
    undo,
)
from pyflagger.core.actions import act, route_to, say
from pyflagger.core.answers import Refusal
from pyflagger.core.clocks import ticked
from pyflagger.core.decision import Alert, Decision, Reason, WriteStatus
from pyflagger.core.evidence import GATES
from pyflagger.core.memory import DUE
from pyflagger.core.revision import RevisionChange
from pyflagger.core.view import View
from pyflagger.core.writing import write

FULL = actions.FULL


class Column(StrEnum):
    """The state of a canary, as the table of actions has it."""

    IDLE = "idle"
    WAITING = "waiting"
    JUDGING = "judging"
    ROLLING_BACK = "rolling back"
    COPIED = "copied"
    FAILED = "failed"
    SUSPENDED = "suspended"
    INITIALIZING = "initializing"
    DELETING = "deleting"


Answer = Decision | Refusal | None
"""None: later, by a rule of the phase."""

NEED_PODS = (Action.PROMOTE, Action.WEIGHT, Action.RESTART)

Effect = Callable[[View, CanaryAction], Answer]


def column(view: View) -> Column:
    """The column of a canary."""
    phase = view.status.phase
    if view.situation.deleting:
        return Column.DELETING
    if bootstrap.under_way(view):
        return Column.INITIALIZING
    if view.canary.spec.suspend:
        return Column.SUSPENDED
    if phase in rebuild.COPIED:
        return Column.COPIED
    if view.status.rollback is not None:
        return Column.ROLLING_BACK
    found = {Phase.WAITING: Column.WAITING, Phase.FAILED: Column.FAILED}
    return Column.JUDGING if phase in pausing.JUDGING else found.get(phase, Column.IDLE)


# Results ------------------------------------------------------------------------------------------------------------


def last(view: View, action: CanaryAction, state: State, why: Refusal) -> LastAction:
    """The result of an action, for the status."""
    spec = action.spec
    return LastAction(
        uid=action.metadata.uid,
        action=actions.verb(spec),
        by=spec.by,
        reason=spec.reason,
        at=stamp(view.now),
        result=state.value,
        code=why.code,
        text=why.text,
    )


def _done(
    view: View, action: CanaryAction, decision: Decision, text: str = "", code: str = "", **changes: Any
) -> Decision:
    """A decision whose status write, the last one, has the result of the action, and `changes`."""
    *before, written = decision.actions
    status = written.status if isinstance(written, WriteStatus) else view.status
    signed = last(view, action, State.DONE, Refusal(code, text or decision.reasons[0].text))
    return replace(decision, actions=(*before, WriteStatus(status.but(last_action=signed, **changes))))


def _already(view: View, action: CanaryAction) -> Decision:
    """The state that the action asks for."""
    return _done(view, action, act(answers.TAKEN, WriteStatus(view.status)), answers.ALREADY, answers.SO)


def _told(view: View, action: CanaryAction, reason: Reason, *, warn: bool = False, **changes: Any) -> Decision:
    """An action that changes nothing but the status."""
    alert = Alert("warn" if warn else "info", reason.text)
    decision = act(reason, say(view, reason, warn=warn), alert, WriteStatus(view.status.but(**changes)))
    return _done(view, action, decision)


# Of the status alone ----------------------------------------------------------------------------------------


def held(view: View, action: CanaryAction) -> Hold:
    """The pause that an action asks for."""
    spec = action.spec
    return Hold(
        by=spec.by,
        reason=spec.reason,
        since=stamp(view.now),
        until=spec.until,
        then="abort" if spec.then == "abort" else "resume",
        on_failure="hold" if spec.on_failure == "hold" else "rollback",
        uid=action.metadata.uid,
    )


def _pause(view: View, action: CanaryAction) -> Answer:
    old = view.status.hold
    hold = held(view, action)
    if old is not None and (old.until, old.then, old.on_failure) == (hold.until, hold.then, hold.on_failure):
        return _already(view, action)
    running = column(view) is Column.JUDGING
    return _told(view, action, answers.pauses(view.canary, action, view.route.canary if running else None), hold=hold)


def _resume(view: View, action: CanaryAction) -> Answer:
    if view.status.hold is None:
        return _already(view, action)
    reason, (written, memory) = answers.resumes(view.canary, action), pausing.released(view)
    decision = act(reason, say(view, reason), Alert("info", reason.text), written, memory=memory)
    return _done(view, action, decision)


def _abort(view: View, action: CanaryAction) -> Answer:
    if column(view) in (Column.FAILED, Column.ROLLING_BACK):
        return _already(view, action)
    problem = preconditions.hindrance(view)
    if problem and column(view) is Column.WAITING:
        return answers.blocked(problem)
    return _done(view, action, rollback.aborted(view, answers.aborts(view.canary, action)))


def undone(view: View, action: CanaryAction) -> Decision | Refusal:
    """Begin an undo, by the rules of an idle canary."""
    spec = action.spec
    answer = undo.begin(view, spec.to or 0, spec.by, spec.reason)
    if isinstance(answer, Refusal):
        return _already(view, action) if answer.code == answers.SO else answer
    return answer if answer.needs else _done(view, action, answer)


def _retry(view: View, action: CanaryAction) -> Answer:
    """Release the failed revision again. A new one starts anyway."""
    if start.change(view) is RevisionChange.NEW:
        return _already(view, action)
    if view.target.revision == view.status.last_promoted_spec and not view.rescued:
        return answers.not_failed(view.target.revision)
    return _told(view, action, answers.retries(view.canary, action), again=view.pending)


def _gate(view: View, action: CanaryAction) -> Answer:
    """Open or close a gate for this revision. A canary that waits for its first gate goes on now."""
    name, gates = action.spec.gate, tuple(hook for _, hook in view.hooks(*GATES))
    if name not in {hook.name for hook in gates}:
        return answers.no_such_gate(name, gates)
    old = (view.status.gates or {}).get(name, Gate())
    since = old.since if old.revision == view.pending else ""
    state = Gate("open" if action.spec.action == Action.OPEN_GATE else "closed", action.spec.by, view.pending, since)
    if (old.state, old.revision) == (state.state, state.revision):
        return _already(view, action)
    told = _told(view, action, answers.gates(view.canary, action), gates={**(view.status.gates or {}), name: state})
    return _now(view, told)


def _full(view: View, action: CanaryAction) -> Answer:
    """Promote this revision without further analysis. It ends a pause."""
    if column(view) is Column.COPIED or view.full:
        return _already(view, action)
    asked = Promotion(action.spec.by, True, view.pending)
    reason = answers.promotes(view.canary, action)
    return _now(view, _told(view, action, reason, warn=True, promote=asked, hold=None))


def _now(view: View, decision: Decision) -> Decision:
    """The decision, after which a canary that waits for its first gate goes on without the rest of the interval."""
    if view.status.phase is not Phase.WAITING:
        return decision
    *before, written = decision.actions
    status = written.status if isinstance(written, WriteStatus) else view.status
    status = status.but(last_tick_time=None, results="")
    return replace(decision, actions=(*before, WriteStatus(status)), memory=replace(view.memory, tick=DUE))


# With ready pods ----------------------------------------------------------------------------------------------------


def _promote(view: View, action: CanaryAction) -> Answer:
    """Whether a round can be judged now."""
    if column(view) is Column.COPIED or handover.under_way(view) or view.full:
        return _already(view, action)
    return answers.UNJUDGED if view.first_round else None


def _judge(view: View, action: CanaryAction) -> Answer:
    """Judge a round now. If it passes, promote with all gates open, and end a pause."""
    if view.situation.route_waiting:
        return None
    if reason := conflicts.holds(view):
        return answers.contested(reason)
    found = analysis.judged_now(view)
    if isinstance(found, Reason):
        return answers.checks_fail(found.text)
    if isinstance(found, Decision):
        return found
    reason = answers.promotes(view.canary, action)
    said = (say(view, reason), Alert("info", reason.text))
    return _done(view, action, handover.copy(view, *said), reason.text, hold=None)


def _may_weigh(view: View, action: CanaryAction) -> Answer:
    """Whether the canary can get this weight."""
    wanted, most = action.spec.weight or 0, defaults.max_weight(view.analysis)
    if view.virtual:
        return answers.no_split(view.situation.provider)
    if view.strategy != "canary":
        return answers.NO_WEIGHTS
    if wanted > most:
        return answers.above(wanted, most)
    if view.first_round and view.hooks(HookType.PRE_ROLLOUT) and view.memory.pre_rollout != view.running:
        return answers.NOT_CHECKED
    reason = conflicts.holds(view)
    return answers.contested(reason) if reason else None


def _weigh(view: View, action: CanaryAction) -> Answer:
    """Route this weight, and hold it for an interval, or until a person resumes."""
    wanted, reason = action.spec.weight or 0, answers.weighs(view.canary, action)
    decision = act(
        reason,
        *route_to(view, Route(100 - wanted, wanted)),
        say(view, reason),
        Alert("info", reason.text),
        write(view, Phase.PROGRESSING, **ticked(view, canary_weight=wanted)),
        memory=view.memory.round_ended(),
    )
    hold = held(view, action) if action.spec.hold else view.status.hold
    return _done(view, action, decision, hold=hold)


def _later(_: View, __: CanaryAction) -> Answer:
    return None


def _restart(view: View, action: CanaryAction) -> Answer:
    """Begin the analysis anew, as for a new revision."""
    return _done(view, action, analysis.restart(view, answers.restarts(view.canary, action)))


EFFECTS: Mapping[str, Effect] = {
    FULL: _full,
    Action.PROMOTE: _promote,
    Action.PAUSE: _pause,
    Action.RESUME: _resume,
    Action.ABORT: _abort,
    Action.RETRY: _retry,
    Action.RESTART: _later,
    Action.WEIGHT: _may_weigh,
    Action.UNDO: _later,
    Action.OPEN_GATE: _gate,
    Action.CLOSE_GATE: _gate,
}
"""The effect of each action, by verb."""

LATE: Mapping[str, Effect] = {Action.PROMOTE: _judge, Action.WEIGHT: _weigh, Action.RESTART: _restart}
"""The effects of those that need ready pods."""
