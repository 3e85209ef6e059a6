"""Whether a Deployment or DaemonSet has finished its rollout, by its status. The texts are the reference's."""

from __future__ import annotations

import re
from typing import Any

from pyflagger.api.durations import epoch
from pyflagger.api.facts import READY, Readiness
from pyflagger.objects import Obj

WAITING = "waiting for rollout to finish: "


def deployment(obj: Obj, threshold: int, deadline: float, began: float | None, now: float) -> Readiness:
    """`threshold` in percent of the updated replicas, `deadline` in seconds without progress.

    `began`: the start of the rollout by the Canary's status; None without a rollout.
    """
    name, spec, status = obj["metadata"]["name"], obj.get("spec") or {}, obj.get("status") or {}
    if obj["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return Readiness(False, f"{WAITING}observed deployment generation less than desired generation", settling=True)
    conditions = _conditions(obj)
    if (conditions.get("Progressing") or {}).get("reason") == "ProgressDeadlineExceeded":
        return Readiness(False, f'deployment "{name}" exceeded its progress deadline', retriable=False)
    text = _unfinished(spec, status, threshold)
    if not text:
        return READY
    since = began if _overlooked(status, conditions) else _late(_short_since(conditions), began)
    cause = _cause(spec, conditions)
    return until(None if since is None else since + deadline, now, f"{WAITING}{text}{cause and f': {cause}'}")


def daemonset(obj: Obj, threshold: int, deadline: float, began: float | None, now: float) -> Readiness:
    """`threshold` in percent of the nodes' pods, `deadline` in seconds since `began`; None without a rollout."""
    status = obj.get("status") or {}
    if obj["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return Readiness(False, f"{WAITING}observed daemonset generation less than desired generation", settling=True)
    text = _missing(status, threshold)
    if not text:
        return READY
    if began is None or now < began + deadline:
        return until(None if began is None else began + deadline, now, WAITING + text)
    return Readiness(False, f"exceeded its progressDeadlineSeconds: {deadline:g}, {text}", retriable=False)


def available_since(obj: Obj) -> float | None:
    """When the last pod of a Deployment became available, by its conditions; None if they do not say."""
    progressed = _epoch((_conditions(obj).get("Progressing") or {}).get("lastUpdateTime"))
    return max((found for found in (serving_since(obj), progressed) if found is not None), default=None)


def serving_since(obj: Obj) -> float | None:
    """When a Deployment last got enough available pods, by its conditions; None if they do not say."""
    return _epoch((_conditions(obj).get("Available") or {}).get("lastTransitionTime"))


def empty(obj: Obj) -> bool:
    """Whether no pod of a Deployment or DaemonSet is available."""
    status = obj.get("status") or {}
    return not (status.get("availableReplicas") or status.get("numberAvailable"))


def _conditions(obj: Obj) -> dict[Any, Obj]:
    """The conditions of a status by their type."""
    return {condition.get("type"): condition for condition in (obj.get("status") or {}).get("conditions") or ()}


def _epoch(stamp: Any) -> float | None:
    """A time in a status; None if it is absent or invalid."""
    try:
        return epoch(stamp or "")
    except ValueError:
        return None


def _missing(status: Obj, threshold: int) -> str:
    desired, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    if updated < desired:
        return f"{updated} out of {desired} new pods have been updated"
    available, needed = status.get("numberAvailable", 0), -(-desired * threshold // 100)
    if available < needed:
        return f"{available} of {needed} (readyThreshold {threshold}%) updated pods are available"
    return ""


def until(expires: float | None, now: float, text: str) -> Readiness:
    """Not ready, and no longer retriable from `expires` on; None means no deadline."""
    in_time = expires is None or now < expires
    return Readiness(False, text, retriable=in_time, look_again=expires if in_time else None)


def _unfinished(spec: Obj, status: Obj, threshold: int) -> str:
    desired, updated = spec.get("replicas"), status.get("updatedReplicas", 0)
    if desired is not None and updated < desired:
        return f"{updated} out of {desired} new replicas have been updated"
    if (surplus := _surplus(status)) > 0:
        return f"{surplus} old replicas are pending termination"
    available, needed = status.get("availableReplicas", 0), -(-updated * threshold // 100)
    if available < needed:
        return f"{available} of {needed} (readyThreshold {threshold}%) updated replicas are available"
    return ""


def _cause(spec: Obj, conditions: dict[Any, Obj]) -> str:
    """Why the Deployment controller creates no pods, by the Deployment's conditions; empty while it does."""
    refused = conditions.get("ReplicaFailure") or {}
    if refused.get("status") == "True":
        # Each attempt has another pod name, which would make a new text.
        return re.sub(r'^pods "[^"]*" is ', "a pod is ", str(refused.get("message") or refused.get("reason") or ""))
    return "it is paused (spec.paused)" if spec.get("paused") else ""


def _overlooked(status: Obj, conditions: dict[Any, Obj]) -> bool:
    """Whether the controller still reports the previous rollout although old pods exist. It counts no deadline then.

    This lasts if the controller lost a write conflict when it recorded the new rollout.
    """
    done = (conditions.get("Progressing") or {}).get("reason") == "NewReplicaSetAvailable"
    return bool(done and _surplus(status) > 0)


def _short_since(conditions: dict[Any, Obj]) -> float | None:
    """Since when a rollout has too few available pods; None while it has enough."""
    available = conditions.get("Available") or {}
    short = available.get("status") == "False" and available.get("reason") == "MinimumReplicasUnavailable"
    return _epoch(available.get("lastUpdateTime")) if short and "Progressing" in conditions else None


def _late(short: float | None, began: float | None) -> float | None:
    """Since when a rollout counts as short of pods. A workload without pods counts from the start of the rollout."""
    return short if short is None or began is None else max(short, began)


def _surplus(status: Obj) -> int:
    return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))
