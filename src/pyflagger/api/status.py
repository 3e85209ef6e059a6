"""The status of a Canary: phase, progress, hashes, conditions. Only the operator writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from pyflagger.api.base import Model
from pyflagger.api.compared import Comparison
from pyflagger.api.durations import precise_stamp, stamp
from pyflagger.api.hashes import SameRevision, is_same_revision, same_revision
from pyflagger.api.phase import STORED, Phase
from pyflagger.api.published import Bake, OperatorStatus, ReleaseStatus, RoundStatus, written
from pyflagger.api.steered import Gate, Hold, LastAction, Promotion, Undo
from pyflagger.api.stored import STATUS, Reader, Unread

__all__ = ["JUDGED", "ROLLING_BACK", "STORED", "CanaryStatus", "Condition", "Phase", "Unread"]

JUDGED = "Judged"
"""The condition that stores when the last round ended: its update time, with a fraction of a second."""

ROLLING_BACK = "RollingBack"
"""The condition that is True during a rollback. Its reason is the cause of the rollback."""

PUBLISHED = ("release", "round", "operator", "comparisons", "bake")
"""The fields for people, the evidence of comparisons and the bake, which the reference's CRD does not have."""

STEERED = {
    "hold": "hold",
    "gates": "gates",
    "again": "again",
    "promote": "promote",
    "undo": "undo",
    "last_action": "lastAction",
}
"""What people asked for, by attribute and name. The reference's CRD does not have these fields either."""

ROUND_ENDED = "The last round of checks ended. During a release, the next round starts one interval later."
RESULTS = f"{ROUND_ENDED} Results: "
"""The message of the condition before the results of the round's metrics."""


