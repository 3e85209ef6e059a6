"""The kubelet: runs the pods that are bound to its nodes, writes their statuses, and stops them gracefully.

One kubelet serves all nodes of the sandbox. It reads pods from the controllers' cache and runs them through a Runtime.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from pyflagger.api.durations import stamp
from pyflagger.clock import Clock
from pyflagger.kube.protocol import TransportError
from pyflagger.objects import Create, Obj, Patch, merge_diff, ref_of
from pyflagger_sandbox.controllers.cache import Cache
from pyflagger_sandbox.controllers.client import Api, ApiError
from pyflagger_sandbox.controllers.endpoints import PORTS_ANNOTATION
from pyflagger_sandbox.controllers.events import Recorder
from pyflagger_sandbox.controllers.outcome import Said

from .runtime import Runtime

GRACE_DEFAULT = 30.0
RETRY_SECONDS = 0.5
log = logging.getLogger(__name__)


class _PodWorker:
    """The kubelet's record of one pod: the status to write, and whether it is stopping."""

    def __init__(self, kubelet: Kubelet, pod: Obj) -> None:
        self.kubelet, self.pod = kubelet, pod
        self.status: Obj | None = None
        self.ports: dict[int, int] = {}
        self.ending = False
        self.writing = False

    def report(self, status: Obj, ports: dict[int, int]) -> None:
        self.status, self.ports = status, ports
        if not self.writing:
            self.writing = True
            self.kubelet.spawn(self.kubelet.write(self))

    def say(self, type_: str, reason: str, message: str) -> None:
        self.kubelet.say(Said(self.pod, type_, reason, message))

    async def fetch(self, kind: str, name: str) -> Obj | None:
        return await self.kubelet.fetch(kind, self.pod["metadata"]["namespace"], name)


class Kubelet:
    """Runs pods. `start` creates the `nodes`. `recorder` writes Events."""

    def __init__(
        self,
        api: Api,
        cache: Cache,
        clock: Clock,
        runtime: Runtime,
        nodes: Sequence[str],
        recorder: Recorder | None = None,
    ) -> None:
        self._api, self._cache, self._clock, self._runtime = api, cache, clock, runtime
        self._nodes, self._recorder = tuple(nodes), recorder
        self._workers: dict[str, _PodWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        cache.listen(self._changed)

    async def start(self) -> None:
        """Create the nodes. The kubelet starts pods when they appear in the cache."""
        for name in self._nodes:
            await self._make_node(name)

    async def stop(self) -> None:
        """Stop every pod at once, without a write to the API server."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runtime.close()

    def logs(self, namespace: str, pod: str, container: str = "", *, previous: bool = False) -> Iterable[str] | None:
        """The log lines of a container, by default of the first one; None when the pod or container does not exist."""
        found = self._cache.get("Pod", namespace, pod)
        if found is None:
            return None
        name = container or found["spec"]["containers"][0]["name"]
        return self._runtime.logs(found["metadata"]["uid"], name, previous=previous)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work in the background, until the kubelet stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def say(self, said: Said) -> None:
        """Record an Event."""
        if self._recorder:
            self._recorder.say(said)

    async def fetch(self, kind: str, namespace: str, name: str) -> Obj | None:
        """An object that a container refers to, or None. Retries when the server does not respond."""
        while True:
            try:
                return await self._api.get(kind, namespace, name)
            except (ApiError, TransportError) as error:
                log.warning("cannot read %s %s.%s: %s", kind, name, namespace, error)
                await self._clock.sleep(RETRY_SECONDS)

    def _changed(self, kind: str, before: Obj | None, after: Obj | None) -> None:
        if kind != "Pod":
            return
        if before is not None and (after is None or after["metadata"]["uid"] != before["metadata"]["uid"]):
            self._end(before["metadata"]["uid"])
        if after is not None and after["spec"].get("nodeName") in self._nodes:
            self._take(after)

    def _take(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is None:
            worker = self._workers[uid] = _PodWorker(self, pod)
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                self.spawn(self._runtime.start(pod, worker))
        else:
            worker.pod = pod
            self._runtime.changed(pod)
        if pod["metadata"].get("deletionTimestamp"):
            self._end(uid)

    def _end(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None and not worker.ending:
            worker.ending = True
            self.spawn(self._terminate(worker))

    async def _terminate(self, worker: _PodWorker) -> None:
        meta = worker.pod["metadata"]
        grace = meta.get("deletionGracePeriodSeconds", worker.pod["spec"].get("terminationGracePeriodSeconds"))
        await self._runtime.stop(meta["uid"], GRACE_DEFAULT if grace is None else float(grace))
        self._workers.pop(meta["uid"], None)
        while self._cache.get("Pod", meta["namespace"], meta["name"]) is not None:
            try:
                await self._api.delete(ref_of(worker.pod), grace=0, uid=meta["uid"])
                return
            except ApiError as error:
                if error.status == 409:
                    return
                log.warning("cannot remove pod %s.%s: %s", meta["name"], meta["namespace"], error)
            except TransportError as error:
                log.warning("cannot remove pod %s.%s: %s", meta["name"], meta["namespace"], error)
            await self._clock.sleep(RETRY_SECONDS)

    async def write(self, worker: _PodWorker) -> None:
        """Write the latest status, and repeat while newer ones arrive."""
        while worker.status is not None:
            status, worker.status = worker.status, None
            try:
                await self._write_once(worker, status)
            except ApiError as error:
                if error.status not in (404, 409):
                    log.warning("cannot write the status of pod %s: %s", worker.pod["metadata"]["name"], error)
            except TransportError:
                worker.status = worker.status or status
                await self._clock.sleep(RETRY_SECONDS)
        worker.writing = False

    async def _write_once(self, worker: _PodWorker, status: Obj) -> None:
        ref, annotations = ref_of(worker.pod), worker.pod["metadata"].get("annotations") or {}
        mapping = json.dumps({str(port): real for port, real in sorted(worker.ports.items())}) if worker.ports else None
        if annotations.get(PORTS_ANNOTATION) != mapping:
            await self._applied(worker, Patch(ref, {"metadata": {"annotations": {PORTS_ANNOTATION: mapping}}}))
        change = merge_diff(worker.pod.get("status") or {}, status)
        if change:
            await self._applied(worker, Patch(ref, {"status": change}, subresource="status"))

    async def _applied(self, worker: _PodWorker, write: Patch) -> None:
        after = await self._api.apply(write)
        if after is not None and after["metadata"]["uid"] == worker.pod["metadata"]["uid"]:
            worker.pod = after
            self._cache.observe(after)

    async def _make_node(self, name: str) -> None:
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}}
        with suppress(ApiError):
            await self._api.apply(Create(node))
        now = stamp(self._clock.now())
        sizes = {"cpu": "8", "memory": "16Gi", "pods": "500"}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
        }
        status = {
            "capacity": sizes,
            "allocatable": sizes,
            "conditions": [ready | {"lastHeartbeatTime": now, "lastTransitionTime": now}],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "nodeInfo": _node_info(),
        }
        await self._api.apply(Patch(ref_of(node), {"status": status}, subresource="status"))


def _node_info() -> Obj:
    unknown = ("architecture", "bootID", "kernelVersion", "machineID", "osImage", "systemUUID")
    versions = {"containerRuntimeVersion": "loopback://1", "kubeletVersion": "v1.34.0", "kubeProxyVersion": ""}
    return dict.fromkeys(unknown, "") | versions | {"operatingSystem": "linux"}
