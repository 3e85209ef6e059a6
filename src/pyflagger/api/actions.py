"""The kind CanaryAction: one request to steer a release, such as pause or promote. It is never changed.

The Canary of a request is the one that `spec.canary` names. Labels and owner references are for lists and for the
garbage collector. The creator of an object sets them freely, so no right is derived from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.alias_generators import to_snake

from pyflagger.api import names
from pyflagger.api.base import Model
from pyflagger.api.durations import epoch_or_none
from pyflagger.api.meta import Meta
from pyflagger.api.records import UID
from pyflagger.objects import Obj

VERSION = "v1alpha1"
API_VERSION = f"{names.GROUP}/{VERSION}"
KIND = "CanaryAction"

NAME_MAX, BY_MAX, REASON_MAX, VIA_MAX, TEXT_MAX = 253, 256, 512, 64, 1024
EXPIRES_DEFAULT, EXPIRES_MAX = 600.0, 86400.0
"""Seconds after the creation of a request: the default of `spec.expires`, and its latest value."""
FULL = "promote-full"


class Action(StrEnum):
    """What a request asks for."""

    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    RETRY = "retry"
    RESTART = "restart"
    WEIGHT = "weight"
    UNDO = "undo"
    OPEN_GATE = "open-gate"
    CLOSE_GATE = "close-gate"


class Then(StrEnum):
    """The end of a pause that ends by itself."""

    RESUME = "resume"
    ABORT = "abort"


class OnFailure(StrEnum):
    """The effect of failed checks on a paused release."""

    ROLLBACK = "rollback"
    HOLD = "hold"


class State(StrEnum):
    """What became of a request. A pending one has none."""

    DONE = "Done"
    REFUSED = "Refused"
    EXPIRED = "Expired"


OF: Mapping[str, tuple[Action, ...]] = {
    "full": (Action.PROMOTE,),
    "weight": (Action.WEIGHT,),
    "hold": (Action.WEIGHT,),
    "to": (Action.UNDO,),
    "gate": (Action.OPEN_GATE, Action.CLOSE_GATE),
    "until": (Action.PAUSE,),
    "then": (Action.PAUSE,),
    "onFailure": (Action.PAUSE,),
}
"""The actions that each field belongs to."""

NEEDED: Mapping[Action, str] = {Action.WEIGHT: "weight", Action.OPEN_GATE: "gate", Action.CLOSE_GATE: "gate"}
"""The field that an action cannot do without."""


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def one_line(text: Any) -> Any:
    """A text without characters that control a terminal or are invisible. A space stands for each run of them."""
    return _UNSEEN.sub(" ", text).strip() if isinstance(text, str) else text


Line = Annotated[str, BeforeValidator(one_line)]


class ActionMeta(Meta):
    """The metadata of a request. Requests are taken in the order of their creation."""

    creation_timestamp: str = ""


class ActionSpec(Model):
    """The action, its canary, the user and the reason."""

    canary: str = Field(default="", min_length=1, max_length=NAME_MAX)
    action: str = ""
    by: Line = Field(default="", min_length=1, max_length=BY_MAX)
    reason: Line = Field(default="", max_length=REASON_MAX)
    via: Line = Field(default="", max_length=VIA_MAX)
    revision: Line = Field(default="", max_length=NAME_MAX)
    expires: str = ""
    full: bool = False
    weight: int | None = Field(default=None, ge=0, le=100)
    hold: bool = False
    to: int | None = Field(default=None, ge=1)
    gate: Line = Field(default="", max_length=NAME_MAX)
    until: str = ""
    then: str = ""
    on_failure: str = ""


class ActionStatus(Model):
    """What became of a request. `release`: the number of the release that it was for."""

    state: str = ""
    code: str = ""
    text: str = ""
    at: str = ""
    operator: str = ""
    release: int = 0


class CanaryAction(Model):
    """A CanaryAction object."""

    metadata: ActionMeta
    spec: ActionSpec
    status: ActionStatus = Field(default_factory=ActionStatus)


def parsed(obj: Mapping[str, Any]) -> CanaryAction:
    """A request from its JSON. Raises ValueError."""
    return CanaryAction.model_validate(obj)


def is_pending(action: CanaryAction) -> bool:
    """Whether the operator has not decided on a request."""
    return not action.status.state


def verb(spec: ActionSpec) -> str:
    """The right that a request needs, by the verb of the admission policy: its action, or `promote-full`."""
    return FULL if spec.action == Action.PROMOTE and spec.full else spec.action


def expiry(action: CanaryAction) -> float:
    """When a pending request expires, in seconds since the epoch. 0 without a time of creation."""
    created = epoch_or_none(action.metadata.creation_timestamp)
    if created is None:
        return 0.0
    asked = epoch_or_none(action.spec.expires) if action.spec.expires else None
    return min(created + EXPIRES_DEFAULT if asked is None else asked, created + EXPIRES_MAX)


def problem(spec: ActionSpec) -> str:
    """Why a request cannot be carried out whatever the state of its canary, or empty.

    The CEL rules of the definition say the same when a request is created, on a server that evaluates them.
    """
    if spec.action not in set(Action):
        return f"there is no action {spec.action!r}; there are {', '.join(Action)}"
    given = {each: to_snake(each) in spec.model_fields_set for each in OF}
    for field, actions in OF.items():
        if given[field] and spec.action not in actions:
            return belongs(field)
    needed = NEEDED.get(Action(spec.action))
    if needed and not given[needed]:
        return needs(spec.action, needed)
    return THEN_NEEDS if given["then"] and not given["until"] else ""


def rules() -> list[Obj]:
    """The CEL rules of the definition: a spec is never changed, and has the fields of its action."""
    same = {"rule": "self == oldSelf", "message": "spec is immutable: create another CanaryAction"}
    fields = [
        {"rule": f"!has(self.{field}) || self.action in {[str(each) for each in actions]}", "message": belongs(field)}
        for field, actions in OF.items()
    ]
    needed = [
        {"rule": f"self.action != '{action}' || has(self.{field})", "message": needs(action, field)}
        for action, field in NEEDED.items()
    ]
    return [same, *fields, *needed, {"rule": "!has(self.then) || has(self.until)", "message": THEN_NEEDS}]


def belongs(field: str) -> str:
    """The text about a field of another action."""
    return f"spec.{field} belongs to {' and '.join(OF[field])}"


def needs(action: str, field: str) -> str:
    """The text about a field that an action cannot do without."""
    return f"spec.{field} is required by {action}"


THEN_NEEDS = "spec.then needs spec.until: a pause without an end is followed by nothing"


def rendered(name: str, namespace: str, uid: str, spec: Mapping[str, Any]) -> Obj:
    """A new request about a Canary, which owns it. No label or annotation of the Canary is copied to it.

    GitOps tools then neither compare nor prune it. The API server completes the name.
    """
    owner = {"apiVersion": names.API_VERSION, "kind": "Canary", "name": name, "uid": uid, "controller": True}
    meta: Obj = {
        "generateName": f"{name}-{spec['action']}-",
        "namespace": namespace,
        "labels": {UID: uid},
        "ownerReferences": [{**owner, "blockOwnerDeletion": False}],
    }
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": {**spec}}


def written(value: Model) -> Obj:
    """A spec or a status as JSON, without what is not set."""
    found: Obj = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return found
