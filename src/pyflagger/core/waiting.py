"""Waits: for pods, for a route, and for everything else that is not the interval of the release.

flagger reports the first reason immediately, and changes once an interval, so that a rollout of fifty pods does not
create fifty events. It also reports an exceeded deadline immediately. After ten seconds it sets a condition and lists
the pods to find their trouble. An undisturbed release reads and writes nothing here.

`stands` adds the condition to every other decision that waits: in a pause, at a closed gate, for a check without an
answer, and by one of the reasons in `HOLDS`.
"""

from __future__ import annotations

from dataclasses import replace

from pyflagger.api.facts import Readiness
from pyflagger.core import absent, answers, reasons, rollback
from pyflagger.core.actions import act, say
from pyflagger.core.clocks import until_heard
from pyflagger.core.conditions import STANDS_SECONDS, WAITING, camel, standing, stands_at, waits_for
from pyflagger.core.decision import Action, Alert, Decision, Reason, WriteStatus
from pyflagger.core.memory import AT_WRITE, Memory, Role, Time, Wait
from pyflagger.core.situation import CallHook, CheckMetric, FindManager, FindTrouble, Need, Trouble
from pyflagger.core.view import View

ROUTE = "route-not-ready"
WAITS = ("primary-not-ready", "canary-not-ready", ROUTE)
HOLDS = ("rollback-holds", "handing-back-holds")
"""Codes of reasons that hold a release, with an event of their own."""


def hold_for_primary(view: View) -> Decision:
    """Wait for the primary. Past its deadline, send an alert. It counts no failed check and moves no traffic."""
    readiness = view.primary_readiness
    alert = () if readiness.retriable else (Alert("error", reasons.alert_primary(readiness.text)),)
    return _hold(view, reasons.primary_not_ready(readiness.text), readiness, alert, "primary")


def overdue(view: View) -> bool:
    """Whether the wait for the primary is longer than its deadline, even if its status has no times."""
    since = _since(view, WAITS[0])
    return since is not None and view.now >= since + view.canary.spec.progress_deadline_seconds


def hold_for_canary(view: View) -> Decision:
    """Wait for the canary."""
    readiness = view.target.readiness
    return _hold(view, reasons.canary_not_ready(readiness.text), readiness, (), "canary")


def hold_for_route(view: View) -> Decision:
    """Wait until the data plane accepts the route. Past the deadline, roll back."""
    text, expires = view.situation.route_waiting, _expires(view, view.canary.spec.progress_deadline_seconds)
    if view.now >= expires:
        return rollback.by_route(view, text)
    return _hold(view, reasons.route_not_ready(text), Readiness(False, text, look_again=expires), (), None)


def _expires(view: View, seconds: float) -> float:
    """The end of a wait of so many seconds for the route."""
    since = _since(view, ROUTE)
    return (view.now if since is None else since) + seconds


def hold_for_backends(view: View, announced: bool) -> Decision | None:
    """Wait until proxies know routes that name Services at weight 0; None once flagger may write them again.

    If the data plane does not accept a route within ten seconds, flagger continues: no visitor uses that route, and a
    deletion must end.
    """
    since = view.memory.announced
    if not announced:
        return None
    if since is not None:
        return until_heard(view, since, reasons.ANNOUNCED)
    text, expires = view.situation.route_waiting, _expires(view, STANDS_SECONDS)
    if text and view.now < expires:
        readiness = Readiness(False, text, look_again=expires)
        return _hold(view, reasons.route_not_ready(text), readiness, (), None, quiet=True)
    return act(reasons.ANNOUNCED, memory=replace(view.memory, announced=AT_WRITE))


def stands(view: View, decision: Decision) -> Decision:
    """The decision with the condition of a wait, or without it. Memory learns the beginning and the end of each wait.

    Actions carry the condition along if they write the status. Otherwise a write of its own sets or removes it. While
    another client scales the target down again and again, it is one wait for its pods.
    """
    if decision.needs:
        return _asking(view, decision)
    reason = decision.reasons[0]
    if reason.code in HOLDS:
        return _held(view, decision, reason)
    if reason is reasons.SCALING_UP or any(each.code in WAITS for each in decision.reasons):
        return decision
    memory = decision.memory or view.memory
    waits = {code: replace(wait, since=None) for code, wait in memory.waits.items()}
    decision = replace(decision, memory=replace(memory, waits=waits)) if waits else decision
    return _standing(view, decision)


def _standing(view: View, decision: Decision) -> Decision:
    """Set the condition of a pause or a closed gate after ten seconds, and remove that of a wait that is over."""
    last = decision.actions[-1] if decision.actions else None
    written = last.status if isinstance(last, WriteStatus) else view.status
    held = answers.held(view.canary, written.hold) if written.hold else None
    status = standing(written, held, view.now)
    if isinstance(last, WriteStatus):
        return (
            decision if status == written else replace(decision, actions=(*decision.actions[:-1], WriteStatus(status)))
        )
    if decision.actions:
        return decision
    if status != view.status:
        return replace(decision, actions=(WriteStatus(status),))
    stands = stands_at(status, held)
    return decision if stands is None or stands <= view.now else replace(decision, wake=_earlier(decision.wake, stands))


