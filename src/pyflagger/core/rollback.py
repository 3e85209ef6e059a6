"""Back to the primary: a rollback that has begun is written down before traffic moves, and always ends.

Phases Progressing, WaitingPromotion and Waiting. Traffic goes back only to a primary that is ready: until then the
rollback waits, and when the primary is past saving the run fails with traffic left where it is.
"""

from __future__ import annotations

from pyflagger.api.canary import HookType, Phase
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY
from pyflagger.core import absent, reasons
from pyflagger.core.case import Case, no_progress
from pyflagger.core.conditions import Cause, Rollback
from pyflagger.core.decision import Action, Alert, Count, Decision, Reason, SetRoute, WriteStatus
from pyflagger.core.evidence import call
from pyflagger.core.memory import AT_WRITE


def by_checks(case: Case) -> Decision:
    """Too many checks failed."""
    failed = case.status.failed_checks
    reason = reasons.threshold_reached(case.canary, failed)
    alert = Alert("error", reasons.alert_threshold(failed))
    return _begin(case, Cause.CHECKS, (), reason, alert, None)


def by_hook(case: Case, hook: str, *before: Action) -> Decision:
    """A rollback hook asked for it."""
    passed = case.say(reasons.hook_passed("Rollback", hook), warn=True)
    reason = reasons.manual_rollback(case.canary)
    return _begin(case, Cause.HOOK, (*before, passed), reason, Alert("warn", reasons.ALERT_MANUAL), reason)


def before_start(case: Case, hook: str) -> Decision:
    """A rollback hook asked for it while the run still waited for approval: its revision is refused without a run."""
    passed, reason = reasons.hook_passed("Rollback", hook), reasons.manual_rollback(case.canary)
    return case.act(
        reason,
        case.say(passed, warn=True, checksum=case.pending),
        case.say(reason, warn=True, checksum=case.pending),
        Alert("warn", reasons.ALERT_MANUAL),
        case.write(halted=reason, rollback=Rollback(Cause.HOOK, reason), **case.take_revision()),
    )


def by_deadline(case: Case) -> Decision:
    """The canary's pods ran out of time."""
    text = case.target.readiness.text
    said = case.once(reasons.canary_not_ready(text), warn=True)
    trouble = case.memory.troubles.get("canary", "")
    reason = reasons.deadline(case.canary, f"{text}: {trouble}" if trouble else text)
    return _begin(case, Cause.DEADLINE, said, reason, Alert("error", reasons.alert_deadline(text)), reason)


def by_route(case: Case, text: str) -> Decision:
    """The data plane never took the route."""
    reason = reasons.deadline(case.canary, text, reasons.ROUTE_TODO)
    return _begin(case, Cause.DEADLINE, (), reason, Alert("error", reasons.alert_deadline(text)), reason)


def _begin(
    case: Case, cause: Cause, said: tuple[Action, ...], reason: Reason, alert: Alert, halted: Reason | None
) -> Decision:
    """`halted` is None where what stopped the run is told already: by the check that failed last."""
    return case.act(
        reason, *said, case.say(reason, warn=True), alert, case.write(halted=halted, rollback=Rollback(cause, reason))
    )


def carry_on(case: Case) -> Decision | None:
    """Go on with a rollback that has begun, wherever it was left."""
    return None if case.status.rollback is None else _home(case)


def refused(case: Case) -> Decision | None:
    """A revision whose pods lack a port that visitors need gets no traffic, and none is copied to the primary.

    Asked again at every look, so that it ends the run whether or not a status field could be written.
    """
    problem = case.target.unserved
    if problem is None:
        return None
    reason = reasons.unserved(case.canary, problem)
    said = case.once(reason, warn=True)
    if not said:
        return _home(case, reason)
    written = case.write(halted=reason)
    news = (written,) if written.status != case.status else ()
    return case.act(reason, *said, Alert("error", reason.text), *news)


