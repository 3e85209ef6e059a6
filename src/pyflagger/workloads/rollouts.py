"""The start of the current rollout by the Canary's status, for kinds whose own status has no times."""

from __future__ import annotations

from pyflagger.api.canary import Canary, Phase

IDLE = frozenset(Phase) - {
    Phase.NEW,
    Phase.INITIALIZING,
    Phase.PROGRESSING,
    Phase.WAITING_PROMOTION,
    Phase.PROMOTING,
    Phase.FINALISING,
}


def began(canary: Canary) -> float | None:
    """Seconds since the epoch; None without a rollout.

    A rollout starts with its phase or revision. A round passes only while all pods are ready, so the last round counts
    as a later start. Pods of a node that is drained during a run get the whole deadline.
    """
    status = canary.status
    if status.phase in IDLE:
        return None
    times = (status.last_transition_time, status.last_tick_time)
    return max((time for time in times if time is not None), default=None)


def expires(canary: Canary) -> float | None:
    """The deadline of the current rollout; None without a rollout."""
    start = began(canary)
    return None if start is None else start + canary.spec.progress_deadline_seconds