def _held(view: View, decision: Decision, reason: Reason) -> Decision:
    """Set the condition of a reason that holds the release for ten seconds. Its text changes once an interval."""
    now, wait = Time(view.now), _wait(view, reason.code)
    if wait is None or wait.since is None:
        begun = Wait(*_about(view), now, now, reason.text)
        wake = _earlier(decision.wake, now + STANDS_SECONDS)
        return replace(decision, wake=wake, memory=_waiting(view, reason, begun))
    status = waits_for(view.status, reason, wait.since, view.now)
    if status == view.status:
        return decision
    due = wait.told_at + view.situation.interval if _stands(view, reason) else wait.since + STANDS_SECONDS
    if view.now < due:
        return replace(decision, wake=_earlier(decision.wake, due))
    memory = _waiting(view, reason, replace(wait, told_at=now))
    return replace(decision, actions=(*decision.actions, WriteStatus(status)), memory=memory)


def _earlier(wake: float | None, moment: float) -> float:
    return moment if wake is None else min(wake, moment)


def _asking(view: View, decision: Decision) -> Decision:
    """Set the condition of checks that have not been answered for ten seconds, unless the release waits already."""
    since, asked = view.situation.asking, decision.together
    if since is None or view.now < since + STANDS_SECONDS or isinstance(asked[0], FindManager | FindTrouble):
        return decision
    if any(each.type == WAITING for each in view.status.conditions):
        return decision
    reason = _unanswered(view, asked, since)
    return replace(decision, meanwhile=WriteStatus(waits_for(view.status, reason, since, view.now)))


def _unanswered(view: View, asked: tuple[Need, ...], since: float) -> Reason:
    hooks = [view.analysis.webhooks[need.index] for need in asked if isinstance(need, CallHook)]
    if hooks:
        return absent.hook_unanswered(hooks[0], since)
    metrics = (view.analysis.metrics[need.index].name for need in asked if isinstance(need, CheckMetric))
    return absent.checks_unanswered(dict.fromkeys(metrics), since)


def _hold(
    view: View, reason: Reason, readiness: Readiness, alert: tuple[Action, ...], role: Role | None, quiet: bool = False
) -> Decision:
    """`quiet`: do not report the start of the wait."""
    if readiness.settling:
        return Decision(reasons=(reason,), wake=readiness.look_again)
    now, wait = Time(view.now), _wait(view, reason.code)
    if wait is None:
        wait = Wait(*_about(view), now, now, reason.text)
        begun = act(reason, memory=_waiting(view, reason, wait))
        return begun if quiet else _say(view, reason, wait, readiness, alert)
    if wait.since is None:
        return act(reason, memory=_waiting(view, reason, replace(wait, since=now)))
    again = wait.told_at + view.situation.interval
    changed = reason.text != wait.text
    if changed and (view.now >= again or not readiness.retriable):
        return _say(view, reason, replace(wait, told_at=now, text=reason.text), readiness, alert)
    stands = again if _stands(view, reason) else wait.since + STANDS_SECONDS
    if view.now >= stands:
        return _note(view, reason, replace(wait, told_at=now), readiness, role)
    moments = (stands, again if changed else stands, readiness.look_again or stands)
    known = view.memory.troubles.get(role, "") if role else ""
    return Decision(reasons=(_with(reason, known),), wake=min(moments))


def _say(view: View, reason: Reason, wait: Wait, readiness: Readiness, alert: tuple[Action, ...]) -> Decision:
    memory = _waiting(view, reason, wait)
    actions = (say(view, reason, warn=True), *alert)
    return Decision(actions=actions, reasons=(reason,), wake=readiness.look_again, memory=memory)


def _note(view: View, reason: Reason, wait: Wait, readiness: Readiness, role: Role | None) -> Decision:
    """Ask for the pods' trouble, and set the condition. An event reports each trouble once."""
    found = view.situation.evidence.get(FindTrouble(role)) if role else Trouble()
    if role and found is None:
        return Decision(needs=(FindTrouble(role),), reasons=(reason,))
    trouble = found.text if isinstance(found, Trouble) else ""
    whole, memory = _with(reason, trouble), _waiting(view, reason, wait)
    actions: tuple[Action, ...] = ()
    if role and trouble != memory.troubles.get(role, ""):
        memory = replace(memory, troubles={**memory.troubles, role: trouble})
        actions += (say(view, whole, warn=True),) if trouble else ()
    status = waits_for(view.status, whole, view.now if wait.since is None else wait.since, view.now)
    actions += (WriteStatus(status),) if status != view.status else ()
    return Decision(actions=actions, reasons=(whole,), wake=readiness.look_again, memory=memory)


def _with(reason: Reason, trouble: str) -> Reason:
    return replace(reason, text=f"{reason.text}: {trouble}") if trouble else reason


def _stands(view: View, reason: Reason) -> bool:
    """Whether the condition is about this wait already."""
    return any(each.type == WAITING and each.reason == camel(reason.code) for each in view.status.conditions)


def _about(view: View) -> tuple[str, str]:
    return view.status.phase.value, view.running


def _wait(view: View, code: str) -> Wait | None:
    """This wait, if it belongs to the current phase and revision."""
    wait = view.memory.waits.get(code)
    return wait if wait and (wait.phase, wait.revision) == _about(view) else None


def _since(view: View, code: str) -> Time | None:
    wait = _wait(view, code)
    return wait.since if wait else None


def _waiting(view: View, reason: Reason, wait: Wait) -> Memory:
    return replace(view.memory, waits={**view.memory.waits, reason.code: wait})
