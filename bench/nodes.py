"""Bench-grade nodes: what makes workloads ready where there is no kubelet, at two depths.

`Pods` marks every pod Running and Ready at once; the control plane's own controllers do the rest, as in a cluster.
`Workloads` marks whole Deployments rolled out, for fleets so large that two cores could not play their pods and be
measured, too; the controllers of Deployments and ReplicaSets must not run beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from pyflagger.api.durations import stamp
from pyflagger.clock import Clock
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.client import ApiError, Client, NotFound
from pyflagger.kube.resources import DEPLOYMENTS, Resource
from pyflagger.objects import Obj

MERGE = "application/merge-patch+json"
PODS = Resource("", "v1", "pods", "Pod")
POD_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
ROLLED_OUT = {"Available": "MinimumReplicasAvailable", "Progressing": "NewReplicaSetAvailable"}

REPLACED: Sequence[str] = (
    *("deployment-controller", "replicaset-controller", "endpoints-controller"),
    *("endpointslice-controller", "endpointslice-mirroring-controller"),
    *("garbage-collector-controller", "resourcequota-controller"),
)
"""The controllers that have nothing to do, or must do nothing, beside `Workloads`; the last two watch everything."""


class Nodes:
    """Follows one kind and marks its objects. `mark` makes the new status of one, None when it is well already."""

    def __init__(self, client: Client, clock: Clock, kind: Resource, mark: Callable[[Obj, str], Obj | None]) -> None:
        self._client, self._clock, self._kind, self._mark = client, clock, kind, mark
        self._cache = Cache(client, clock)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin, once everything has been read."""
        self._cache.subscribe(self._changed)
        await self._cache.wait(self._kind)

    async def stop(self) -> None:
        """End."""
        await self._cache.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _changed(self, change: ObjectChange) -> None:
        if change.new is not None and (status := self._mark(change.new, stamp(self._clock.now()))):
            task = asyncio.get_running_loop().create_task(self._write(change, status))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write(self, change: ObjectChange, status: Obj) -> None:
        path = self._kind.path(change.ref.namespace, change.ref.name, "status")
        try:
            await self._client.call("PATCH", path, {"status": status}, MERGE)
        except NotFound:
            return
        except ApiError as error:
            print(f"bench: {change.ref} could not be marked: {error}", flush=True)


def pods(client: Client, clock: Clock) -> Nodes:
    """Nodes that mark pods."""
    return Nodes(client, clock, PODS, _ready_pod)


def workloads(client: Client, clock: Clock) -> Nodes:
    """Nodes that mark Deployments."""
    return Nodes(client, clock, DEPLOYMENTS, _rolled_out)


def _ready_pod(pod: Obj, at: str) -> Obj | None:
    if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") == "Running":
        return None
    state = {"running": {"startedAt": at}}
    common = {"ready": True, "started": True, "restartCount": 0, "imageID": "", "state": state}
    return {
        "phase": "Running",
        "podIP": "10.244.0.2",
        "podIPs": [{"ip": "10.244.0.2"}],
        "startTime": at,
        "conditions": [{"type": name, "status": "True", "lastTransitionTime": at} for name in POD_CONDITIONS],
        "containerStatuses": [
            {**common, "name": each["name"], "image": each["image"]} for each in pod["spec"]["containers"]
        ],
    }


def _rolled_out(workload: Obj, at: str) -> Obj | None:
    generation, status = workload["metadata"]["generation"], workload.get("status") or {}
    if status.get("observedGeneration") == generation:
        return None
    count = workload["spec"].get("replicas", 1)
    stamps = {"status": "True", "lastUpdateTime": at, "lastTransitionTime": at, "message": ""}
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {
        "observedGeneration": generation,
        **dict.fromkeys(names, count),
        "conditions": [{"type": name, "reason": reason, **stamps} for name, reason in ROLLED_OUT.items()],
    }
