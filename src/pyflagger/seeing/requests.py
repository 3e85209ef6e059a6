"""Requests to steer a release, and its gates, as people see them. Pure.

Called by the commands `actions`, `gate` and those that create a request, and by the dashboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyflagger.api.actions import EXPIRES_DEFAULT, EXPIRES_MAX, FULL, Action, ActionSpec, OnFailure, verb
from pyflagger.api.analysis import DEADLINE, DEFAULT, GATE_URL
from pyflagger.objects import Obj, part
from pyflagger.seeing import raw
from pyflagger.seeing.model import ActionView, CanaryView, GateView, Time

PENDING = "Pending"
GATES = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")


def requests(objects: Iterable[Obj]) -> tuple[ActionView, ...]:
    """The requests: those that wait for the operator, the oldest first, then the others, the newest first."""
    found = sorted(map(request_of, objects), key=lambda each: (each.at or 0.0, each.name))
    waiting = [each for each in found if each.state == PENDING]
    return (*waiting, *reversed([each for each in found if each.state != PENDING]))


def request_of(obj: Obj) -> ActionView:
    """One request."""
    meta, spec, status = obj["metadata"], part(obj, "spec"), part(obj, "status")
    created = raw.time(meta, "creationTimestamp")
    state = raw.text(status, "state") or PENDING
    return ActionView(
        name=raw.text(meta, "name"),
        action=_action(spec),
        by=raw.text(spec, "by"),
        reason=raw.text(spec, "reason"),
        via=raw.text(spec, "via"),
        at=created,
        state=state,
        code=raw.text(status, "code"),
        text=raw.text(status, "text"),
        decided=raw.time(status, "at"),
        expires=_expiry(spec, created) if state == PENDING else None,
    )


def _action(spec: Mapping[str, Any]) -> str:
    """The action with what it is about, such as `weight 40`."""
    action = raw.text(spec, "action")
    if spec.get("full") is True:
        return FULL
    about = {Action.WEIGHT: raw.number(spec, "weight"), Action.UNDO: raw.number(spec, "to") or ""}
    return f"{action} {about.get(Action(action), raw.text(spec, 'gate')) if action in set(Action) else ''}".rstrip()


def _expiry(spec: Mapping[str, Any], created: Time | None) -> Time | None:
    if created is None:
        return None
    asked = raw.time(spec, "expires")
    return Time(min(created + EXPIRES_DEFAULT if asked is None else asked, created + EXPIRES_MAX))


def gates(canary: Obj) -> tuple[GateView, ...]:
    """The gates of a Canary, in the order of its manifest."""
    return tuple(_gates(part(part(canary, "spec"), "analysis"), part(canary, "status")))


def _gates(analysis: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[GateView]:
    decided = part(status, "gates")
    for hook in raw.items(analysis, "webhooks"):
        if raw.text(hook, "type") in GATES:
            name = raw.text(hook, "name")
            ours, ends = part(decided, name), raw.texts(hook, "metadata")
            deadline = ends.get(DEADLINE, "")
            told = next((each for each in _told(status) if raw.text(each, "name") == name), {})
            yield GateView(
                name=name,
                type=raw.text(hook, "type"),
                state=raw.text(ours, "state") or ("closed" if raw.text(hook, "url") == GATE_URL else None),
                by=raw.text(ours, "by"),
                verdict=raw.text(told, "verdict") or None,
                text=raw.text(told, "text"),
                deadline=deadline,
                default=ends.get(DEFAULT, "") if deadline else "",
                until=None if raw.text(ours, "state") else _end(raw.time(ours, "since"), deadline),
            )


def _end(since: Time | None, deadline: str) -> Time | None:
    """When a gate that has held a revision since then gets its default."""
    seconds = raw.seconds({DEADLINE: deadline}, DEADLINE, 0.0)
    return Time(since + seconds) if since is not None and seconds else None


def _told(status: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    return raw.items(part(status, "round"), "hooks")


# What a request does --------------------------------------------------------------------------------------------------


def meaning(asked: ActionSpec, view: CanaryView) -> str:
    """The effect of a request on a canary as it is now, in a sentence without a subject."""
    if verb(asked) not in EFFECTS:
        return f"asks for {asked.action}"
    old, new = running(view)
    about = {"to": f"release {asked.to}" if asked.to else "the release before", "gate": asked.gate, "n": asked.weight}
    failed = "are only counted" if asked.on_failure == OnFailure.HOLD else "still roll it back"
    return EFFECTS[verb(asked)].format(old=old, new=new, at=weight(view), failed=failed, **about)


EFFECTS: Mapping[str, str] = {
    Action.PROMOTE: "judges a round now and promotes {new} if it passes",
    FULL: "promotes {new} instead of {old} once its pods are ready, whatever the checks and gates say",
    Action.PAUSE: "holds the release at canary weight {at}; failed checks {failed}",
    Action.RESUME: "lets the release go on: it stays at its weight for one interval, and is judged then",
    Action.ABORT: "rolls {new} back: all visitors get {old}, and flagger does not try this revision again",
    Action.RETRY: "releases {new} again, from its start",
    Action.RESTART: "begins the analysis of {new} again, at canary weight 0",
    Action.WEIGHT: "changes the canary's weight from {at} to {n} now",
    Action.UNDO: "gives the primary the pod template of {to} instead of {old}; the target stays as it is",
    Action.OPEN_GATE: "lets this revision pass the gate {gate}",
    Action.CLOSE_GATE: "holds this revision at the gate {gate}, whatever its URL answers",
}


def running(view: CanaryView) -> tuple[str, str]:
    """The images of the primary and of the target that differ, or all of them."""
    changed = [each for each in view.images if each.changed] or list(view.images)
    old = ", ".join(dict.fromkeys(each.primary or "?" for each in changed))
    new = ", ".join(dict.fromkeys(each.canary or each.primary or "?" for each in changed))
    return old or "the primary's version", new or "the target's version"


def weight(view: CanaryView) -> int:
    """The canary's share of traffic, in percent."""
    if view.traffic is not None:
        return view.traffic.canary
    return view.canary.weight.canary if view.canary.weight else 0
