"""Rollbacks. flagger records a rollback before it moves traffic, and always completes it.

Phases Progressing, WaitingPromotion and Waiting. Traffic only returns to a ready primary: until then the rollback
waits. If the primary is past its deadline, the run fails, and traffic stays where it is.
"""

from __future__ import annotations

from typing import Any

from pyflagger.api.canary import HookType, Phase
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY
from pyflagger.core import absent, reasons
from pyflagger.core.actions import act, hold, once, route_to, say, sleep
from pyflagger.core.clocks import ticked
from pyflagger.core.conditions import Cause, Rollback
from pyflagger.core.decision import Action, Alert, Count, Decision, Reason, SetRoute, WriteStatus
from pyflagger.core.evidence import call
from pyflagger.core.memory import AT_WRITE
from pyflagger.core.remember import clean_slate
from pyflagger.core.view import View
from pyflagger.core.writing import no_progress, take_revision, write


def by_checks(view: View) -> Decision:
    """Too many checks failed."""
    failed = view.status.failed_checks
    reason = reasons.threshold_reached(view.canary, failed)
    alert = Alert("error", reasons.alert_threshold(failed))
    return _begin(view, Cause.CHECKS, (), reason, alert, None)


def by_comparison(view: View, reason: Reason, *before: Action, **round_: Any) -> Decision:
    """The canary is worse than the primary. `round_`: the changes of the status by the round that showed it."""
    written = write(view, halted=reason, rollback=Rollback(Cause.COMPARISON, reason), **round_)
    return act(reason, *before, say(view, reason, warn=True), Alert("error", reason.text), written)


def by_hook(view: View, hook: str, *before: Action) -> Decision:
    """A rollback hook requested it."""
    passed = say(view, reasons.hook_passed("Rollback", hook), warn=True)
    reason = reasons.manual_rollback(view.canary)
    return _begin(view, Cause.HOOK, (*before, passed), reason, Alert("warn", reasons.ALERT_MANUAL), reason)


def before_start(view: View, hook: str) -> Decision:
    """A rollback hook requested it while the run waited for approval. flagger refuses the revision without a run."""
    passed, reason = reasons.hook_passed("Rollback", hook), reasons.manual_rollback(view.canary)
    return act(
        reason,
        say(view, passed, warn=True, checksum=view.pending),
        say(view, reason, warn=True, checksum=view.pending),
        Alert("warn", reasons.ALERT_MANUAL),
        write(view, halted=reason, rollback=Rollback(Cause.HOOK, reason), **take_revision(view)),
    )


def aborted(view: View, reason: Reason, *before: Action) -> Decision:
    """A person requested it, or the deadline of a gate, or the end of a pause.

    A revision that waits for approval is refused without a run.
    """
    taken = take_revision(view) if view.status.phase is Phase.WAITING else {}
    return act(
        reason,
        *before,
        say(view, reason, warn=True, checksum=view.pending),
        Alert("warn", reason.text),
        write(view, halted=reason, rollback=Rollback(Cause.ABORT, reason), hold=None, **taken),
    )


def by_deadline(view: View) -> Decision:
    """The canary's pods exceeded the deadline."""
    text = view.target.readiness.text
    said = once(view, reasons.canary_not_ready(text), warn=True)
    trouble = view.memory.troubles.get("canary", "")
    reason = reasons.deadline(view.canary, f"{text}: {trouble}" if trouble else text)
    return _begin(view, Cause.DEADLINE, said, reason, Alert("error", reasons.alert_deadline(text)), reason)


def by_route(view: View, text: str) -> Decision:
    """The data plane did not accept the route in time."""
    reason = reasons.deadline(view.canary, text, reasons.ROUTE_TODO)
    return _begin(view, Cause.DEADLINE, (), reason, Alert("error", reasons.alert_deadline(text)), reason)


def _begin(
    view: View, cause: Cause, said: tuple[Action, ...], reason: Reason, alert: Alert, halted: Reason | None
) -> Decision:
    """`halted`: None if the last failed check already has the reason."""
    return act(
        reason, *said, say(view, reason, warn=True), alert, write(view, halted=halted, rollback=Rollback(cause, reason))
    )


def carry_on(view: View) -> Decision | None:
    """Continue a rollback."""
    return None if view.status.rollback is None else _home(view)


