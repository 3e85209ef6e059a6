"""Properties of pods for controllers: active, ready, available, and the order of deletion.

Pure. Times are in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.api.durations import epoch
from pyflagger.objects import Obj

_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def condition(obj: Obj, type_: str) -> Obj | None:
    """The condition of a type of an object, or None."""
    return next((entry for entry in (obj.get("status") or {}).get("conditions") or () if entry["type"] == type_), None)


def active(pod: Obj) -> bool:
    """Whether the pod is neither finished nor terminating."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed") and not pod["metadata"].get("deletionTimestamp")


def ready(pod: Obj) -> bool:
    """Whether the condition Ready of the pod is true."""
    found = condition(pod, "Ready")
    return found is not None and found["status"] == "True"


def available_in(pod: Obj, min_ready_seconds: int, now: float) -> float | None:
    """The seconds until the pod counts as available: 0 if it already does, None if it is not ready."""
    if not ready(pod):
        return None
    if not min_ready_seconds:
        return 0.0
    since = (condition(pod, "Ready") or {}).get("lastTransitionTime")
    return max(0.0, epoch(since) + min_ready_seconds - now) if since else float(min_ready_seconds)


def to_delete(pods: Iterable[Obj], count: int) -> list[Obj]:
    """The `count` pods to delete first: unscheduled, not running, not ready, low deletion cost, young."""
    return sorted(pods, key=_worth)[:count]


def _worth(pod: Obj) -> tuple[object, ...]:
    status, meta = pod.get("status") or {}, pod["metadata"]
    since = (condition(pod, "Ready") or {}).get("lastTransitionTime") or ""
    restarts = max((entry.get("restartCount", 0) for entry in status.get("containerStatuses") or ()), default=0)
    return (
        bool((pod.get("spec") or {}).get("nodeName")),
        _PHASES.get(status.get("phase") or "Pending", 0),
        ready(pod),
        _cost(meta),
        -epoch(since) if ready(pod) and since else 0.0,
        -restarts,
        -epoch(meta["creationTimestamp"]) if meta.get("creationTimestamp") else 0.0,
        meta["name"],
    )


def _cost(meta: Obj) -> int:
    try:
        return int((meta.get("annotations") or {}).get(_DELETION_COST, 0))
    except ValueError:
        return 0
