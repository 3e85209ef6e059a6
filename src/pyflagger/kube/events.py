"""Kubernetes Events: every text of a release readable in `kubectl describe`, in order, each at most one request.

`kubectl describe` sorts by `lastTimestamp`, which API servers cut to seconds, and `kubectl get events` does not sort:
both show Events of one second by name. So a name carries its time in microseconds, as those of client-go carry
nanoseconds, and a text raises the count of its Event only while no other text about the object came in between, or once
it has an Event of its own for the third time in an hour: two texts that alternate are no flood. Nothing is thinned out.
Called by `operator.act`; writes from a bounded queue, in order. A failure is logged and forgotten: an
Event never holds a release up.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pyflagger.api.durations import precise_stamp, stamp
from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, NotFound
from pyflagger.kube.resources import EVENTS
from pyflagger.objects import Obj, Patch

COMPONENT, REASON, ACTION = "flagger", "Synced", "Reconcile"
SAME_SECONDS = 3600.0
QUEUE_MAX, REMEMBERED_MAX = 10_000, 10_000
NAME_MAX, MESSAGE_MAX = 253, 1024
WRITERS = 8
WRITTEN_SECONDS_MAX = 1.0


Value = TypeVar("Value")

EVENTS_OF_A_TEXT = 3
"""Events that one text about one object may have in an hour; what comes more often is counted."""


@dataclass(frozen=True, slots=True)
class Written:
    """The newest Event of a text about an object: its name and count, when it was last said, how many there were."""

    name: str
    count: int
    at: float
    events: int


class Events:
    """Writes Events about objects. Those of one object go through the same writer, so their order stays."""

    def __init__(self, client: Client, clock: Clock, log: Any, instance: str = COMPONENT) -> None:
        """`instance` names this process; API servers require a name in an Event that has a precise time."""
        self._client, self._clock, self._log, self._instance = client, clock, log, instance
        self._queues: list[asyncio.Queue[tuple[Obj, str, str, float]]] = []
        self._texts: dict[bytes, Written] = {}
        self._newest: dict[bytes, bytes] = {}
        self._micros = 0
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
        try:
            self._queue(who).put_nowait((who, type_, _cut(shown(text)), self._clock.now()))
        except asyncio.QueueFull:
            self.dropped += 1

    async def written(self, about: Obj, seconds: float = WRITTEN_SECONDS_MAX) -> None:
        """Wait until what was told of an object is written, for some seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue(_named(about)).join()

    def _queue(self, who: Obj) -> asyncio.Queue[tuple[Obj, str, str, float]]:
        return self._queues[_digest(who["uid"] or who["name"])[0] % WRITERS]

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
        about, digest = _digest(who["uid"], _namespace(who), who["name"]), _digest(who["uid"], type_, text)
        last = self._texts.get(digest)
        if last and at - last.at >= SAME_SECONDS:
            last = None
        if last and (self._newest.get(about) == digest or last.events >= EVENTS_OF_A_TEXT):
            body = {"count": last.count + 1, "lastTimestamp": stamp(at)}
            with suppress(NotFound):
                await self._client.patch(Patch(EVENTS.ref(_namespace(who), last.name), body))
                self._remember(about, digest, replace(last, count=last.count + 1, at=at))
                return
        made = await self._client.create(self._event(who, type_, text, at), EVENTS)
        events = last.events + 1 if last else 1
        self._remember(about, digest, Written(made["metadata"]["name"], 1, at, events))

    def _remember(self, about: bytes, digest: bytes, written: Written) -> None:
        _keep(self._texts, digest, written)
        _keep(self._newest, about, digest)

    def _event(self, who: Obj, type_: str, text: str, at: float) -> Obj:
        self._micros = max(int(at * 1e6), self._micros + 1)
        suffix = f".{self._micros:013x}{self._clock.unique()[:3]}"
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
            "eventTime": precise_stamp(at),
            "action": ACTION,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance,
        }


def shown(text: str) -> str:
    """A text without what a terminal would obey; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def _keep(known: dict[bytes, Value], key: bytes, value: Value) -> None:
    """Set an entry; the ones that were set longest ago go."""
    known.pop(key, None)
    known[key] = value
    while len(known) > REMEMBERED_MAX:
        del known[next(iter(known))]


def _cut(text: str) -> str:
    """As much of a text as API servers take: they count bytes."""
    return text.encode()[:MESSAGE_MAX].decode(errors="ignore")


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