def refused(view: View) -> Decision | None:
    """Roll back a revision whose pods lack a port of the Services, before it gets traffic or a promotion.

    Runs in every reconciliation, so that it ends the run even if the CRD drops a status field.
    """
    problem = view.target.unserved
    if problem is None:
        return None
    reason = reasons.unserved(view.canary, problem)
    said = once(view, reason, warn=True)
    if not said:
        return _home(view, reason)
    written = write(view, halted=reason)
    news = (written,) if written.status != view.status else ()
    return act(reason, *said, Alert("error", reason.text), *news)


def _home(view: View, halted: Reason | None = None) -> Decision:
    """All traffic to the primary, the target to zero, and the end. `halted`: the reason, unless already written."""
    if view.exposed and not view.primary_readiness.ready:
        return _no_way_back(view, halted)
    reason = reasons.failed(view.canary)
    actions = (*route_to(view, ALL_PRIMARY), *once(view, reason, warn=True, phase=Phase.FAILED))
    if actions:
        return act(reason, *actions)
    return sleep(view, reason, led=view.leads) or fail(view, reason, 0, halted)


def _no_way_back(view: View, halted: Reason | None = None) -> Decision:
    readiness = view.primary_readiness
    if readiness.retriable:
        return hold(view, reasons.rollback_holds(readiness.text), wake=readiness.look_again)
    reason = reasons.failed_but_serving(view.canary, view.route.canary)
    said = once(view, reason, warn=True, phase=Phase.FAILED)
    return act(reason, *said) if said else fail(view, reason, view.route.canary, halted)


def rescue(view: View) -> Decision | None:
    """Send all traffic to a canary that replaces a broken primary, once the canary is ready."""
    if not view.rescued or view.route == ALL_CANARY or view.primary_readiness.ready or not view.canary_ready:
        return None
    return act(reasons.SERVING, SetRoute(ALL_CANARY, everyone=True), memory=view.memory.round_ended())


def cover(view: View) -> Decision | None:
    """Without a primary, send all traffic to the canary as soon as it is ready, and judge it with that."""
    if not view.primary_gone:
        return None
    if view.rescued:
        return rescue(view)
    message = absent.CONDITION_COVERING_BROKEN if _broken(view) else absent.CONDITION_COVERING
    return _owed(view, write(view, Phase.PROGRESSING, message=message, **ticked(view, canary_weight=100)))


def cover_copied(view: View) -> Decision | None:
    """The same after the copy: the promotion continues."""
    if not view.primary_gone:
        return None
    return rescue(view) if view.rescued else owe_all(view)


def owe_all(view: View) -> Decision:
    """Record that the canary gets all traffic, because the primary serves no visitors."""
    return _owed(view, write(view, **ticked(view, canary_weight=100)))


def _owed(view: View, written: WriteStatus) -> Decision:
    readiness = view.primary_readiness
    reason = absent.covering(view.canary, readiness.text, _broken(view))
    alert = Alert("error", absent.alert_covering(readiness.text))
    return act(reason, *once(view, reason, warn=True), alert, written, memory=view.memory.round_ended())


def _broken(view: View) -> bool:
    """Whether the primary exists, but its pods fail."""
    return view.primary is not None and not view.primary.at_zero


def fail(view: View, reason: Reason, weight: int, halted: Reason | None = None) -> Decision:
    """The end of a failed run: post-rollout hooks, then the last write."""
    told, ask = post_rollout(view, Phase.FAILED)
    if ask is not None:
        return ask
    message = reasons.CONDITION_SERVING if weight else ""
    return act(
        reason,
        *told,
        Count("failure", "completed"),
        write(
            view,
            Phase.FAILED,
            message=message,
            halted=halted,
            **no_progress(weight),
        ),
        memory=clean_slate(view, AT_WRITE),
    )


def post_rollout(view: View, phase: Phase) -> tuple[tuple[Action, ...], Decision | None]:
    """The events of the post-rollout hooks, or the decision to call them. Their answers have no effect. flagger calls
    them before the run's last write, so that a crash repeats them instead of skipping them."""
    hooks = call(view, HookType.POST_ROLLOUT, phase)
    told: tuple[Action, ...] = hooks.passed(view, "Post-rollout", phase=phase)
    if hooks.stopped is not None:
        hook, error = hooks.stopped
        told += (say(view, reasons.post_rollout_failed(hook.name, error), warn=True, phase=phase),)
    return told, hooks.ask
