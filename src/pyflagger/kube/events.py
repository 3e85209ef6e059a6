"""Kubernetes Events: every text of a release readable in `kubectl describe`, each at most one request.

The same text again within an hour raises the count of its Event. Nothing is thinned out. Told by `operator.say`; writes
from a bounded queue of its own, in order, and a failure is logged and forgotten: telling never holds a release up.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Any

from pyflagger.api.durations import stamp
from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, NotFound
from pyflagger.kube.resources import EVENTS
from pyflagger.objects import Obj, Patch, Ref

COMPONENT, REASON = "flagger", "Synced"
SAME_SECONDS = 3600.0
QUEUE_MAX, REMEMBERED_MAX = 10_000, 20_000
NAME_MAX, MESSAGE_MAX = 253, 1024
WRITERS = 4


class Events:
    """Writes Events about objects. Those of one object go through the same writer, so their order stays."""

    def __init__(self, client: Client, clock: Clock, log: Any) -> None:
        self._client, self._clock, self._log = client, clock, log
        self._queues: list[asyncio.Queue[tuple[Obj, str, str, float]]] = []
        self._known: OrderedDict[tuple[str, str, str], tuple[Ref, int, float]] = OrderedDict()
        self._tasks: list[asyncio.Task[None]] = []
        self.dropped = 0

    def start(self) -> None:
        """Start the writers."""
        self._queues = [asyncio.Queue(QUEUE_MAX) for _ in range(WRITERS)]
        self._tasks = [asyncio.create_task(self._write_all(queue)) for queue in self._queues]

    async def stop(self, grace: float = 3.0) -> None:
        """Write what is queued, for `grace` seconds at most."""
        try:
            async with asyncio.timeout(grace):
                await asyncio.gather(*(queue.join() for queue in self._queues))
        except TimeoutError:
            self._log.warning("events were left unwritten", count=sum(queue.qsize() for queue in self._queues))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def record(self, about: Obj, type_: str, text: str) -> None:
        """Tell; returns at once."""
        uid = about["metadata"].get("uid") or about["metadata"]["name"]
        queue = self._queues[int(hashlib.md5(uid.encode(), usedforsecurity=False).hexdigest(), 16) % WRITERS]
        try:
            queue.put_nowait((about, type_, text[:MESSAGE_MAX], self._clock.now()))
        except asyncio.QueueFull:
            self.dropped += 1

    async def _write_all(self, queue: asyncio.Queue[tuple[Obj, str, str, float]]) -> None:
        while True:
            item = await queue.get()
            try:
                await self._write(*item)
            except ApiError as error:
                self._log.warning("an event could not be written", error=str(error))
            finally:
                queue.task_done()

    async def _write(self, about: Obj, type_: str, text: str, at: float) -> None:
        key = (about["metadata"].get("uid", ""), type_, text)
        known = self._known.get(key)
        if known and at - known[2] < SAME_SECONDS:
            ref, count, _ = known
            try:
                await self._client.patch(Patch(ref, {"count": count + 1, "lastTimestamp": stamp(at)}))
            except NotFound:
                known = None
            else:
                self._remember(key, ref, count + 1, at)
        if not known or at - known[2] >= SAME_SECONDS:
            made = await self._client.create(self._event(about, type_, text, at), EVENTS)
            meta = made["metadata"]
            self._remember(key, EVENTS.ref(meta["namespace"], meta["name"]), 1, at)

    def _remember(self, key: tuple[str, str, str], ref: Ref, count: int, at: float) -> None:
        self._known[key] = (ref, count, at)
        self._known.move_to_end(key)
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    def _event(self, about: Obj, type_: str, text: str, at: float) -> Obj:
        meta = about["metadata"]
        suffix = f".{self._clock.unique().replace('-', '')[:16]}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": meta["name"][: NAME_MAX - len(suffix)].rstrip("-.") + suffix,
                "namespace": meta.get("namespace") or "default",
            },
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": meta["name"],
                "namespace": meta.get("namespace", ""),
                "uid": meta.get("uid", ""),
                "resourceVersion": meta.get("resourceVersion", ""),
            },
            "reason": REASON,
            "message": text,
            "type": type_,
            "count": 1,
            "firstTimestamp": stamp(at),
            "lastTimestamp": stamp(at),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": "",
        }
