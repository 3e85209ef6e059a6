"""The status of a Canary: phase, progress, hashes, conditions. Written by the operator alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import field_validator

from pyflagger.api.base import Model


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


class Condition(Model):
    """One condition; times in RFC 3339."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_update_time: str = ""
    last_transition_time: str = ""


class CanaryStatus(Model):
    """What the operator says of a Canary. The last two fields before the conditions are ours.

    `last_tick_time`: when the last judging round ended (RFC 3339, with a fraction). `rollback`: a rollback that has
    begun and its cause, so that a restart goes on with it.
    """

    phase: Phase = Phase.NEW
    failed_checks: int = 0
    canary_weight: int = 0
    iterations: int = 0
    tracked_configs: dict[str, str] | None = None
    last_applied_spec: str = ""
    last_promoted_spec: str = ""
    last_transition_time: str | None = None
    session_affinity_cookie: str = ""
    previous_session_affinity_cookie: str = ""
    primary_session_affinity_cookie: str = ""
    last_tick_time: str | None = None
    rollback: str | None = None
    conditions: tuple[Condition, ...] = ()

    @field_validator("conditions", mode="before")
    @classmethod
    def _nulls(cls, value: Any) -> Any:
        return () if value is None else value

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
            "lastTickTime": self.last_tick_time,
            "rollback": self.rollback,
            "conditions": [condition.model_dump(by_alias=True) for condition in self.conditions] or None,
        }
        return wire | {key: value for key, value in optional.items() if value is not None}
