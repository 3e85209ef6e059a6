"""The status of a Canary: phase, progress, hashes, conditions. Written by the operator alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from pyflagger.api.base import Model
from pyflagger.api.durations import precise_stamp, stamp
from pyflagger.api.phase import STORED, Phase
from pyflagger.api.stored import STATUS, Reader, Unread

__all__ = ["JUDGED", "ROLLING_BACK", "STORED", "CanaryStatus", "Condition", "Phase", "Unread"]

JUDGED = "Judged"
"""The condition that holds when the last judging round ended: its update time, with a fraction."""

ROLLING_BACK = "RollingBack"
"""True while a rollback is under way; its reason is the cause."""

ROUND_ENDED = "The last judging round ended. During a release the next one follows an interval later."


class Condition(Model):
    """One condition; times in seconds since the epoch, None when unknown."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_update_time: float | None = None
    last_transition_time: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """The condition as JSON. A time that is unknown is left out, as an empty one is no `date-time`."""
        wire: dict[str, Any] = {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
        }
        times = {"lastUpdateTime": self.last_update_time, "lastTransitionTime": self.last_transition_time}
        return wire | {name: stamp(time) for name, time in times.items() if time is not None}


class CanaryStatus(Model):
    """What the operator says of a Canary; times in seconds since the epoch, None when unknown.

    On the wire it has no field that the reference's CRD lacks, because that CRD drops unknown fields. What we store
    beyond those fields is kept in conditions: `last_tick_time` (when the last judging round ended, in RFC 3339 with a
    fraction) in `Judged`, a rollback that has begun in `RollingBack`.

    `unread` names the stored values that cannot be read. They count as absent; an unreadable phase is Phase.UNKNOWN.
    """

    phase: Phase = Phase.NEW
    failed_checks: int = 0
    canary_weight: int = 0
    iterations: int = 0
    tracked_configs: dict[str, str] | None = None
    last_applied_spec: str = ""
    last_promoted_spec: str = ""
    last_transition_time: float | None = None
    session_affinity_cookie: str = ""
    previous_session_affinity_cookie: str = ""
    primary_session_affinity_cookie: str = ""
    last_tick_time: SkipJsonSchema[float | None] = None
    conditions: tuple[Condition, ...] = ()
    unread: SkipJsonSchema[tuple[Unread, ...]] = Field(default=(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        """Read what an API server holds, whatever it is. The time of the last round is in its condition."""
        reader = Reader()
        if not isinstance(value, Mapping):
            return {"unread": (Unread("status", repr(value)[:40]),)} if value else {}
        found = reader.fields("status", value, STATUS)
        conditions = found.get("conditions", ())
        judged = [each for each in conditions if _judged(each)]
        if judged:
            found["conditions"] = tuple(each for each in conditions if not _judged(each))
            found["last_tick_time"] = judged[-1].get("last_update_time")
        return {**found, "unread": (*reader.unread, *_known(value.get("unread")))}

    @property
    def rollback(self) -> str | None:
        """The cause of a rollback that has begun, so that a restart goes on with it."""
        found = (one.reason for one in self.conditions if one.type == ROLLING_BACK and one.status == "True")
        return next(found, None)

    def but(self, **changes: Any) -> CanaryStatus:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)

    def to_wire(self) -> dict[str, Any]:
        """The status as JSON: progress is always there, the rest when it says something. UNKNOWN is no phase."""
        wire: dict[str, Any] = {
            "phase": None if self.phase is Phase.UNKNOWN else str(self.phase),
            "failedChecks": self.failed_checks,
            "canaryWeight": self.canary_weight,
            "iterations": self.iterations,
        }
        since, conditions = self.last_transition_time, [condition.to_wire() for condition in self.conditions]
        optional = {
            "trackedConfigs": None if self.tracked_configs is None else dict(self.tracked_configs),
            "lastAppliedSpec": self.last_applied_spec or None,
            "lastPromotedSpec": self.last_promoted_spec or None,
            "lastTransitionTime": None if since is None else stamp(since),
            "sessionAffinityCookie": self.session_affinity_cookie or None,
            "previousSessionAffinityCookie": self.previous_session_affinity_cookie or None,
            "primarySessionAffinityCookie": self.primary_session_affinity_cookie or None,
            "conditions": [*conditions, *self._judging()] or None,
        }
        return {key: value for key, value in (wire | optional).items() if value is not None}

    def _judging(self) -> tuple[dict[str, Any], ...]:
        """The condition that holds the time of the last round."""
        if self.last_tick_time is None:
            return ()
        time = precise_stamp(self.last_tick_time)
        told = {"status": "True", "reason": "RoundEnded", "message": ROUND_ENDED}
        return ({"type": JUDGED, **told, "lastUpdateTime": time, "lastTransitionTime": time},)


def _judged(condition: Any) -> bool:
    return isinstance(condition, Mapping) and condition["type"] == JUDGED


def _known(unread: Any) -> tuple[Unread, ...]:
    """What another status could not read; no such field is stored."""
    return tuple(each for each in unread if isinstance(each, Unread)) if isinstance(unread, tuple) else ()
