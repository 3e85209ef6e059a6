"""Actions: what people ask of a release, and the answer to each, by the state of the canary.

A decision takes one action. It carries out its effect, and its status write, which is the last one, has the result in
`lastAction`. The next decision finds a pending action with that uid and only marks it. So a crash before the status
write repeats the effect, and a crash after it never does. Run by `transitions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyflagger.api import actions
from pyflagger.api.actions import FULL, Action, CanaryAction, State
from pyflagger.api.canary import HookType
from pyflagger.core import analysis, answers, effects, preconditions
from pyflagger.core.actions import act, say
from pyflagger.core.answers import Refusal
from pyflagger.core.clocks import waking
from pyflagger.core.decision import Decision, MarkAction, WriteStatus
from pyflagger.core.effects import EFFECTS, LATE, NEED_PODS, Answer, Column, column, last
from pyflagger.core.view import View

UNHINDERED = (Action.PAUSE, Action.RESUME, Action.CLOSE_GATE, Action.ABORT)
"""Actions that a Blocked canary takes. They change no object but the Canary."""

# The rules ----------------------------------------------------------------------------------------------------------


def asked(view: View) -> Decision | None:
    """Answer the oldest pending action, or mark it. None if there is none, or if it waits for the judging phase."""
    pending = view.situation.requests
    if not pending:
        return None
    before = view.status.last_action
    if before is not None:
        answered = next((each for each in pending if each.metadata.uid == before.uid), None)
        if answered is not None:
            return act(answers.TAKEN, MarkAction(answered, before))
    action = _first(view)
    return _decided(view, action, _checked(view, action) or EFFECTS[actions.verb(action.spec)](view, action))


def _first(view: View) -> CanaryAction:
    """The oldest action. An abort overtakes one that waits for ready pods."""
    first, *later = view.situation.requests
    waits = actions.verb(first.spec) in NEED_PODS and column(view) is Column.JUDGING
    aborts = (each for each in later if each.spec.action == Action.ABORT)
    return next(aborts, first) if waits else first


def late(view: View) -> Decision | None:
    """Carry out an action that needs ready pods."""
    pending = view.situation.requests
    effect = LATE.get(actions.verb(pending[0].spec)) if pending else None
    if effect is None or analysis.fails(view):
        return None
    return _decided(view, pending[0], effect(view, pending[0]))


def undone(view: View) -> Decision | None:
    """Begin an undo."""
    pending = view.situation.requests
    if not pending or pending[0].spec.action != Action.UNDO:
        return None
    return _decided(view, pending[0], effects.undone(view, pending[0]))


def timed(view: View, decision: Decision) -> Decision:
    """The decision, with a wake-up when a pending action expires."""
    pending = view.situation.requests
    return waking(view, decision, *map(actions.expiry, pending)) if pending else decision


def _checked(view: View, action: CanaryAction) -> Refusal | None:
    """Why an action is refused, whatever it asks for."""
    spec, at, where = action.spec, actions.expiry(action), column(view)
    if view.now >= at:
        return answers.expired(at)
    if text := actions.problem(spec):
        return answers.invalid(text)
    if where is Column.INITIALIZING:
        return answers.initializing(view.canary)
    if where is Column.DELETING:
        return answers.deleting(view.canary)
    if spec.revision and spec.revision != view.target.revision:
        return answers.other_revision(spec.revision, view.target.revision)
    refusal = TABLE[actions.verb(spec)].get(where)
    if refusal is not None:
        return refusal(view, action)
    if where is Column.SUSPENDED or spec.action in UNHINDERED:
        return None
    problem = preconditions.hindrance(view)
    return answers.blocked(problem) if problem else None


def _decided(view: View, action: CanaryAction, answer: Answer) -> Decision | None:
    """The decision of an answer."""
    return _refused(view, action, answer) if isinstance(answer, Refusal) else answer


def _refused(view: View, action: CanaryAction, why: Refusal) -> Decision:
    reason = answers.refused(action, why)
    state = State.EXPIRED if why.code == "expired" else State.REFUSED
    written = WriteStatus(view.status.but(last_action=last(view, action, state, why)))
    return act(reason, say(view, reason, warn=True), written)


# The table ----------------------------------------------------------------------------------------------------------

Refuses = Callable[[View, CanaryAction], Refusal]


def _idle(view: View, _: CanaryAction) -> Refusal:
    return answers.idle(view.canary)


def _suspended(view: View, _: CanaryAction) -> Refusal:
    return answers.suspended(view.canary)


def _constant(refusal: Refusal) -> Refuses:
    return lambda _, __: refusal


def _not_begun(view: View, _: CanaryAction) -> Refusal:
    names = [hook.name for _, hook in view.hooks(HookType.CONFIRM_ROLLOUT)]
    return answers.not_begun(", ".join(names))


def _under_way(view: View, _: CanaryAction) -> Refusal:
    known = view.status.release
    return answers.under_way(view.canary, known.promoted if known else 0)


def _not_failed(view: View, _: CanaryAction) -> Refusal:
    return answers.not_failed(view.target.revision)


_FAILED, _COPIED = _constant(answers.FAILED), _constant(answers.COPIED)
_TOO_LATE, _ROLLING = _constant(answers.TOO_LATE), _constant(answers.ROLLING_BACK)
_STILL: Mapping[Column, Refuses] = {
    Column.IDLE: _idle,
    Column.ROLLING_BACK: _ROLLING,
    Column.FAILED: _FAILED,
    Column.SUSPENDED: _suspended,
}
_JUDGED: Mapping[Column, Refuses] = {**_STILL, Column.WAITING: _not_begun, Column.COPIED: _COPIED}
_ANYWHERE: Mapping[Column, Refuses] = {**_STILL, Column.COPIED: _COPIED}

TABLE: Mapping[str, Mapping[Column, Refuses]] = {
    Action.PROMOTE: {**_STILL, Column.WAITING: _not_begun},
    FULL: _STILL,
    Action.PAUSE: {Column.COPIED: _COPIED},
    Action.RESUME: {},
    Action.ABORT: {Column.IDLE: _idle, Column.COPIED: _TOO_LATE, Column.SUSPENDED: _suspended},
    Action.RETRY: {
        Column.IDLE: _idle,
        Column.ROLLING_BACK: _ROLLING,
        Column.SUSPENDED: _suspended,
        **dict.fromkeys((Column.WAITING, Column.JUDGING, Column.COPIED), _not_failed),
    },
    Action.RESTART: _JUDGED,
    Action.WEIGHT: _JUDGED,
    Action.UNDO: {
        **dict.fromkeys((Column.WAITING, Column.JUDGING, Column.ROLLING_BACK), _under_way),
        Column.COPIED: _constant(answers.PROMOTING),
        Column.SUSPENDED: _suspended,
    },
    Action.OPEN_GATE: _ANYWHERE,
    Action.CLOSE_GATE: _ANYWHERE,
}
"""The refusals of each action, by verb and column. In the others it is carried out, or the state is already so."""
