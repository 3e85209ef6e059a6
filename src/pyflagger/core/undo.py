"""Undo: the primary gets the pod template of an earlier release again. The target stays as it is.

The target belongs to the user, and GitOps tools revert what others change in it, so flagger changes the primary only.
The phase is Promoting until the primary is ready with the recorded template, and Failed at the end: flagger does not
release the target's revision again until its template changes, or until a person retries it. If the primary does not
get ready by its deadline, it gets the template back that it had. `steering` begins an undo, `transitions` continues it.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import Phase
from pyflagger.api.published import ReleaseStatus
from pyflagger.api.steered import Undo
from pyflagger.core import answers, promotion, reasons
from pyflagger.core.actions import act, say, sleep
from pyflagger.core.answers import Refusal
from pyflagger.core.decision import Alert, Decision, Promote, Reason
from pyflagger.core.memory import AT_WRITE
from pyflagger.core.remember import clean_slate
from pyflagger.core.situation import ReadRecord
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_primary
from pyflagger.core.writing import no_progress, write

KINDS = ("Deployment", "DaemonSet")
WHY_MAX = 500


def begin(view: View, to: int, by: str, why: str = "") -> Decision | Refusal:
    """Start to undo, or the reason why not. `to`: the number of a release; 0 for the usual one."""
    known = view.status.release or ReleaseStatus()
    number = to or (known.promoted if view.rescued else known.previous)
    refusal = _refused(view, known, number)
    if refusal is not None:
        return refusal
    found = view.recorded(number)
    if found is None:
        return _ask(number)
    if found.code:
        return Refusal(found.code, found.text)
    reason = answers.undoing(view.canary, number, by, why)
    origin = known.promoted if known.promoted != number else 0
    message = f"Undoing release {known.promoted}: the primary gets release {number} again."
    undone = Undo(to=number, origin=origin, revision=found.revision, by=by)
    return act(
        reason,
        say(view, reason, warn=True, phase=Phase.PROMOTING),
        Alert("warn", reason.text),
        Promote(found.revision, number),
        write(view, Phase.PROMOTING, message=message, undo=undone, last_tick_time=None),
        memory=clean_slate(view),
    )


def _refused(view: View, known: ReleaseStatus, number: int) -> Refusal | None:
    """Why there is nothing to undo, before flagger reads a record."""
    if view.kind not in KINDS:
        return Refusal("kind", f"targets of kind {view.kind} cannot be undone")
    if not view.situation.history.keep or not number:
        return answers.NO_RECORD
    if number == known.promoted and not view.rescued:
        return Refusal(answers.SO, answers.ALREADY)
    if view.drains and not view.canary_carries_all:
        return answers.DRAINS
    return None


def _ask(number: int) -> Decision:
    return Decision(needs=(ReadRecord(number),), reasons=(reasons.ASKING,))


# After the copy -----------------------------------------------------------------------------------------------------


def carry_on(view: View) -> Decision | None:
    """Continue an undo: the primary, then all traffic, then the target's pods, and the end."""
    undo = view.status.undo
    if undo is None:
        return None
    if not undo.revision or view.primary is None:
        return _copy(view, undo)
    readiness = view.primary_readiness
    if readiness.ready:
        return promotion.settled(view) or promotion.leave(view) or _asleep(view, undo)
    if readiness.retriable:
        return hold_for_primary(view)
    return _give_up(view, undo, readiness.text)


def _asleep(view: View, undo: Undo) -> Decision:
    return sleep(view, _over(view, undo), led=view.leads) or finish(view)


def _copy(view: View, undo: Undo) -> Decision:
    """Copy the template to the primary, after a failure or because the primary was deleted."""
    found = view.recorded(undo.to)
    if found is None:
        return _ask(undo.to)
    if found.code:
        return finish(view) if undo.failed else _give_up(view, undo, found.text)
    written = write(view, undo=replace(undo, revision=found.revision))
    changed = (written,) if undo.revision != found.revision else ()
    return act(reasons.REPAIRING, Promote(found.revision, undo.to), *changed)


def _give_up(view: View, undo: Undo, why: str) -> Decision:
    """The primary does not get ready: it gets the template of `origin` back. The second time, this is the end."""
    if undo.failed:
        return finish(view)
    reason = answers.undo_failed(view.canary, undo.to, undo.origin, why)
    back = Undo(to=undo.origin, by=undo.by) if undo.origin else undo
    return act(
        reason,
        say(view, reason, warn=True),
        Alert("error", reason.text),
        write(view, undo=replace(back, failed=why[:WHY_MAX])),
    )


def _over(view: View, undo: Undo) -> Reason:
    return answers.not_undone(view.canary, undo.failed) if undo.failed else answers.undone(view.canary, undo)


def finish(view: View) -> Decision:
    """The end: the primary runs the recorded template, or what it ran before. A canary without it keeps serving."""
    undo = view.status.undo or Undo()
    ready, reason = view.primary_readiness.ready, _over(view, undo)
    promoted = view.status.last_promoted_spec if undo.failed else undo.revision
    return act(
        reason,
        say(view, reason, warn=bool(undo.failed), phase=Phase.FAILED),
        Alert("error" if undo.failed else "info", reason.text),
        write(
            view,
            Phase.FAILED,
            message=reason.whole,
            halted=reason if undo.failed else None,
            undo=None,
            **no_progress(0 if ready else view.status.canary_weight),
            last_promoted_spec=promoted,
        ),
        memory=clean_slate(view, AT_WRITE),
    )
