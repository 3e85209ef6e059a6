"""The judging phases: the rules that run on every change, and the judging round of every interval.

Phases Progressing and WaitingPromotion. A round calls rollback hooks first. Then it calls pre-rollout hooks if the
canary had no traffic yet, or otherwise rollout hooks, and all metrics at the same time (`policy`). Then `strategy`
takes the step, behind its gates. A failure ends the round with one failed check. flagger acts immediately on everything
else: pods, a new revision, a deadline.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyflagger.api.canary import CanaryStatus, HookType, Phase
from pyflagger.api.defaults import SEEN_SETTLE_SECONDS, threshold
from pyflagger.api.durations import second
from pyflagger.api.facts import ALL_PRIMARY
from pyflagger.api.published import HookResult, RoundStatus
from pyflagger.core import absent, comparison, handover, pausing, promotion, reasons, rollback, strategy
from pyflagger.core.actions import act, once, route_to, say, sleep, wake_up
from pyflagger.core.clocks import due, last_tick, ticked, until_settled
from pyflagger.core.decision import Action, Alert, Decision, Reason, WriteStatus
from pyflagger.core.evidence import agrees, call
from pyflagger.core.memory import AT_WRITE, DUE, Available, Round, Time
from pyflagger.core.policy import Results, measure
from pyflagger.core.remember import clean_slate
from pyflagger.core.revision import RevisionChange, copied, running_change
from pyflagger.core.view import View
from pyflagger.core.waiting import hold_for_canary, hold_for_primary, hold_for_route
from pyflagger.core.writing import adopt_revision, no_progress, take_revision, write

# On every change ----------------------------------------------------------------------------------------------------


def changed(view: View) -> Decision | None:
    """A new revision restarts the run without traffic. The promoted revision ends the run without a failure."""
    change = running_change(view.status, view.target, view.matches)
    if change is RevisionChange.NONE:
        return None
    if change is RevisionChange.REBASE:
        written = write(view, **ticked(view, **adopt_revision(view, view.status.last_applied_spec)))
        return act(reasons.REBASED, written, memory=view.memory.round_ended())
    stranded = view.exposed and not view.primary_readiness.ready
    if stranded and not (view.canary_carries_all and change is RevisionChange.NEW):
        return hold_for_primary(view)
    return (
        _cancel(view) if change is RevisionChange.REVERTED else restart(view, reasons.restarting(view.canary), stranded)
    )


def restart(view: View, reason: Reason, rescued: bool = False) -> Decision:
    """Restart the run. While the primary is broken, the canary keeps all traffic during its analysis.

    What people asked for ends with the run. A pause goes on.
    """
    same = view.running == view.pending
    since = view.status.last_transition_time if same else second(view.now)
    began = {"last_transition_time": since, "last_tick_time": None}
    tick = ticked(view) if rescued else began
    return act(
        reason,
        say(view, reason, checksum=view.pending),
        *handover.warnings(view),
        *(() if rescued else route_to(view, ALL_PRIMARY)),
        Alert("info", reasons.ALERT_RESTART, with_fields=True),
        write(
            view,
            Phase.PROGRESSING,
            gates=None,
            promote=None,
            **no_progress(100 if rescued else 0),
            **tick,
            **take_revision(view),
        ),
        memory=clean_slate(view, AT_WRITE if rescued else DUE),
    )


def _cancel(view: View) -> Decision:
    reason = reasons.cancelled(view.canary)
    actions = (
        *route_to(view, ALL_PRIMARY),
        *once(view, reason, phase=Phase.INITIALIZED, checksum=view.pending),
    )
    if actions:
        return act(reason, *actions)
    return sleep(view, reason, led=view.leads) or act(
        reason,
        Alert("info", reasons.ALERT_CANCELLED),
        write(view, Phase.INITIALIZED, message=reasons.CONDITION_CANCELLED, **no_progress(), **take_revision(view)),
        memory=clean_slate(view, AT_WRITE),
    )


def made_it(view: View) -> Decision | None:
    """The primary already runs this revision: continue from there without another analysis."""
    return promotion.already_copied(view) if copied(view.status, view.target, view.matches) else None


def primary_carries(view: View) -> Decision | None:
    """A primary with traffic must be ready. The run repairs a primary without traffic."""
    if view.skip or view.full or view.canary_carries_all or view.primary_gone or view.primary_readiness.ready:
        return None
    return hold_for_primary(view)


def canary_pods(view: View) -> Decision | None:
    """The canary's pods: scale them up, wait for them, or roll back at the deadline."""
    if view.target_asleep:
        return act(reasons.SCALING_UP, *wake_up(view))
    readiness = view.canary_readiness
    if readiness.undated:
        return _settled(view)
    if readiness.settling and readiness.look_again is not None:
        return _available(view, readiness.look_again)
    if readiness.ready:
        return None
    if not readiness.retriable:
        return rollback.by_deadline(view)
    return _withdraw(view) or hold_for_canary(view)


