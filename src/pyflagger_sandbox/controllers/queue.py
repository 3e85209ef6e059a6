"""A keyed work queue: a key waits at most once, is worked on by one worker at a time, and may be due later.

Fed by watch events and by outcomes that want another look; drained by the manager's workers. Time is a Clock's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from pyflagger.clock import Clock

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys to look at. A key added while it is worked on comes back after `done`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, tuple[float, asyncio.Task[None]]] = {}
        self._wake = asyncio.Semaphore(0)

    def add(self, key: K) -> None:
        """Look at this key as soon as possible."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._wake.release()

    def add_after(self, key: K, seconds: float) -> None:
        """Look at this key in `seconds`, unless that is already due sooner."""
        due = self._clock.monotonic() + seconds
        known = self._timers.get(key)
        if known and known[0] <= due:
            return
        if known:
            known[1].cancel()
        self._timers[key] = (due, asyncio.create_task(self._later(key, seconds)))

    async def take(self) -> K:
        """The next key; call `done` with it afterwards."""
        await self._wake.acquire()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Work on this key has ended."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting or being worked on; keys that are due later do not count."""
        return not self._waiting and not self._working

    def close(self) -> None:
        """Forget what is due later."""
        for _, task in self._timers.values():
            task.cancel()
        self._timers.clear()

    async def _later(self, key: K, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timers.pop(key, None)
        self.add(key)
