"""The forms of the act pages: which fields an action has, and the request that a filled form asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pyflagger.api.actions import EXPIRES_DEFAULT, Action, ActionSpec, problem
from pyflagger.api.durations import parse, stamp
from pyflagger.api.facts import Fault, Problem
from pyflagger.dashboard.problems import Refused
from pyflagger.seeing.model import CanaryView


class Form(NamedTuple):
    """An act page. `fields`: those of the request that the page asks for, by their names in the form.

    `reasoned`: it needs a reason. `any_revision`: it is for the revision that is there when the operator takes it,
    because it moves no traffic. `when`: the phases in which the page of the canary offers it.
    """

    title: str
    spec: Mapping[str, Any]
    when: Sequence[str]
    fields: Sequence[str] = ()
    reasoned: bool = False
    any_revision: bool = False


IDLE = ("Initialized", "Succeeded")
JUDGED = ("Progressing", "WaitingPromotion")
BEFORE_COPY = ("Waiting", *JUDGED)

FORMS: Mapping[str, Form] = {
    "promote": Form("Promote", {"action": Action.PROMOTE}, JUDGED),
    "promote-full": Form("Promote in full", {"action": Action.PROMOTE, "full": True}, BEFORE_COPY, reasoned=True),
    "pause": Form(
        "Pause",
        {"action": Action.PAUSE},
        (*IDLE, *BEFORE_COPY, "Failed"),
        fields=("for", "then", "keep"),
        any_revision=True,
    ),
    "resume": Form("Resume", {"action": Action.RESUME}, (*IDLE, *BEFORE_COPY, "Failed")),
    "abort": Form("Abort", {"action": Action.ABORT}, BEFORE_COPY, reasoned=True),
    "retry": Form("Retry", {"action": Action.RETRY}, ("Failed",)),
    "restart": Form("Restart", {"action": Action.RESTART}, JUDGED),
    "weight": Form("Set the weight", {"action": Action.WEIGHT}, JUDGED, fields=("weight", "hold"), reasoned=True),
    "undo": Form("Undo", {"action": Action.UNDO}, (*IDLE, "Failed"), fields=("to",), reasoned=True),
    "open-gate": Form("Open a gate", {"action": Action.OPEN_GATE}, BEFORE_COPY, fields=("gate",)),
    "close-gate": Form("Close a gate", {"action": Action.CLOSE_GATE}, BEFORE_COPY, fields=("gate",)),
}
"""The forms by the verb of the request."""


def offered(view: CanaryView, gates: Sequence[Any]) -> tuple[str, ...]:
    """The verbs that make sense for a canary now. The operator decides; a page that is not offered works, too."""
    if view.operator.foreign:
        return ()
    phase, held = view.canary.phase, view.hold is not None
    found = [verb for verb, form in FORMS.items() if phase in form.when and ("gate" not in form.fields or gates)]
    return tuple(verb for verb in found if verb != ("pause" if held else "resume"))


def spec_of(verb: str, given: Mapping[str, str], view: CanaryView, by: str, now: float) -> ActionSpec:
    """The request of a filled form, for the revision that the page showed. Raises Refused."""
    form = FORMS[verb]
    fields = {
        **form.spec,
        "canary": view.canary.name,
        "by": by,
        "via": "dashboard",
        "reason": given.get("reason", ""),
        "revision": "" if form.any_revision else given.get("revision", "") or view.target.revision or "",
        "expires": stamp(now + EXPIRES_DEFAULT),
        **{name: value for field in form.fields for name, value in _field(field, given, now).items()},
    }
    spec = checked({name: value for name, value in fields.items() if value != ""})
    if form.reasoned and not spec.reason:
        raise wrong(f"{verb} needs a reason")
    return spec


def checked(fields: Mapping[str, Any]) -> ActionSpec:
    """A request. Raises Refused with what is wrong with it."""
    try:
        spec = ActionSpec.model_validate(fields)
    except ValueError as error:
        raise wrong(f"the request is invalid: {error}") from error
    if text := problem(spec):
        raise wrong(text)
    return spec


def wrong(text: str) -> Refused:
    """The answer to a request that makes no sense."""
    return Refused(400, Problem(Fault.MANIFEST, text, "Go back and correct it."))


def _field(field: str, given: Mapping[str, str], now: float) -> Mapping[str, Any]:
    """What a field of a form asks for. Raises Refused."""
    text = given.get(field, "").strip()
    if not text:
        return {}
    match field:
        case "for":
            return {"until": stamp(now + _seconds(text))}
        case "then":
            return {"then": text} if given.get("for", "").strip() else {}
        case "keep":
            return {"onFailure": "hold"}
        case "hold":
            return {"hold": True}
        case "weight" | "to":
            return {field: _number(text)}
    return {field: text}


def _seconds(text: str) -> float:
    try:
        found = parse(text)
    except ValueError as error:
        raise wrong(f"{text[:40]} is no duration such as 2h or 30m") from error
    if found <= 0:
        raise wrong("the pause must last longer than nothing")
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise wrong(f"{text[:40]} is no whole number")
    return int(text)
