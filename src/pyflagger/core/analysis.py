"""The judging phases: what is looked at on every change, and the judging round of every interval.

Phases Progressing and WaitingPromotion. A round asks, in order: rollback hooks; pre-rollout hooks if the canary has
seen no traffic yet, otherwise rollout hooks and metrics; then `strategy` takes the step, behind its gates. The first
failure ends the round with one failed check. Everything that is not judging (pods, a new revision, a deadline) is acted
on as soon as it is seen.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.canary import HookType, Phase
from pyflagger.api.defaults import SEEN_SETTLE_SECONDS, threshold
from pyflagger.api.durations import second
from pyflagger.api.facts import ALL_PRIMARY
from pyflagger.core import absent, handover, promotion, reasons, rollback, strategy
from pyflagger.core.case import Case, no_progress
from pyflagger.core.decision import Action, Alert, Decision, Reason
from pyflagger.core.evidence import agrees, call
from pyflagger.core.holding import hold_for_canary, hold_for_primary, hold_for_route
from pyflagger.core.memory import AT_WRITE, DUE, Available, Round, Time
from pyflagger.core.revision import Change, copied, running_change
from pyflagger.core.verdict import checks, judge, unusable

# What is seen at once -----------------------------------------------------------------------------------------------


def changed(case: Case) -> Decision | None:
    """A new revision begins anew without traffic; the promoted one put back ends the run without a failure."""
    change = running_change(case.status, case.target, case.matches)
    if change is Change.NONE:
        return None
    if change is Change.REBASE:
        written = case.write(**case.tick(**case.take_revision()))
        return case.act(reasons.REBASED, written, memory=case.memory.round_ended())
    stranded = case.exposed and not case.primary_readiness.ready
    if stranded and not (case.canary_carries_all and change is Change.NEW):
        return hold_for_primary(case)
    return _cancel(case) if change is Change.REVERTED else _restart(case, stranded)


def _restart(case: Case, rescued: bool) -> Decision:
    """Begin anew; while the primary is broken the canary keeps all traffic and is judged with it."""
    reason = reasons.restarting(case.canary)
    began = {"last_transition_time": second(case.now), "last_tick_time": None}
    tick = case.tick() if rescued else began
    return case.act(
        reason,
        case.say(reason, checksum=case.pending),
        *handover.warnings(case),
        *(() if rescued else case.route_to(ALL_PRIMARY)),
        Alert("info", reasons.ALERT_RESTART, with_fields=True),
        case.write(Phase.PROGRESSING, **no_progress(100 if rescued else 0), **tick, **case.take_revision()),
        memory=case.clean_slate(AT_WRITE if rescued else DUE),
    )


def _cancel(case: Case) -> Decision:
    reason = reasons.cancelled(case.canary)
    actions = (
        *case.route_to(ALL_PRIMARY),
        *case.once(reason, phase=Phase.INITIALIZED, checksum=case.pending),
    )
    if actions:
        return case.act(reason, *actions)
    return case.sleep(reason, led=case.leads) or case.act(
        reason,
        Alert("info", reasons.ALERT_CANCELLED),
        case.write(Phase.INITIALIZED, message=reasons.CONDITION_CANCELLED, **no_progress(), **case.take_revision()),
        memory=case.clean_slate(AT_WRITE),
    )


def made_it(case: Case) -> Decision | None:
    """The primary got this revision already: go on from there without judging it again."""
    return promotion.already_copied(case) if copied(case.status, case.target, case.matches) else None


def primary_carries(case: Case) -> Decision | None:
    """A primary that serves has to be ready; one that serves nobody is what the run is going to mend."""
    if case.skip or case.canary_carries_all or case.primary_gone or case.primary_readiness.ready:
        return None
    return hold_for_primary(case)


def canary_pods(case: Case) -> Decision | None:
    """The canary's pods: scaled up, ready, or out of time."""
    if case.target_asleep:
        return case.act(reasons.SCALING_UP, *case.wake_up())
    readiness = case.target.readiness
    if readiness.undated:
        return _settled(case)
    if readiness.settling and readiness.look_again is not None:
        return _available(case, readiness.look_again)
    if readiness.ready:
        return None
    if not readiness.retriable:
        return rollback.by_deadline(case)
    return _withdraw(case) or hold_for_canary(case)


def _withdraw(case: Case) -> Decision | None:
    """A canary that lost every pod fails its visitors: they go back to the primary, and the steps begin anew.

    That is a failed check, so that pods which come and go end the run.
    """
    led = case.status.canary_weight > 0 or (case.exposed and not case.route.mirrored)
    if not led or not case.target.empty or case.target.readiness.settling or not case.primary_readiness.ready:
        return None
    reason, done = absent.stranded(case.canary), min(case.status.iterations, case.iterations)
    failed = case.status.failed_checks + 1
    return case.act(
        reason,
        *case.route_to(ALL_PRIMARY),
        case.say(reason, warn=True),
        case.write(halted=reason, failed_checks=failed, canary_weight=0, iterations=done),
    )


