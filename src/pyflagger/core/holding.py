"""Waiting for pods or for a route, in the same words wherever it happens.

The first thing known is said at once, and what changes after that once an interval: a rollout of fifty pods is not
fifty events. A deadline that has passed is said at once, too. What still waits after ten seconds gets a condition,
and then the pods are asked what keeps them: an undisturbed release asks nothing and writes nothing here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

from pyflagger.api.facts import Readiness
from pyflagger.core import reasons, rollback
from pyflagger.core.case import Case
from pyflagger.core.decision import Action, Alert, Decision, Reason, Remember, WriteStatus
from pyflagger.core.situation import FindTrouble, Trouble
from pyflagger.core.transitions import WAITING, camel, stand

Role: TypeAlias = Literal["canary", "primary"]

STANDS_SECONDS = 10.0
"""After how long a wait is worth a condition, and a look at the pods."""

ROUTE = "route-not-ready"
WAITS = ("primary-not-ready", "canary-not-ready", ROUTE)


class Told(NamedTuple):
    """What was said last of a wait: about which phase and revision, when, in which words; since when it lasts.

    `since` is None when it is over: what waits again, and for the same, is another wait that need not be said at once.
    """

    about: str = ""
    since: float | None = None
    at: float = 0.0
    text: str = ""


def hold_for_primary(case: Case) -> Decision:
    """Wait for the primary. One that is past its deadline is worth an alert; it consumes and reroutes nothing."""
    readiness = case.primary_readiness
    alert = () if readiness.retriable else (Alert("error", reasons.alert_primary(readiness.text)),)
    return _hold(case, reasons.primary_not_ready(readiness.text), readiness, alert, "primary")


def overdue(case: Case) -> bool:
    """Whether the primary has been waited for longer than its deadline, whatever its own status knows of time."""
    told = _told(case, WAITS[0])
    since = told.since if told.about == _about(case) else None
    return since is not None and case.now >= since + case.canary.spec.progress_deadline_seconds


def hold_for_canary(case: Case) -> Decision:
    """Wait for the canary."""
    readiness = case.target.readiness
    return _hold(case, reasons.canary_not_ready(readiness.text), readiness, (), "canary")


def hold_for_route(case: Case) -> Decision:
    """Wait for the data plane to take the route; what it never takes is not released."""
    text, told = case.situation.route_waiting, _told(case, ROUTE)
    since = told.since if told.about == _about(case) else None
    expires = (case.now if since is None else since) + case.canary.spec.progress_deadline_seconds
    if case.now >= expires:
        return rollback.by_route(case, text)
    return _hold(case, reasons.route_not_ready(text), Readiness(False, text, look_again=expires), (), None)


def ended(case: Case, decision: Decision) -> Decision:
    """The decision, with a note that a wait is over; its condition goes.

    A decision that acts takes the condition along with its own write.
    """
    if decision.needs or any(reason.code in WAITS for reason in decision.reasons):
        return decision
    open_ones = [(code, told) for code in WAITS if (told := _told(case, code)).since is not None]
    notes = tuple(_entry(code, told._replace(since=None)) for code, told in open_ones)
    actions: tuple[Action, ...] = (Remember(said=notes),) if notes else ()
    status = stand(case.status, WAITING, (), case.now)
    if not decision.actions and status != case.status:
        actions += (WriteStatus(status),)
    return replace(decision, actions=(*actions, *decision.actions)) if actions else decision


def _hold(case: Case, reason: Reason, readiness: Readiness, alert: tuple[Action, ...], role: Role | None) -> Decision:
    if readiness.settling:
        return Decision(reasons=(reason,), wake=readiness.look_again)
    about, told = _about(case), _told(case, reason.code)
    if told.about != about:
        return _say(case, reason, Told(about, case.now, case.now, reason.text), readiness, alert)
    if told.since is None:
        return case.act(reason, _remember(reason, told._replace(since=case.now)))
    again = told.at + case.situation.interval
    changed = reason.text != told.text
    if changed and (case.now >= again or not readiness.retriable):
        return _say(case, reason, told._replace(at=case.now, text=reason.text), readiness, alert)
    stands = again if _stands(case, reason) else told.since + STANDS_SECONDS
    if case.now >= stands:
        return _note(case, reason, told._replace(at=case.now), readiness, role)
    moments = (stands, again if changed else stands, readiness.look_again or stands)
    known = case.situation.memory.said.get(reasons.TROUBLE[role], "") if role else ""
    return Decision(reasons=(_with(reason, known),), wake=min(moments))


def _say(case: Case, reason: Reason, told: Told, readiness: Readiness, alert: tuple[Action, ...]) -> Decision:
    actions = (case.say(reason, warn=True), _remember(reason, told), *alert)
    return Decision(actions=actions, reasons=(reason,), wake=readiness.look_again)


def _note(case: Case, reason: Reason, told: Told, readiness: Readiness, role: Role | None) -> Decision:
    """Ask the pods, and say in a condition what is waited for; what they say is an event once."""
    found = case.situation.evidence.get(FindTrouble(role)) if role else Trouble()
    if role and found is None:
        return Decision(needs=(FindTrouble(role),), reasons=(reason,))
    trouble = found.text if isinstance(found, Trouble) else ""
    actions: tuple[Action, ...] = (_remember(reason, told),)
    whole = _with(reason, trouble)
    if role and trouble != case.situation.memory.said.get(reasons.TROUBLE[role], ""):
        actions += (Remember(said=((reasons.TROUBLE[role], trouble or None),)),)
        actions += (case.say(whole, warn=True),) if trouble else ()
    status = stand(case.status, WAITING, (whole,), case.now)
    actions += (WriteStatus(status),) if status != case.status else ()
    return Decision(actions=actions, reasons=(whole,), wake=readiness.look_again)


def _with(reason: Reason, trouble: str) -> Reason:
    return replace(reason, text=f"{reason.text}: {trouble}") if trouble else reason


def _stands(case: Case, reason: Reason) -> bool:
    """Whether the condition tells of this wait already."""
    return any(each.type == WAITING and each.reason == camel(reason.code) for each in case.status.conditions)


def _remember(reason: Reason, told: Told) -> Remember:
    return Remember(said=(_entry(reason.code, told),))


def _entry(code: str, told: Told) -> tuple[str, str]:
    since = "" if told.since is None else told.since
    return code, f"{told.about}|{since}|{told.at}|{told.text}"


def _about(case: Case) -> str:
    said = case.say(reasons.ASKING)
    return f"{said.phase} {said.checksum}"


def _told(case: Case, code: str) -> Told:
    about, _, rest = case.situation.memory.said.get(code, "").partition("|")
    since, _, rest = rest.partition("|")
    at, _, text = rest.partition("|")
    return Told(about, float(since) if since else None, float(at), text) if text else Told()
