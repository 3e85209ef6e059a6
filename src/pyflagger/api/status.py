"""The status of a Canary: phase, progress, hashes, conditions. Written by the operator alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from pyflagger.api.base import Model
from pyflagger.api.durations import epoch_or_none

JUDGED = "Judged"
"""The condition that holds when the last judging round ended: its update time, with a fraction."""

ROLLING_BACK = "RollingBack"
"""True while a rollback is under way; its reason is the cause."""


class Phase(StrEnum):
    """Where a Canary is in its life."""

    NEW = ""
    INITIALIZING = "Initializing"
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"


def _known_time(value: Any) -> Any:
    """A time that cannot be read is unknown: people and older versions write what their CRD lets in."""
    return value if not isinstance(value, str) or epoch_or_none(value) is not None else None


def _known_stamp(value: Any) -> Any:
    return _known_time(value) or ""


def _whole(value: Any) -> Any:
    """The CRDs accept any number where a count is meant."""
    return int(value) if isinstance(value, float) and abs(value) < COUNT_MAX else value


COUNT_MAX = 2**31

Time: TypeAlias = Annotated[str | None, BeforeValidator(_known_time)]
Stamp: TypeAlias = Annotated[str, BeforeValidator(_known_stamp)]
Count: TypeAlias = Annotated[int, BeforeValidator(_whole)]


class Condition(Model):
    """One condition; times in RFC 3339, empty when unknown."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_update_time: Stamp = ""
    last_transition_time: Stamp = ""

    def to_wire(self) -> dict[str, Any]:
        """The condition as JSON. A time that is unknown is left out, as an empty one is no `date-time`."""
        wire = self.model_dump(by_alias=True)
        return {key: value for key, value in wire.items() if value or not key.endswith("Time")}


class CanaryStatus(Model):
    """What the operator says of a Canary.

    On the wire it has no field that the reference's CRD lacks, because that CRD drops unknown fields. What we store
    beyond those fields is kept in conditions: `last_tick_time` (when the last judging round ended, RFC 3339 with a
    fraction) in `Judged`, a rollback that has begun in `RollingBack`.
    """

    phase: Phase = Phase.NEW
    failed_checks: Count = 0
    canary_weight: Count = 0
    iterations: Count = 0
    tracked_configs: dict[str, str] | None = None
    last_applied_spec: str = ""
    last_promoted_spec: str = ""
    last_transition_time: Time = None
    session_affinity_cookie: str = ""
    previous_session_affinity_cookie: str = ""
    primary_session_affinity_cookie: str = ""
    last_tick_time: SkipJsonSchema[Time] = None
    conditions: tuple[Condition, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _tick(cls, value: Any) -> Any:
        """Read the time of the last round from its condition."""
        conditions = value.get("conditions") if isinstance(value, dict) else None
        judged = [one for one in conditions if _judged(one)] if isinstance(conditions, list) else []
        if not judged or not isinstance(conditions, list):
            return value
        others = [one for one in conditions if not _judged(one)]
        return {**value, "conditions": others, "lastTickTime": judged[-1].get("lastUpdateTime")}

    @field_validator("conditions", mode="before")
    @classmethod
    def _nulls(cls, value: Any) -> Any:
        return () if value is None else value

    @property
    def rollback(self) -> str | None:
        """The cause of a rollback that has begun, so that a restart goes on with it."""
        found = (one.reason for one in self.conditions if one.type == ROLLING_BACK and one.status == "True")
        return next(found, None)

    def but(self, **changes: Any) -> CanaryStatus:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)

    def to_wire(self) -> dict[str, Any]:
        """The status as JSON: progress is always there, the rest when it says something."""
        wire: dict[str, Any] = {
            "phase": str(self.phase),
            "failedChecks": self.failed_checks,
            "canaryWeight": self.canary_weight,
            "iterations": self.iterations,
        }
        optional = {
            "trackedConfigs": None if self.tracked_configs is None else dict(self.tracked_configs),
            "lastAppliedSpec": self.last_applied_spec or None,
            "lastPromotedSpec": self.last_promoted_spec or None,
            "lastTransitionTime": self.last_transition_time,
            "sessionAffinityCookie": self.session_affinity_cookie or None,
            "previousSessionAffinityCookie": self.previous_session_affinity_cookie or None,
            "primarySessionAffinityCookie": self.primary_session_affinity_cookie or None,
            "conditions": [condition.to_wire() for condition in (*self.conditions, *self._judging())] or None,
        }
        return wire | {key: value for key, value in optional.items() if value is not None}

    def _judging(self) -> tuple[Condition, ...]:
        """The condition that holds the time of the last round."""
        time = self.last_tick_time
        if time is None:
            return ()
        message = "The last judging round ended. During a release the next one follows an interval later."
        told = {"status": "True", "reason": "RoundEnded", "message": message}
        return (Condition(type=JUDGED, **told, last_update_time=time, last_transition_time=time),)


def _judged(condition: Any) -> bool:
    return isinstance(condition, dict) and condition.get("type") == JUDGED