class Condition(Model):
    """One condition. Times are in seconds since the epoch, or None if unknown."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_update_time: float | None = None
    last_transition_time: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """The condition as JSON, without unknown times: an empty text is not a valid `date-time`."""
        wire: dict[str, Any] = {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
        }
        times = {"lastUpdateTime": self.last_update_time, "lastTransitionTime": self.last_transition_time}
        return wire | {name: stamp(time) for name, time in times.items() if time is not None}


class CanaryStatus(Model):
    """`status` of a Canary. Times are in seconds since the epoch, or None if unknown.

    flagger decides only by fields of the reference's CRD, because that CRD drops unknown fields. It stores everything
    else that it needs in conditions: `last_tick_time` (the end of the last round, in RFC 3339 with a fraction) in
    `Judged`, a rollback that has begun in `RollingBack`, and `same_revision` (two hashes of a revision) in
    `SameRevision`. `release`, `round` and `operator` are for people. Only `operator.act` knows the last one, and it is
    never read. `hold`, `gates`, `again`, `promote` and `last_action` are what people asked for (`api.steered`). Without
    them no action is taken.
    `comparisons` has the evidence of metrics with `compare`, and `bake` the time after a promotion in which flagger
    judges the primary. That CRD does not have their settings either.
    `results` has the result of each metric of that round, in words; the message of `Judged` ends with it.

    `unread` names the stored values that cannot be read. They count as absent. An unreadable phase is Phase.UNKNOWN.
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
    results: SkipJsonSchema[str] = ""
    same_revision: SkipJsonSchema[SameRevision | None] = None
    conditions: tuple[Condition, ...] = ()
    release: ReleaseStatus | None = None
    round: RoundStatus | None = None
    operator: OperatorStatus | None = None
    hold: Hold | None = None
    gates: dict[str, Gate] | None = None
    again: str | None = None
    promote: Promotion | None = None
    undo: Undo | None = None
    last_action: LastAction | None = None
    comparisons: tuple[Comparison, ...] | None = None
    bake: Bake | None = None
    unread: SkipJsonSchema[tuple[Unread, ...]] = Field(default=(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        """Read any stored status. `Judged` holds the end of the last round, `SameRevision` two hashes."""
        reader = Reader()
        if not isinstance(value, Mapping):
            return {"unread": (Unread("status", repr(value)[:40]),)} if value else {}
        found = reader.fields("status", value, STATUS)
        conditions = found.get("conditions", ())
        judged = [each for each in conditions if _judged(each)]
        if judged:
            found["conditions"] = tuple(each for each in conditions if not _judged(each))
            found["last_tick_time"] = judged[-1].get("last_update_time")
            found["results"] = _results(judged[-1].get("message", "")) if found["last_tick_time"] is not None else ""
        hashes = same_revision(conditions) or value.get("same_revision")
        if isinstance(hashes, SameRevision):
            found = {**hashes.read(found), "same_revision": hashes}
        if any(map(is_same_revision, conditions)):
            found["conditions"] = tuple(each for each in found["conditions"] if not is_same_revision(each))
        return {**found, "unread": (*reader.unread, *_known(value.get("unread")))}

    @property
    def rollback(self) -> str | None:
        """The cause of a rollback that has begun. After a restart, flagger continues that rollback."""
        found = (one.reason for one in self.conditions if one.type == ROLLING_BACK and one.status == "True")
        return next(found, None)

    def but(self, **changes: Any) -> CanaryStatus:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)

    def to_wire(self) -> dict[str, Any]:
        """The status as JSON. Progress is always included, other fields only if they are set. UNKNOWN is omitted."""
        wire: dict[str, Any] = {
            "phase": None if self.phase is Phase.UNKNOWN else str(self.phase),
            "failedChecks": self.failed_checks,
            "canaryWeight": self.canary_weight,
            "iterations": self.iterations,
        }
        since, conditions = self.last_transition_time, [condition.to_wire() for condition in self.conditions]
        shared = () if self.same_revision is None else (self.same_revision.to_wire(),)
        optional = {
            "trackedConfigs": None if self.tracked_configs is None else dict(self.tracked_configs),
            "lastAppliedSpec": self._hash(self.last_applied_spec),
            "lastPromotedSpec": self._hash(self.last_promoted_spec),
            "lastTransitionTime": None if since is None else stamp(since),
            "sessionAffinityCookie": self.session_affinity_cookie or None,
            "previousSessionAffinityCookie": self.previous_session_affinity_cookie or None,
            "primarySessionAffinityCookie": self.primary_session_affinity_cookie or None,
            "conditions": [*conditions, *self._judging(), *shared] or None,
            "release": _published(self.release),
            "round": _published(self.round),
            "hold": _published(self.hold),
            "gates": {name: written(gate) for name, gate in (self.gates or {}).items()} or None,
            "again": self.again or None,
            "promote": _published(self.promote),
            "undo": _published(self.undo),
            "lastAction": _published(self.last_action),
            "bake": _published(self.bake),
            "comparisons": [written(each) for each in self.comparisons or ()] or None,
        }
        return {key: value for key, value in (wire | optional).items() if value is not None}

    def _hash(self, revision: str) -> str | None:
        """A revision as it is stored, None if there is none."""
        return (self.same_revision.stored(revision) if self.same_revision else revision) or None

    def _judging(self) -> tuple[dict[str, Any], ...]:
        """The condition that stores the end of the last round."""
        if self.last_tick_time is None:
            return ()
        time = precise_stamp(self.last_tick_time)
        message = f"{RESULTS}{self.results}" if self.results else ROUND_ENDED
        told = {"status": "True", "reason": "RoundEnded", "message": message}
        return ({"type": JUDGED, **told, "lastUpdateTime": time, "lastTransitionTime": time},)


def _judged(condition: Any) -> bool:
    return isinstance(condition, Mapping) and condition["type"] == JUDGED


def _results(message: str) -> str:
    """The results in the message of a `Judged` condition; empty in any other text."""
    return message.removeprefix(RESULTS) if message.startswith(RESULTS) else ""


def _known(unread: Any) -> tuple[Unread, ...]:
    """The unread values of another CanaryStatus. This field is never stored."""
    return tuple(each for each in unread if isinstance(each, Unread)) if isinstance(unread, tuple) else ()


def _published(value: object | None) -> dict[str, Any] | None:
    """A field that is an object as JSON, without parts that are not set."""
    return None if value is None else written(value)
