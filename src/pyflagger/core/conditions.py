"""The conditions of a status and the changes of phase, which set `Promoted`.

Called by every module of `core` that writes a status. `transitions` says which phase may follow which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pyflagger.api.canary import CanaryStatus, Condition, Phase
from pyflagger.api.durations import epoch_or_none, second, stamp
from pyflagger.api.facts import Fault
from pyflagger.api.status import ROLLING_BACK
from pyflagger.core.decision import Reason

GATE_CLOSED = "gate-closed"
"""The code of the reason for a closed gate."""

PROMOTED = "Promoted"
BLOCKED = "Blocked"
"""True while a problem stops flagger from reconciling the canary."""

DEGRADED = "Degraded"
"""True while an object of the primary is missing and flagger cannot restore it. The release continues."""

HALTED = "Halted"
"""True from a failed round until a round passes or a run starts. After a rollback it keeps the cause."""

WAITING = "Waiting"
"""True while a release has stood for ten seconds for something that is not its interval. The reason names it."""

STANDS_SECONDS = 10.0
"""The time after which a wait gets a condition, and flagger lists the pods."""

WHOLE_SECOND = 1.0
"""A status keeps times in whole seconds, so a gate that it names may be younger by that."""

BAKING = "Baking"
"""True while flagger judges the primary after a release that succeeded."""

SCALING_DOWN = "ScalingDown"
"""True from the end of a release until its target is scaled to zero. It outlives a restart of the operator."""

WHOSE: Mapping[Fault | None, str] = {
    Fault.MANIFEST: "Manifest",
    Fault.CLUSTER: "Cluster",
    Fault.PROVIDER: "MetricProvider",
    Fault.HOOK: "Hook",
    Fault.US: "Flagger",
    None: "Revision",
}
"""The reason of these conditions, by fault. None: the new revision fails its checks."""

# Status and message of the Promoted condition, by phase; `{kind}` is the target's.
CONDITIONS: Mapping[Phase, tuple[str, str]] = {
    Phase.INITIALIZING: ("Unknown", "New {kind} detected, starting initialization."),
    Phase.INITIALIZED: ("True", "{kind} initialization completed."),
    Phase.WAITING: ("Unknown", "Waiting for approval."),
    Phase.PROGRESSING: ("Unknown", "New revision detected, progressing canary analysis."),
    Phase.WAITING_PROMOTION: ("Unknown", "Waiting for approval."),
    Phase.PROMOTING: ("Unknown", "Canary analysis completed, starting primary rolling update."),
    Phase.FINALISING: ("Unknown", "Canary analysis completed, routing all traffic to primary."),
    Phase.SUCCEEDED: ("True", "Canary analysis completed successfully, promotion finished."),
    Phase.FAILED: ("False", "Canary analysis failed, {kind} scaled to zero."),
    Phase.TERMINATING: ("Unknown", "Canary is being deleted, handing traffic back to the {kind}."),
}

HELD = (Phase.WAITING, Phase.PROGRESSING, Phase.WAITING_PROMOTION)
"""Phases of a release that a pause holds."""


class Cause(StrEnum):
    """Why flagger rolls back: the reason of the condition."""

    CHECKS = "FailedChecks"
    COMPARISON = "WorseThanPrimary"
    HOOK = "RollbackHook"
    ABORT = "Aborted"
    DEADLINE = "DeadlineExceeded"
    PROMOTION = "PromotionFailed"


class Rollback(NamedTuple):
    """A rollback that starts: its cause, as a reason and in words."""

    cause: Cause
    why: Reason


def enter(status: CanaryStatus, to: Phase, *, now: float, kind: str, message: str = "", **changes: Any) -> CanaryStatus:
    """The status in phase `to`, with `changes` of other fields and the Promoted condition of that phase.

    `message` replaces the condition's default message. `kind` is the target's.
    """
    time = second(now)
    if to != status.phase:
        changes["last_transition_time"] = time
    verdict, usual = CONDITIONS[to]
    promoted = _promoted(status, verdict, to, (message or usual).format(kind=kind), time)
    others = tuple(c for c in status.conditions if c.type != PROMOTED)
    return status.but(**changes, phase=to, conditions=(promoted, *others))


def _promoted(status: CanaryStatus, verdict: str, phase: Phase, message: str, time: float) -> Condition:
    """The condition; the same object without a change. Its transition time only follows its status."""
    old = next((c for c in status.conditions if c.type == PROMOTED), None)
    if old is not None and (old.status, old.reason, old.message) == (verdict, phase, message):
        return old
    since = old.last_transition_time if old is not None and old.status == verdict else time
    return Condition(
        type=PROMOTED,
        status=verdict,
        reason=phase.value,
        message=message,
        last_update_time=time,
        last_transition_time=since,
    )


@dataclass(frozen=True, slots=True)
class Waits:
    """The gate that a phase waits for: `what` its state is ("Gate NAME is closed"), and the `way` to open it."""

    what: str
    way: str


def explain(status: CanaryStatus, waits: Waits | None, now: float) -> CanaryStatus:
    """The status with the gate that it waits for, and since when, in the message of the Promoted condition."""
    old = next((c for c in status.conditions if c.type == PROMOTED), None)
    usual = CONDITIONS[status.phase][1]
    if old is None or not old.message.startswith(usual):
        return status
    said = old.message.removeprefix(usual)
    if waits and said.startswith(f" {waits.what} since ") and said.endswith(f". {waits.way}"):
        return status
    message = f"{usual} {waits.what} since {stamp(now)}. {waits.way}" if waits else usual
    if message == old.message:
        return status
    promoted = old.model_copy(update={"message": message, "last_update_time": second(now)})
    return status.but(conditions=tuple(promoted if c is old else c for c in status.conditions))


def standing(status: CanaryStatus, held: Reason | None, now: float) -> CanaryStatus:
    """The status with the condition of a pause or a gate that it has named for ten seconds; else without any of a wait.

    `held`: the reason of its pause, if a person holds the release.
    """
    stands, known = stands_at(status, held), _named(status, held)
    if stands is None or known is None or now < stands:
        return stand(status, WAITING, (), now)
    reason, since = known
    return waits_for(status, reason, now if since is None else since, now)


def stands_at(status: CanaryStatus, held: Reason | None) -> float | None:
    """When the pause or the gate that a status names gets a condition, None without one."""
    known = _named(status, held)
    return None if known is None else (known[1] or 0.0) + STANDS_SECONDS + WHOLE_SECOND


def _named(status: CanaryStatus, held: Reason | None) -> tuple[Reason, float | None] | None:
    """The pause, or else the gate that `explain` told, and since when. None without one."""
    if held is not None and status.hold is not None and status.phase in HELD and status.rollback is None:
        return held, epoch_or_none(status.hold.since)
    old = next((c for c in status.conditions if c.type == PROMOTED), None)
    usual = f"{CONDITIONS[status.phase][1]} " if status.phase in CONDITIONS else ""
    if old is None or not usual or not old.message.startswith(f"{usual}Gate "):
        return None
    return Reason(GATE_CLOSED, old.message.removeprefix(usual)), old.last_update_time


def waits_for(status: CanaryStatus, reason: Reason, since: float, now: float) -> CanaryStatus:
    """The status with the condition Waiting. It became true when the wait began, and again with the next wait."""
    others = status.but(conditions=tuple(c for c in status.conditions if c.type != WAITING))
    old = next((c for c in status.conditions if c.type == WAITING), None)
    if old is not None and old.reason == camel(reason.code):
        return stand(status, WAITING, (reason,), now)
    return stand(others, WAITING, (reason,), now, since)


def stand(
    status: CanaryStatus, kind: str, told: Sequence[Reason], now: float, since: float | None = None
) -> CanaryStatus:
    """The status with a condition of this kind: its reason is the fault, its message the texts with the advice.

    Without reasons the condition goes. The reason of a Waiting condition is what it waits for, such as
    `PrimaryNotReady`. That of ScalingDown is its name. `since`: when a new condition became true, if not `now`.
    """
    text = "; ".join(reason.whole for reason in told).replace(".; ", ". ")
    old = next((c for c in status.conditions if c.type == kind), None)
    if (old.message if old is not None else "") == text:
        return status
    others = tuple(c for c in status.conditions if c.type != kind)
    if not text:
        return status.but(conditions=others)
    time = second(now)
    since = old.last_transition_time if old is not None else second(now if since is None else since)
    standing = Condition(
        type=kind,
        status="True",
        reason=camel(told[0].code) if kind in (WAITING, SCALING_DOWN, BAKING) else WHOSE[told[0].fault],
        message=text,
        last_update_time=time,
        last_transition_time=since,
    )
    return status.but(conditions=(*others, standing))


def roll_back(status: CanaryStatus, begun: Rollback | None, now: float) -> CanaryStatus:
    """The status with or without a rollback that started. Uses a condition, because not every CRD stores new fields."""
    others = tuple(c for c in status.conditions if c.type != ROLLING_BACK)
    if begun is None:
        return status if len(others) == len(status.conditions) else status.but(conditions=others)
    told = Condition(
        type=ROLLING_BACK,
        status="True",
        reason=begun.cause,
        message=begun.why.text,
        last_update_time=second(now),
        last_transition_time=second(now),
    )
    return status.but(conditions=(*others, told))


def camel(code: str) -> str:
    """A reason's code in CamelCase, as the reason of a condition: `PrimaryNotReady`."""
    return code.title().replace("-", "")
