"""Pods and the revisions that they belong to, as people see them. Used by `picture` and `causes`."""

from __future__ import annotations

from collections.abc import Sequence

from pyflagger.objects import Obj, controller_of, part
from pyflagger.operator.observe.snapshot import ROLLOUTS
from pyflagger.seeing import raw
from pyflagger.seeing.model import Pod, PodSet
from pyflagger.workloads.pods import trouble_of_pod


def pod(obj: Obj) -> Pod:
    """A pod."""
    status = part(obj, "status")
    containers = raw.items(status, "containerStatuses")
    wanted = len(containers) or len(raw.items(part(obj, "spec"), "containers"))
    ready = sum(each.get("ready") is True for each in containers)
    message = trouble_of_pod(obj)
    return Pod(
        name=obj["metadata"]["name"],
        ready=f"{ready}/{wanted}",
        restarts=sum(raw.number(each, "restartCount") for each in containers),
        state=_state(obj, ready == wanted and wanted > 0, message),
        message=message or raw.text(status, "message"),
        node=raw.text(part(obj, "spec"), "nodeName") or None,
        since=raw.time(obj["metadata"], "creationTimestamp"),
    )


def _state(obj: Obj, ready: bool, message: str) -> str:
    if "deletionTimestamp" in obj["metadata"]:
        return "ending"
    return "ready" if ready else "failing" if message else "starting"


def pod_sets(workload: Obj, sets: Sequence[Obj], pods: Sequence[Obj]) -> tuple[PodSet, ...]:
    """The pods of a workload, by the ReplicaSet that owns them; the current one first. Empty ReplicaSets are left out.

    Pods that the workload owns itself, as those of a DaemonSet, are in one set without a name.
    """
    found = [_pod_set(each, workload, pods) for each in sets if is_owned(each, workload)]
    direct = tuple(pod(each) for each in pods if is_owned(each, workload))
    if direct:
        found.append(PodSet("", "", True, direct))
    return tuple(sorted((each for each in found if each.pods), key=lambda each: (not each.current, each.name)))


def _pod_set(replica_set: Obj, workload: Obj, pods: Sequence[Obj]) -> PodSet:
    meta = replica_set["metadata"]
    revision = raw.texts(meta, "annotations").get(ROLLOUTS, "")
    own = (pod(each) for each in pods if is_owned(each, replica_set))
    current = is_current(replica_set, workload)
    return PodSet(meta["name"], revision, current, tuple(sorted(own, key=lambda each: each.name)))


def is_owned(obj: Obj, by: Obj) -> bool:
    """Whether `by` controls an object."""
    return bool((controller_of(obj) or {}).get("uid") == by["metadata"].get("uid"))


def is_current(replica_set: Obj, workload: Obj) -> bool:
    """Whether a ReplicaSet has the pods of the workload's template as it is now."""
    of_both = (raw.texts(each["metadata"], "annotations").get(ROLLOUTS) for each in (replica_set, workload))
    return len(set(of_both)) == 1


def is_ready(obj: Obj) -> bool:
    """Whether the condition Ready of a pod is True."""
    return "Ready" in raw.holding(part(obj, "status"))