def _home(case: Case, halted: Reason | None = None) -> Decision:
    """All traffic to the primary, the target to zero, and the end; `halted` says what for, unless that is written."""
    if case.exposed and not case.primary_readiness.ready:
        return _no_way_back(case, halted)
    reason = reasons.failed(case.canary)
    actions = (*case.route_to(ALL_PRIMARY), *case.once(reason, warn=True, phase=Phase.FAILED))
    if actions:
        return case.act(reason, *actions)
    return case.sleep(reason, led=case.leads) or fail(case, reason, 0, halted)


def _no_way_back(case: Case, halted: Reason | None = None) -> Decision:
    readiness = case.primary_readiness
    if readiness.retriable:
        return case.hold(reasons.rollback_holds(readiness.text), wake=readiness.look_again)
    reason = reasons.failed_but_serving(case.canary, case.route.canary)
    said = case.once(reason, warn=True, phase=Phase.FAILED)
    return case.act(reason, *said) if said else fail(case, reason, case.route.canary, halted)


def rescue(case: Case) -> Decision | None:
    """A canary that is owed everybody serves as soon as it can, for as long as the primary cannot."""
    if not case.rescued or case.route == ALL_CANARY or case.primary_readiness.ready or not case.canary_ready:
        return None
    return case.act(reasons.SERVING, SetRoute(ALL_CANARY, everyone=True), memory=case.memory.round_ended())


def cover(case: Case) -> Decision | None:
    """Without a primary nobody is served: the canary gets all traffic as soon as it is ready, and is judged with it."""
    if not case.primary_gone:
        return None
    if case.rescued:
        return rescue(case)
    message = absent.CONDITION_COVERING_BROKEN if _broken(case) else absent.CONDITION_COVERING
    return _owed(case, case.write(Phase.PROGRESSING, message=message, **case.tick(canary_weight=100)))


def cover_copied(case: Case) -> Decision | None:
    """The same once the copy was made: the promotion goes on."""
    if not case.primary_gone:
        return None
    return rescue(case) if case.rescued else owe_all(case)


def owe_all(case: Case) -> Decision:
    """Write down that the canary is owed all traffic, as the primary serves nobody."""
    return _owed(case, case.write(**case.tick(canary_weight=100)))


def _owed(case: Case, written: WriteStatus) -> Decision:
    readiness = case.primary_readiness
    reason = absent.covering(case.canary, readiness.text, _broken(case))
    alert = Alert("error", absent.alert_covering(readiness.text))
    return case.act(reason, *case.once(reason, warn=True), alert, written, memory=case.memory.round_ended())


def _broken(case: Case) -> bool:
    """Whether the primary is there and its pods do not work."""
    return case.primary is not None and not case.primary.at_zero


def fail(case: Case, reason: Reason, weight: int, halted: Reason | None = None) -> Decision:
    """The end of a failed run: post-rollout hooks, then the last write."""
    told, ask = post_rollout(case, Phase.FAILED)
    if ask is not None:
        return ask
    message = reasons.CONDITION_SERVING if weight else ""
    return case.act(
        reason,
        *told,
        Count("failure", "completed"),
        case.write(
            Phase.FAILED,
            message=message,
            halted=halted,
            **no_progress(weight),
        ),
        memory=case.clean_slate(AT_WRITE),
    )


def post_rollout(case: Case, phase: Phase) -> tuple[tuple[Action, ...], Decision | None]:
    """The events of the post-rollout hooks, or the decision to ask them. They are asked before the run's last write, so
    that a crash repeats rather than forgets them; what they answer changes nothing."""
    hooks = call(case, HookType.POST_ROLLOUT, phase)
    told: tuple[Action, ...] = hooks.passed(case, "Post-rollout", phase=phase)
    if hooks.stopped is not None:
        hook, error = hooks.stopped
        told += (case.say(reasons.post_rollout_failed(hook.name, error), warn=True, phase=phase),)
    return told, hooks.ask
