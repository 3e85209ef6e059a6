"""Waiting for pods, in the same words wherever it happens.

The first thing known is said at once, and what changes after that once an interval: a rollout of fifty pods is not
fifty events. A deadline that has passed is said at once, too.
"""

from __future__ import annotations

from pyflagger.api.facts import Readiness
from pyflagger.core import reasons
from pyflagger.core.case import Case
from pyflagger.core.decision import Action, Alert, Decision, Reason, Remember


def hold_for_primary(case: Case) -> Decision:
    """Wait for the primary. One that is past its deadline is worth an alert; it consumes and reroutes nothing."""
    readiness = case.primary_readiness
    alert = () if readiness.retriable else (Alert("error", reasons.alert_primary(readiness.text)),)
    return _hold(case, reasons.primary_not_ready(readiness.text), readiness, alert)


def hold_for_canary(case: Case) -> Decision:
    """Wait for the canary."""
    readiness = case.target.readiness
    return _hold(case, reasons.canary_not_ready(readiness.text), readiness)


def hold_for_route(case: Case) -> Decision:
    """Wait for the data plane to take the route."""
    text = case.situation.route_waiting
    return _hold(case, reasons.route_not_ready(text), Readiness(False, text))


def _hold(case: Case, reason: Reason, readiness: Readiness, alert: tuple[Action, ...] = ()) -> Decision:
    if readiness.settling:
        return Decision(reasons=(reason,), wake=readiness.look_again)
    said = case.say(reason, warn=True)
    about = f"{said.phase} {said.checksum}"
    before, at, text = _last(case, reason.code)
    if before == about and text == reason.text:
        return Decision(reasons=(reason,), wake=readiness.look_again)
    again = at + case.situation.interval
    if before == about and readiness.retriable and case.now < again:
        return Decision(reasons=(reason,), wake=min(again, readiness.look_again or again))
    told = Remember(said=((reason.code, f"{about}|{case.now}|{reason.text}"),))
    return Decision(actions=(said, told, *alert), reasons=(reason,), wake=readiness.look_again)


def _last(case: Case, code: str) -> tuple[str, float, str]:
    """What was said last of this kind: about which phase and revision, when, in which words."""
    about, _, rest = case.situation.memory.said.get(code, "").partition("|")
    at, _, text = rest.partition("|")
    return (about, float(at), text) if text else ("", 0.0, "")
