"""Kubernetes Events: every text of a release in `kubectl describe`, in order, at most one request each.

`kubectl describe` sorts by `lastTimestamp`, which API servers cut to seconds, and `kubectl get events` does not sort.
Both order Events of the same second by name. So a name contains its time in microseconds, as client-go's contain
nanoseconds.

A repeated text raises the count of its Event while no other text about the object comes in between. Otherwise it gets
a new Event, at most three in an hour, so that two alternating texts do not flood. No text is dropped or sampled.
Called by `operator.act`; writes from a bounded queue, in order. A failure is logged and not retried: an Event never
delays a release.
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
"""New Events of one text about one object in an hour. Further repeats raise the count of the last one."""


@dataclass(frozen=True, slots=True)
class Written:
    """The newest Event of a text about an object: name, count, time of the last repeat, Events so far."""

    name: str
    count: int
    at: float
    events: int


class Events:
    """Writes Events about objects. One writer handles all Events of an object, which keeps their order."""

    def __init__(self, client: Client, clock: Clock, log: Any, instance: str = COMPONENT) -> None:
        """`instance` names this process; API servers require it in an Event with `eventTime`."""
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
        """Write the queued Events, for at most `grace` seconds."""
        try:
            async with asyncio.timeout(grace):
                await asyncio.gather(*(queue.join() for queue in self._queues))
        except TimeoutError:
            self._log.warning(
                "stopped before all events were written", count=sum(queue.qsize() for queue in self._queues)
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def record(self, about: Obj, type_: str, text: str) -> None:
        """Queue an Event; returns immediately. Counts it in `dropped` when the queue is full."""
        subject = _subject(about)
        try:
            self._queue(subject).put_nowait((subject, type_, _cut(shown(text)), self._clock.now()))
        except asyncio.QueueFull:
            self.dropped += 1

    async def written(self, about: Obj, seconds: float = WRITTEN_SECONDS_MAX) -> None:
        """Wait until the queued Events about an object are written, for at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue(_subject(about)).join()

    def _queue(self, subject: Obj) -> asyncio.Queue[tuple[Obj, str, str, float]]:
        return self._queues[_digest(subject["uid"] or subject["name"])[0] % WRITERS]

    async def _write_all(self, queue: asyncio.Queue[tuple[Obj, str, str, float]]) -> None:
        while True:
            item = await queue.get()
            try:
                await self._write(*item)
            except ApiError as error:
                self._log.warning("failed to write an event", error=str(error))
            finally:
                queue.task_done()

    async def _write(self, subject: Obj, type_: str, text: str, at: float) -> None:
        about, digest = (
            _digest(subject["uid"], _namespace(subject), subject["name"]),
            _digest(subject["uid"], type_, text),
        )
        last = self._texts.get(digest)
        if last and at - last.at >= SAME_SECONDS:
            last = None
        if last and (self._newest.get(about) == digest or last.events >= EVENTS_OF_A_TEXT):
            body = {"count": last.count + 1, "lastTimestamp": stamp(at)}
            with suppress(NotFound):
                await self._client.patch(Patch(EVENTS.ref(_namespace(subject), last.name), body))
                self._remember(about, digest, replace(last, count=last.count + 1, at=at))
                return
        made = await self._client.create(self._event(subject, type_, text, at), EVENTS)
        events = last.events + 1 if last else 1
        self._remember(about, digest, Written(made["metadata"]["name"], 1, at, events))

    def _remember(self, about: bytes, digest: bytes, written: Written) -> None:
        _keep(self._texts, digest, written)
        _keep(self._newest, about, digest)

    def _event(self, subject: Obj, type_: str, text: str, at: float) -> Obj:
        self._micros = max(int(at * 1e6), self._micros + 1)
        suffix = f".{self._micros:013x}{self._clock.unique()[:3]}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": subject["name"][: NAME_MAX - len(suffix)].rstrip("-.") + suffix,
                "namespace": _namespace(subject),
            },
            "involvedObject": subject,
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
    """A text without control characters that a terminal would interpret; newlines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def _keep(known: dict[bytes, Value], key: bytes, value: Value) -> None:
    """Set an entry and evict the ones that were set longest ago."""
    known.pop(key, None)
    known[key] = value
    while len(known) > REMEMBERED_MAX:
        del known[next(iter(known))]


def _cut(text: str) -> str:
    """A text cut to the number of bytes that API servers accept."""
    return text.encode()[:MESSAGE_MAX].decode(errors="ignore")


def _subject(about: Obj) -> Obj:
    """The `involvedObject` of an Event: a small copy, so that a queued Event does not keep the object in memory."""
    meta = about["metadata"]
    return {
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "name": meta["name"],
        "namespace": meta.get("namespace", ""),
        "uid": meta.get("uid", ""),
        "resourceVersion": meta.get("resourceVersion", ""),
    }


def _namespace(subject: Obj) -> str:
    return subject["namespace"] or "default"


def _digest(*words: str) -> bytes:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).digest()