def _withdraw(view: View) -> Decision | None:
    """Return all traffic to the primary if the canary lost all pods, and restart the steps.

    This is a failed check, so that unstable pods end the run.
    """
    led = view.status.canary_weight > 0 or (view.exposed and not view.route.mirrored)
    if not led or not view.target.empty or view.target.readiness.settling or not view.primary_readiness.ready:
        return None
    reason, done = absent.stranded(view.canary), min(view.status.iterations, view.iterations)
    failed = view.status.failed_checks + 1
    return act(
        reason,
        *route_to(view, ALL_PRIMARY),
        say(view, reason, warn=True),
        write(view, halted=reason, failed_checks=failed, canary_weight=0, iterations=done),
    )


def _available(view: View, settled: float) -> Decision:
    """Wait until proxies know pods that became available (see `View.canary_readiness`).

    Memory keeps when flagger saw them, for this revision and this time of the API. A restart loses it.
    """
    known, revision = view.memory.available, view.target.revision
    if known is None or (known.revision, known.settled) != (revision, settled):
        known = Available(revision, settled, Time(view.now))
    by = min(settled, known.seen + SEEN_SETTLE_SECONDS)
    return replace(hold_for_canary(view), wake=by, memory=replace(view.memory, available=known))


def _settled(view: View) -> Decision | None:
    """Pods without a time of availability count from the moment in which flagger first saw them available."""
    seen = view.memory.canary_seen
    if seen is None:
        return act(reasons.SETTLING, memory=replace(view.memory, canary_seen=Time(view.now)))
    return until_settled(view, seen, reasons.SETTLING)


def skipped(view: View) -> Decision | None:
    """With skipAnalysis, return traffic to the primary, and copy the new template. A full promotion only copies it."""
    if view.full:
        return handover.copy(view)
    if not view.skip:
        return None
    if holds := pausing.stands(view):
        return holds
    if view.drains:
        return handover.copy(view)
    return promotion.copy(view, *(route_to(view, ALL_PRIMARY) if view.primary_readiness.ready else ()))


def too_many_failed(view: View) -> Decision | None:
    """Roll back at the threshold."""
    return rollback.by_checks(view) if fails(view) else None


def fails(view: View) -> bool:
    """Whether too many checks failed. A pause may only count them."""
    return view.status.failed_checks >= threshold(view.canary) and not pausing.shielded(view)


def served(view: View) -> Decision | None:
    """Do not judge while the data plane does not serve the wanted split. Rollbacks come before this rule."""
    return hold_for_route(view) if view.situation.route_waiting else None


def between_rounds(view: View) -> Decision | None:
    """Judge a step only after holding it for an interval. If its start is unknown, it starts now."""
    if last_tick(view) is None:
        return act(reasons.INTERVAL, memory=view.memory.round_ended())
    return Decision(reasons=(reasons.INTERVAL,), wake=due(view)) if view.now < due(view) else None


# The round ----------------------------------------------------------------------------------------------------------


def round_of(view: View) -> Decision:
    """One judging round, up to the first need without evidence."""
    said: tuple[Action, ...] = ()
    if view.memory.opened != _this(view):
        hooks = call(view, HookType.ROLLBACK, view.status.phase, stops=agrees)
        if hooks.ask:
            return hooks.ask
        for hook in hooks.asked:
            said += once(view, reasons.no_rollback(hook.name), item=hook.name)
        if hooks.stopped:
            return rollback.by_hook(view, hooks.stopped[0].name, *said)
    return _first(view, said) if view.first_round else _again(view, said)


def _this(view: View) -> Round:
    """This round, as memory identifies it."""
    last = last_tick(view)
    return Round(view.running, None if last is None else Time(last))


def _first(view: View, said: tuple[Action, ...]) -> Decision:
    """The round before any traffic. Memory keeps that it passed, so that a closed gate does not repeat it."""
    if view.memory.pre_rollout == view.running:
        return strategy.advance(view, said)
    reason = reasons.starting(view.canary)
    if view.memory.opened != _this(view):
        opened = replace(view.memory, opened=_this(view))
        return act(reason, *said, say(view, reason, phase=Phase.PROGRESSING), memory=opened)
    hooks = call(view, HookType.PRE_ROLLOUT, Phase.PROGRESSING)
    if hooks.ask:
        return hooks.ask
    said += hooks.passed(view, "Pre-rollout")
    if hooks.stopped:
        hook, error = hooks.stopped
        reason = reasons.check_failed(view.canary, "pre-rollout", hook.name, error)
        return _fail(view, said, reason, hooks=hooks.published)
    return strategy.advance(view.remembering(replace(view.memory, pre_rollout=view.running)), said)


