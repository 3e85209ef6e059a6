"""A Deployment's status: its numbers, and the conditions Available and Progressing.

Pure; called by `deployment`. Users, `kubectl rollout status` and the operator read these conditions. So their reasons,
messages and timestamps follow Kubernetes.
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
    """A condition's new value, without timestamps."""

    type: str
    status: str
    reason: str
    message: str


def deadline(deployment: Obj) -> int | None:
    """The seconds that a rollout may take without progress; None for no limit."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    seconds = DEADLINE_DEFAULT if seconds is None else int(seconds)
    return None if seconds >= NEVER else seconds


def find(conditions: Iterable[Obj], type_: str) -> Obj | None:
    """The condition of a type, or None."""
    return next((entry for entry in conditions if entry["type"] == type_), None)


def put(conditions: Sequence[Obj], verdict: Verdict, now: float, *, refresh: bool = False) -> list[Obj]:
    """The conditions with this one added or replaced. If status and reason are the same, only `refresh` changes it."""
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
    """The conditions without one type."""
    return [entry for entry in conditions if entry["type"] != type_]


def figures(deployment: Obj, new: Obj | None, everything: Sequence[Obj]) -> Obj:
    """All numbers of the status. The write omits zeros."""
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
    """The condition Available: whether the Deployment has its minimum number of available pods."""
    if numbers["availableReplicas"] >= desired(deployment) - bounds(deployment).unavailable:
        message = "Deployment has minimum availability."
        return Verdict("Available", "True", "MinimumReplicasAvailable", message)
    return Verdict("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")


def complete(deployment: Obj, numbers: Obj) -> bool:
    """Whether all replicas have the new template and are available, and no old replica exists."""
    wanted = desired(deployment)
    return all(numbers[name] == wanted for name in ("updatedReplicas", "replicas", "availableReplicas"))


def progressing(deployment: Obj, conditions: Sequence[Obj], numbers: Obj, new: Obj | None, now: float) -> list[Obj]:
    """The conditions with an updated Progressing."""
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
    """The seconds until the next check of the deadline; None when it has passed, is met, or does not apply."""
    limit, known = deadline(deployment), find(conditions, "Progressing")
    paused = bool(deployment["spec"].get("paused"))
    if limit is None or known is None or paused or known["reason"] in (DONE, EXCEEDED):
        return None
    # Timestamps have whole seconds, and the rollout fails only after the deadline. So wait one second more.
    return max(0.0, epoch(known["lastUpdateTime"]) + limit - now) + 1.0
