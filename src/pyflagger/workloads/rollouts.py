"""When the rollout that is under way began, by the Canary's status: for kinds whose own status does not tell."""

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
    """Seconds since the epoch; None while nothing rolls out.

    A rollout begins with its phase or revision. A judging round ends only while all pods are ready, so one that is over
    is a later beginning: a node that is drained in the middle of a run has the whole deadline.
    """
    status = canary.status
    if status.phase in IDLE:
        return None
    times = (status.last_transition_time, status.last_tick_time)
    return max((time for time in times if time is not None), default=None)


def expires(canary: Canary) -> float | None:
    """When it runs out of time; None while nothing rolls out."""
    start = began(canary)
    return None if start is None else start + canary.spec.progress_deadline_seconds
