"""Runs the controllers: watch events → keys → reconcile → writes.

A controller is data: its name, the keys to reconcile when an object changes, and a pure reconcile function. One manager
runs all controllers on one cache. It retries a failed write with backoff. An error for one object does not stop the
others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from pyflagger.clock import Clock
from pyflagger.kube.protocol import TransportError
from pyflagger.objects import Obj, Patch

from .cache import Cache, View
from .client import Api, ApiError
from .events import Recorder
from .outcome import NOTHING, Key, Outcome
from .queue import WorkQueue

WORKERS = 8
BACKOFF_FIRST = 0.05
BACKOFF_MAX = 10.0
# Another client wrote first. This is normal: reconcile the newer state.
_RACES = frozenset({404, 409})

log = logging.getLogger(__name__)

Touches: TypeAlias = Callable[[View, Obj], Iterable[tuple[str, str]]]
"""A changed object → (namespace, name) of the objects to reconcile."""

Reconcile: TypeAlias = Callable[[View, str, str, float], Outcome]
"""(view, namespace, name, now) → outcome. Must not change the objects that it reads."""


@dataclass(frozen=True, slots=True)
class Controller:
    """One controller. For each kind, `watches` maps a changed object to the objects to reconcile."""

    name: str
    watches: Mapping[str, Touches]
    reconcile: Reconcile


class Manager:
    """Runs controllers until stopped."""

    def __init__(
        self, api: Api, cache: Cache, clock: Clock, controllers: Sequence[Controller], recorder: Recorder | None = None
    ) -> None:
        self._api, self._cache, self._clock, self._recorder = api, cache, clock, recorder
        self._controllers = {controller.name: controller for controller in controllers}
        self._queue: WorkQueue[Key] = WorkQueue(clock)
        self._failures: dict[Key, int] = {}
        self._workers: list[asyncio.Task[None]] = []
        cache.listen(self._changed)

    def start(self) -> None:
        """Start the workers. Fill the cache afterwards, so that the workers see every object."""
        self._workers = [asyncio.create_task(self._work(), name=f"controller {n}") for n in range(WORKERS)]

    async def stop(self) -> None:
        """Stop the workers. A pending write is finished or abandoned. Both are safe."""
        self._queue.close()
        for worker in self._workers:
            worker.cancel()
        for worker in self._workers:
            with suppress(asyncio.CancelledError):
                await worker

    @property
    def idle(self) -> bool:
        """Whether no key waits for a reconciliation now."""
        return self._queue.idle

    def _changed(self, kind: str, before: Obj | None, after: Obj | None) -> None:
        for controller in self._controllers.values():
            touches = controller.watches.get(kind)
            if touches is None:
                continue
            for obj in (before, after):
                for namespace, name in touches(self._cache, obj) if obj is not None else ():
                    self._queue.add(Key(controller.name, namespace, name))

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            try:
                await self._look(key)
            except ApiError as error:
                self._retry(key, "" if error.status in _RACES else str(error))
            except TransportError as error:
                self._retry(key, str(error))
            except Exception:
                log.exception("the %s controller failed on %s.%s", key.controller, key.name, key.namespace)
                self._retry(key, "")
            finally:
                self._queue.done(key)

    async def _look(self, key: Key) -> None:
        reconcile = self._controllers[key.controller].reconcile
        outcome = reconcile(self._cache, key.namespace, key.name, self._clock.now())
        if outcome is NOTHING:
            return
        for write in outcome.writes:
            after = await self._api.apply(write)
            if after is not None and not (isinstance(write, Patch) and write.subresource == "scale"):
                self._cache.observe(after)
        self._failures.pop(key, None)
        if self._recorder:
            for said in outcome.said:
                self._recorder.say(said)
        if outcome.look_again is not None:
            self._queue.add_after(key, outcome.look_again)

    def _retry(self, key: Key, problem: str) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        if problem:
            log.warning("the %s controller retries %s.%s: %s", key.controller, key.name, key.namespace, problem)
        self._queue.add_after(key, min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** min(failures, 20)))