def judged_now(view: View) -> Decision | Reason | None:
    """The result of a round out of turn: needs, why it does not pass, or None. It counts no failed check."""
    hooks = call(view, HookType.ROLLBACK, view.status.phase, stops=agrees)
    if hooks.ask:
        return hooks.ask
    if hooks.stopped:
        return reasons.hook_passed("Rollback", hooks.stopped[0].name)
    hooks = call(view, HookType.ROLLOUT, Phase.PROGRESSING)
    if hooks.ask:
        return hooks.ask
    if hooks.stopped:
        hook, error = hooks.stopped
        return reasons.check_failed(view.canary, "external", hook.name, error)
    found = measure(view)
    if isinstance(found, Decision):
        return found
    return comparison.worse(view, found.compared) or found.first("failed") or found.first("waiting")


def _again(view: View, said: tuple[Action, ...]) -> Decision:
    """A round with traffic."""
    hooks = call(view, HookType.ROLLOUT, Phase.PROGRESSING)
    if hooks.ask:
        return hooks.ask
    if hooks.stopped:
        hook, error = hooks.stopped
        refused = reasons.check_failed(view.canary, "external", hook.name, error)
        return _fail(view, said, refused, hooks=hooks.published)
    found = measure(view)
    if isinstance(found, Decision):
        return found
    view = view.remembering(replace(view.memory, lapses=found.lapses))
    said += found.told(view)
    if reason := comparison.worse(view, found.compared):
        return _refute(view, said, reason, found, hooks.published)
    if reason := found.first("failed"):
        return _fail(view, said, reason, found, hooks.published)
    if reason := found.first("waiting"):
        return _wait(view, said, reason, found, hooks.published)
    return _recorded(view, strategy.advance(view, said), found, hooks.published)


def _refute(
    view: View, said: tuple[Action, ...], reason: Reason, found: Results, hooks: tuple[HookResult, ...]
) -> Decision:
    """Roll back on evidence that the canary is worse. A pause may hold the step instead, as it holds failed checks."""
    if pausing.shielded(view):
        return _wait(view, said, reason, found, hooks)
    results = _judged(view, found, hooks)
    decision = rollback.by_comparison(view, reason, *said, **ticked(view, **results))
    return replace(decision, judged=results["round"], memory=view.memory.round_ended())


def _wait(
    view: View, said: tuple[Action, ...], reason: Reason, found: Results, hooks: tuple[HookResult, ...]
) -> Decision:
    """Hold the step for an interval without a failed check. A comparison in doubt returns to the first weight."""
    results = _judged(view, found, hooks)
    back = comparison.retreat(view) if reason.code == comparison.DOUBTFUL else None
    if back is not None:
        said, results = (*said, *route_to(view, back)), {**results, "canary_weight": back.canary}
    written = write(view, halted=reason, **ticked(view, **results))
    return replace(act(reason, *said, written, memory=view.memory.round_ended()), judged=results["round"])


def _judged(view: View, found: Results, hooks: tuple[HookResult, ...] = ()) -> dict[str, Any]:
    """The results of a round, as a status has them."""
    weight, iteration = view.route.canary, max(view.status.iterations, 0)
    told = RoundStatus(weight=weight, iteration=iteration, checks=found.published, hooks=hooks)
    compared = {"comparisons": found.comparisons} if found.comparisons else {}
    return {"results": found.text, "round": told, **compared}


def _recorded(view: View, decision: Decision, found: Results, hooks: tuple[HookResult, ...]) -> Decision:
    """The decision after a passed round, whose status also has the results, and with `consecutive` no failed checks.

    The evidence of a comparison is stored after each round, also while a pause or a gate holds the weight.
    """
    if decision.needs:
        return decision
    cleared = view.analysis.counting == "consecutive" and view.status.failed_checks > 0
    learned = found.comparisons not in ((), view.status.comparisons)

    def passed(status: CanaryStatus) -> WriteStatus:
        shown = {} if status.last_tick_time is None else _judged(view, found, hooks)
        return WriteStatus(status.but(**shown, failed_checks=0 if cleared else status.failed_checks))

    writes = any(isinstance(action, WriteStatus) for action in decision.actions)
    more = () if writes or not (cleared or learned) else (WriteStatus(view.status),)
    actions = (*decision.actions, *more)
    done = (passed(action.status) if isinstance(action, WriteStatus) else action for action in actions)
    return replace(decision, actions=tuple(done), judged=_judged(view, found, hooks)["round"])


def _fail(
    view: View,
    said: tuple[Action, ...],
    reason: Reason,
    found: Results | None = None,
    hooks: tuple[HookResult, ...] = (),
) -> Decision:
    failed, results = view.status.failed_checks + 1, _judged(view, found or Results(), hooks)
    written = write(view, halted=reason, **ticked(view, failed_checks=failed, **results))
    said += (say(view, reason, warn=True), written)
    return replace(act(reason, *said, memory=view.memory.round_ended()), judged=results["round"])
