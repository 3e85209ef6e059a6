"""Builds a pod's status from the states of its containers.

Pure; both runtimes use it. Times are in seconds since the epoch. Conditions keep the time of their last change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyflagger.api.durations import stamp
from pyflagger.objects import Obj


@dataclass(slots=True)
class ContainerState:
    """One container now. `state` and `last` have the format of the API: `{"running": {…}}`, `waiting`, `terminated`."""

    name: str
    image: str
    state: Mapping[str, Any] = field(default_factory=lambda: waiting("ContainerCreating"))
    last: Mapping[str, Any] = field(default_factory=dict)
    started: bool = False
    ready: bool = False
    restarts: int = 0
    image_id: str = ""
    container_id: str = ""


def waiting(reason: str, message: str = "") -> Obj:
    """The state of a container that has not started."""
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def running(now: float) -> Obj:
    """The state of a container that started at `now`."""
    return {"running": {"startedAt": stamp(now)}}


def terminated(code: int, began: float, now: float) -> Obj:
    """The state of a container that ended with an exit code."""
    reason = "Error" if code else "Completed"
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": stamp(began), "finishedAt": stamp(now)}}


def phase(containers: Sequence[ContainerState], restart_policy: str) -> str:
    """Pending, Running, Succeeded or Failed."""
    states = [container.state for container in containers]
    if restart_policy != "Always" and all("terminated" in state for state in states):
        codes = [state["terminated"]["exitCode"] for state in states]
        if not any(codes) or restart_policy == "Never":
            return "Failed" if any(codes) else "Succeeded"
    begun = any("waiting" not in container.state or container.last for container in containers)
    return "Running" if begun else "Pending"


def pod_status(
    pod: Obj, containers: Sequence[ContainerState], now: float, *, address: str = "", host: str = "", began: float
) -> Obj:
    """The whole status of a pod. The kubelet started it at `began`. `address` is empty until it has one."""
    now_phase = phase(containers, pod["spec"].get("restartPolicy") or "Always")
    waiting_for = [container.name for container in containers if not container.ready]
    finished = now_phase == "Succeeded"
    unready = {
        "reason": "PodCompleted" if finished else "ContainersNotReady",
        "message": "" if finished else f"containers with unready status: [{' '.join(waiting_for)}]",
    }
    verdicts: dict[str, Mapping[str, str]] = {
        "PodReadyToStartContainers": {},
        "Initialized": {},
        "Ready": unready if waiting_for else {},
        "ContainersReady": unready if waiting_for else {},
        "PodScheduled": {},
    }
    known = {entry["type"]: entry for entry in (pod.get("status") or {}).get("conditions") or ()}
    where = {"podIP": address, "podIPs": [{"ip": address}]} if address else {}
    return {
        "phase": now_phase,
        "conditions": [_condition(known.get(type_), type_, why, now) for type_, why in verdicts.items()],
        "containerStatuses": [_container(container) for container in containers],
        "startTime": stamp(began),
        "qosClass": qos(pod),
        **({"hostIP": host, "hostIPs": [{"ip": host}]} if host else {}),
        **where,
    }


def _condition(known: Obj | None, type_: str, why: Mapping[str, str], now: float) -> Obj:
    status = "False" if why else "True"
    since = known["lastTransitionTime"] if known is not None and known["status"] == status else None
    told = {name: text for name, text in why.items() if text}
    return {"type": type_, "status": status, "lastProbeTime": None, "lastTransitionTime": since or stamp(now), **told}


def _container(container: ContainerState) -> Obj:
    entry: Obj = {
        "name": container.name,
        "image": container.image,
        "imageID": container.image_id,
        "ready": container.ready,
        "started": container.started,
        "restartCount": container.restarts,
        "state": dict(container.state),
        "lastState": dict(container.last),
    }
    return entry | ({"containerID": container.container_id} if container.container_id else {})


def qos(pod: Obj) -> str:
    """The QoS class of a pod, from its resources."""
    resources = [container.get("resources") or {} for container in pod["spec"]["containers"]]
    if not any(entry.get("requests") or entry.get("limits") for entry in resources):
        return "BestEffort"
    limits = [entry.get("limits") or {} for entry in resources]
    requests = [entry.get("requests") or limit for entry, limit in zip(resources, limits, strict=True)]
    pairs = zip(limits, requests, strict=True)
    guaranteed = all({"cpu", "memory"} <= limit.keys() and limit == request for limit, request in pairs)
    return "Guaranteed" if guaranteed else "Burstable"
