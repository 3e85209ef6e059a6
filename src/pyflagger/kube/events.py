"""Kubernetes Events: every text of a release readable in `kubectl describe`, each at most one request.

The same text again within an hour raises the count of its Event. Nothing is thinned out. Told by `operator.say`; writes
from a bounded queue of its own, in order, and a failure is logged and forgotten: telling never holds a release up.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from pyflagger.api.durations import stamp
from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, NotFound
from pyflagger.kube.resources import EVENTS
from pyflagger.objects import Obj, Patch

COMPONENT, REASON = "flagger", "Synced"
SAME_SECONDS = 3600.0
QUEUE_MAX, REMEMBERED_MAX = 10_000, 10_000
NAME_MAX, MESSAGE_MAX = 253, 1024
WRITERS = 8


class Events:
    """Writes Events about objects. Those of one object go through the same writer, so their order stays."""

    def __init__(self, client: Client, clock: Clock, log: Any) -> None:
        self._client, self._clock, self._log = client, clock, log
        self._queues: list[asyncio.Queue[tuple[Obj, str, str, float]]] = []
        self._known: dict[bytes, tuple[str, int, float]] = {}
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
        who = _named(about)
        queue = self._queues[_digest(who["uid"] or who["name"])[0] % WRITERS]
        try:
            queue.put_nowait((who, type_, shown(text)[:MESSAGE_MAX], self._clock.now()))
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

    async def _write(self, who: Obj, type_: str, text: str, at: float) -> None:
        key = _digest(who["uid"], type_, text)
        known = self._known.get(key)
        if known and at - known[2] < SAME_SECONDS:
            name, count, _ = known
            ref = EVENTS.ref(_namespace(who), name)
            try:
                await self._client.patch(Patch(ref, {"count": count + 1, "lastTimestamp": stamp(at)}))
            except NotFound:
                known = None
            else:
                self._remember(key, name, count + 1, at)
        if not known or at - known[2] >= SAME_SECONDS:
            made = await self._client.create(self._event(who, type_, text, at), EVENTS)
            self._remember(key, made["metadata"]["name"], 1, at)

    def _remember(self, key: bytes, name: str, count: int, at: float) -> None:
        self._known.pop(key, None)
        self._known[key] = (name, count, at)
        while len(self._known) > REMEMBERED_MAX:
            del self._known[next(iter(self._known))]

    def _event(self, who: Obj, type_: str, text: str, at: float) -> Obj:
        suffix = f".{self._clock.unique().replace('-', '')[:16]}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": who["name"][: NAME_MAX - len(suffix)].rstrip("-.") + suffix,
                "namespace": _namespace(who),
            },
            "involvedObject": who,
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


def shown(text: str) -> str:
    """A text without what a terminal would obey; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def _named(about: Obj) -> Obj:
    """What an Event says of its object; the object itself is not kept from being forgotten."""
    meta = about["metadata"]
    return {
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "name": meta["name"],
        "namespace": meta.get("namespace", ""),
        "uid": meta.get("uid", ""),
        "resourceVersion": meta.get("resourceVersion", ""),
    }


def _namespace(who: Obj) -> str:
    return who["namespace"] or "default"


def _digest(*words: str) -> bytes:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).digest()
