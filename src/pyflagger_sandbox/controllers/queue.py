"""A keyed workqueue: a key is queued at most once, at most one worker handles it, and it may be due later.

Watch events and outcomes add keys. The manager's workers take them. Time comes from a Clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from pyflagger.clock import Clock

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys to reconcile. A key that is added while a worker handles it is queued again after `done`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, tuple[float, asyncio.Task[None]]] = {}
        self._wake = asyncio.Semaphore(0)

    def add(self, key: K) -> None:
        """Reconcile this key as soon as possible."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._wake.release()

    def add_after(self, key: K, seconds: float) -> None:
        """Reconcile this key in `seconds`, or sooner if it is already due sooner."""
        due = self._clock.monotonic() + seconds
        known = self._timers.get(key)
        if known and known[0] <= due:
            return
        if known:
            known[1].cancel()
        self._timers[key] = (due, asyncio.create_task(self._later(key, seconds)))

    async def take(self) -> K:
        """The next key. Call `done` with it afterwards."""
        await self._wake.acquire()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Mark this key as handled."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    @property
    def idle(self) -> bool:
        """Whether no key is queued or handled. Ignores keys that are due later."""
        return not self._waiting and not self._working

    def close(self) -> None:
        """Drop the keys that are due later."""
        for _, task in self._timers.values():
            task.cancel()
        self._timers.clear()

    async def _later(self, key: K, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timers.pop(key, None)
        self.add(key)
