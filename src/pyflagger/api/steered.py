"""What people asked of a release, as the status of a Canary keeps it. `core.steering` decides by these fields.

The CRD of Flagger drops them. The operator notices that and then takes no actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Then = Literal["resume", "abort"]
OnFailure = Literal["rollback", "hold"]
Result = Literal["", "Done", "Refused", "Expired"]


@dataclass(frozen=True, slots=True)
class Hold:
    """A pause. `since` and `until`: times in RFC 3339; without `until` it has no end. `uid`: that of its action."""

    by: str = ""
    reason: str = ""
    since: str = ""
    until: str = ""
    then: Then = "resume"
    on_failure: Annotated[OnFailure, Field(alias="onFailure")] = "rollback"
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate that a person or its deadline opened, or a person closed. `revision`: the checksum of its only revision.

    `since`: when a gate with a deadline first held this revision, in RFC 3339.
    """

    state: Literal["", "open", "closed"] = ""
    by: str = ""
    revision: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that a person asked for in full. `revision`: the checksum of its only revision."""

    by: str = ""
    full: bool = False
    revision: str = ""


@dataclass(frozen=True, slots=True)
class LastAction:
    """The last action and its result. flagger never carries out the action with this uid again."""

    uid: str = ""
    action: str = ""
    by: str = ""
    reason: str = ""
    at: str = ""
    result: Result = ""
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Undo:
    """A release that the primary is taken back to. `to`: the number of its record; `revision`: that of its template.

    `origin`: the release that the primary ran before, `from` in JSON. `failed`: why the primary did not get ready with
    that template, so that it gets the template of `origin` again.
    """

    to: int = 0
    origin: Annotated[int, Field(alias="from")] = 0
    revision: str = ""
    by: str = ""
    failed: str = ""
