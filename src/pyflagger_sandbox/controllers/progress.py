"""A Deployment's status: figures, and the conditions Available and Progressing with their reasons and texts.

Pure; called by `deployment`. Users, `kubectl rollout status` and the operator read these conditions, so reasons,
messages and the rules for their times are the ones of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyflagger.api.durations import epoch, stamp
from pyflagger.objects import Obj

from .rollout import bounds, desired, reported

NEVER = 2**31 - 1
DEADLINE_DEFAULT = 600
EXCEEDED = "ProgressDeadlineExceeded"
DONE = "NewReplicaSetAvailable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition's new value, before its times are known."""

    type: str
    status: str
    reason: str
    message: str


def deadline(deployment: Obj) -> int | None:
    """Seconds a rollout may go without progress; None for no limit."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    seconds = DEADLINE_DEFAULT if seconds is None else int(seconds)
    return None if seconds >= NEVER else seconds


def find(conditions: Iterable[Obj], type_: str) -> Obj | None:
    """A condition by its type."""
    return next((entry for entry in conditions if entry["type"] == type_), None)


def put(conditions: Sequence[Obj], verdict: Verdict, now: float, *, refresh: bool = False) -> list[Obj]:
    """Conditions with this one in. Same status and reason leave it untouched, unless its time is to be refreshed."""
    known = find(conditions, verdict.type)
    same = known is not None and known["status"] == verdict.status and known["reason"] == verdict.reason
    if same and not refresh:
        return list(conditions)
    kept_since = known["lastTransitionTime"] if known is not None and known["status"] == verdict.status else stamp(now)
    entry = {
        "type": verdict.type,
        "status": verdict.status,
        "lastUpdateTime": stamp(now),
        "lastTransitionTime": kept_since,
        "reason": verdict.reason,
        "message": verdict.message,
    }
    return [*without(conditions, verdict.type), entry]


def without(conditions: Iterable[Obj], type_: str) -> list[Obj]:
    """Conditions but for one type."""
    return [entry for entry in conditions if entry["type"] != type_]


def figures(deployment: Obj, new: Obj | None, everything: Sequence[Obj]) -> Obj:
    """The numbers of the status, all present; zeros are dropped when it is written."""
    available = sum(reported(replicaset, "availableReplicas") for replicaset in everything)
    return {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": sum(reported(replicaset, "replicas") for replicaset in everything),
        "updatedReplicas": reported(new, "replicas") if new else 0,
        "readyReplicas": sum(reported(replicaset, "readyReplicas") for replicaset in everything),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(map(desired, everything)) - available),
    }


def availability(deployment: Obj, numbers: Obj) -> Verdict:
    """Whether enough pods are available for the Deployment to do its job."""
    if numbers["availableReplicas"] >= desired(deployment) - bounds(deployment).unavailable:
        message = "Deployment has minimum availability."
        return Verdict("Available", "True", "MinimumReplicasAvailable", message)
    return Verdict("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")


def complete(deployment: Obj, numbers: Obj) -> bool:
    """All replicas are of the new template and available, and no old one is left."""
    wanted = desired(deployment)
    return all(numbers[name] == wanted for name in ("updatedReplicas", "replicas", "availableReplicas"))


def progressing(deployment: Obj, conditions: Sequence[Obj], numbers: Obj, new: Obj | None, now: float) -> list[Obj]:
    """The conditions with Progressing brought up to date."""
    limit = deadline(deployment)
    if limit is None:
        return without(conditions, "Progressing")
    known = find(conditions, "Progressing")
    settled = known is not None and known["reason"] == DONE and numbers["replicas"] == numbers["updatedReplicas"]
    if settled:
        return list(conditions)
    subject = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if complete(deployment, numbers):
        return put(conditions, Verdict("Progressing", "True", DONE, f"{subject} has successfully progressed."), now)
    if _moved(deployment.get("status") or {}, numbers):
        verdict = Verdict("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.")
        return put(conditions, verdict, now, refresh=True)
    if known is not None and _overdue(known, limit, now):
        return put(conditions, Verdict("Progressing", "False", EXCEEDED, f"{subject} has timed out progressing."), now)
    return list(conditions)


def _moved(before: Obj, numbers: Obj) -> bool:
    def was(figure: str) -> int:
        return int(before.get(figure) or 0)

    more = any(numbers[name] > was(name) for name in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    fewer_old = numbers["replicas"] - numbers["updatedReplicas"] < was("replicas") - was("updatedReplicas")
    return bool(more or fewer_old)


def _overdue(known: Obj, limit: int, now: float) -> bool:
    if known["reason"] == DONE:
        return False
    overdue = epoch(known["lastUpdateTime"]) + limit < now
    return overdue or bool(known["reason"] == EXCEEDED)


def overdue_in(deployment: Obj, conditions: Sequence[Obj], now: float) -> float | None:
    """Seconds until the deadline has to be looked at again; None when it has passed, is met, or is not running."""
    limit, known = deadline(deployment), find(conditions, "Progressing")
    paused = bool(deployment["spec"].get("paused"))
    if limit is None or known is None or paused or known["reason"] in (DONE, EXCEEDED):
        return None
    # Stamps are whole seconds and the deadline must be passed, not met: one second more.
    return max(0.0, epoch(known["lastUpdateTime"]) + limit - now) + 1.0