def _available(case: Case, settled: float) -> Decision | None:
    """Wait until proxies know of pods that became available: until `settled`, or this long after flagger saw them.

    The time counts for this revision and this time of the API alone. After a restart the API's time decides.
    """
    known, revision = case.memory.available, case.target.revision
    if known is None or (known.revision, known.settled) != (revision, settled):
        seen = Available(revision, settled, Time(case.now))
        return case.act(reasons.SETTLING, memory=replace(case.memory, available=seen))
    by = min(settled, known.seen + SEEN_SETTLE_SECONDS)
    return replace(hold_for_canary(case), wake=by) if case.now < by else None


def _settled(case: Case) -> Decision | None:
    """Pods of which nobody says since when they are available are so since they were first seen to be."""
    seen = case.memory.canary_seen
    if seen is None:
        return case.act(reasons.SETTLING, memory=replace(case.memory, canary_seen=Time(case.now)))
    return case.until_settled(seen, reasons.SETTLING)


def skipped(case: Case) -> Decision | None:
    """Without an analysis, traffic goes to the primary that is, and the primary gets the new template."""
    if not case.skip:
        return None
    if case.drains:
        return handover.copy(case)
    return promotion.copy(case, *(case.route_to(ALL_PRIMARY) if case.primary_readiness.ready else ()))


def too_many_failed(case: Case) -> Decision | None:
    """The threshold ends the run."""
    return rollback.by_checks(case) if case.status.failed_checks >= threshold(case.canary) else None


def served(case: Case) -> Decision | None:
    """Nothing is judged while the data plane does not serve the split that is asked for; rollbacks go before this."""
    return hold_for_route(case) if case.situation.route_waiting else None


def between_rounds(case: Case) -> Decision | None:
    """A step is judged only after it was held for an interval; when it began nobody knows, it begins now."""
    if case.last_tick is None:
        return case.act(reasons.INTERVAL, memory=case.memory.round_ended())
    return Decision(reasons=(reasons.INTERVAL,), wake=case.due) if case.now < case.due else None


# The round ----------------------------------------------------------------------------------------------------------


def round_of(case: Case) -> Decision:
    """One judging round, as far as there is evidence."""
    said: tuple[Action, ...] = ()
    if case.memory.opened != _this(case):
        hooks = call(case, HookType.ROLLBACK, case.status.phase, stops=agrees)
        if hooks.ask:
            return hooks.ask
        for hook in hooks.asked:
            said += case.once(reasons.no_rollback(hook.name), item=hook.name)
        if hooks.stopped:
            return rollback.by_hook(case, hooks.stopped[0].name, *said)
    return _first(case, said) if case.first_round else _again(case, said)


def _this(case: Case) -> Round:
    """This round."""
    last = case.last_tick
    return Round(case.running, None if last is None else Time(last))


def _first(case: Case, said: tuple[Action, ...]) -> Decision:
    """The round before any traffic. What passed is remembered for the revision, so a closed gate does not repeat it."""
    if case.memory.pre_rollout == case.running:
        return strategy.advance(case, said)
    reason = reasons.starting(case.canary)
    if case.memory.opened != _this(case):
        opened = replace(case.memory, opened=_this(case))
        return case.act(reason, *said, case.say(reason, phase=Phase.PROGRESSING), memory=opened)
    hooks = call(case, HookType.PRE_ROLLOUT, Phase.PROGRESSING)
    if hooks.ask:
        return hooks.ask
    said += hooks.passed(case, "Pre-rollout")
    if hooks.stopped:
        hook, error = hooks.stopped
        return _fail(case, said, reasons.check_failed(case.canary, "pre-rollout", hook.name, error))
    return strategy.advance(case.remembering(replace(case.memory, pre_rollout=case.running)), said)


def _again(case: Case, said: tuple[Action, ...]) -> Decision:
    """Every other round."""
    hooks = call(case, HookType.ROLLOUT, Phase.PROGRESSING)
    if hooks.ask:
        return hooks.ask
    if hooks.stopped:
        hook, error = hooks.stopped
        return _fail(case, said, reasons.check_failed(case.canary, "external", hook.name, error))
    verdict = _metrics(case)
    if isinstance(verdict, Decision):
        return verdict
    return _fail(case, said, verdict) if verdict else strategy.advance(case, said)


def _metrics(case: Case) -> Decision | Reason | None:
    """Ask for the next metric, name the first that fails, or None when all pass."""
    every = tuple(checks(case.analysis))
    for at, check in enumerate(every):
        if check.need is None:
            return unusable()
        result = case.situation.evidence.get(check.need)
        if result is None:
            rest = tuple(later.need for later in every[at:] if later.need is not None)
            return Decision(needs=rest, reasons=(reasons.ASKING,))
        reason = judge(case.canary, case.situation.provider, check.metric, check.need.source, result)
        if reason:
            return reason
    return None


def _fail(case: Case, said: tuple[Action, ...], reason: Reason) -> Decision:
    return case.act(
        reason,
        *said,
        case.say(reason, warn=True),
        case.write(halted=reason, **case.tick(failed_checks=case.status.failed_checks + 1)),
        memory=case.memory.round_ended(),
    )
