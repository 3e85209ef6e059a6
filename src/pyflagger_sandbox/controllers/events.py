"""Writes Kubernetes Events of controllers and the kubelet in the background. Counts repeats on one object.

It never delays or fails its callers: the queue is bounded, and it drops an Event when the write fails.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from pyflagger.api.durations import stamp
from pyflagger.clock import Clock
from pyflagger.kube.protocol import TransportError
from pyflagger.objects import Create, Obj, Patch, Ref

from .client import Api, ApiError
from .outcome import Said

PENDING_MAX = 1000
KNOWN_MAX = 4000


@dataclass(slots=True)
class _Known:
    name: str
    count: int


class Recorder:
    """Writes Events for one component."""

    def __init__(self, api: Api, clock: Clock, component: str) -> None:
        self._api, self._clock, self._component = api, clock, component
        self._pending: asyncio.Queue[Said] = asyncio.Queue(PENDING_MAX)
        self._known: dict[tuple[str, str, str, str], _Known] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Write in the background until stopped."""
        self._task = asyncio.create_task(self._run(), name=f"events of {self._component}")

    async def stop(self) -> None:
        """Stop, and drop pending Events."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def say(self, said: Said) -> None:
        """Queue an Event. Drops it when the queue is full."""
        with suppress(asyncio.QueueFull):
            self._pending.put_nowait(said)

    async def _run(self) -> None:
        while True:
            said = await self._pending.get()
            with suppress(ApiError, TransportError):
                await self._write(said)

    async def _write(self, said: Said) -> None:
        meta = said.about["metadata"]
        identity = (meta.get("uid", ""), said.type, said.reason, said.message)
        known = self._known.get(identity)
        if known is None:
            name = f"{meta['name']}.{self._clock.unique().replace('-', '')[:16]}"
            await self._api.apply(Create(self._event(said, name)))
            if len(self._known) >= KNOWN_MAX:
                self._known.pop(next(iter(self._known)))
            self._known[identity] = _Known(name, 1)
            return
        known.count += 1
        body = {"count": known.count, "lastTimestamp": stamp(self._clock.now())}
        await self._api.apply(Patch(Ref("v1", "Event", meta.get("namespace") or "default", known.name), body))

    def _event(self, said: Said, name: str) -> Obj:
        meta, now = said.about["metadata"], stamp(self._clock.now())
        about = {"apiVersion": said.about["apiVersion"], "kind": said.about["kind"], "name": meta["name"]}
        about |= {key: meta[key] for key in ("namespace", "uid", "resourceVersion") if key in meta}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta.get("namespace") or "default"},
            "involvedObject": about,
            "type": said.type,
            "reason": said.reason,
            "message": said.message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }
