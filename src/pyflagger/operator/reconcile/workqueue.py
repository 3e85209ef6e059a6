"""The workqueue: reconcile each canary immediately when it is enqueued, or at its wake-up, and never twice at once.

Watch events enqueue keys, and decisions set wake-ups. An idle key costs a dictionary entry, not a task.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from pyflagger.clock import Clock

TICKS_PER_SECOND = 1_000_000
"""Wake-ups are at whole microseconds: a wait shorter than the clock's resolution would restart forever."""

Key = TypeVar("Key", bound=Hashable)


class Workqueue(Generic[Key]):
    """Runs `handle(key)` for keys that are due, at most once at a time for each key. `handle` must not raise."""

    def __init__(self, clock: Clock, handle: Callable[[Key], Awaitable[None]]) -> None:
        self._clock = clock
        self._handle = handle
        self._alarms: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = 0
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()
        self._changed = asyncio.Event()

    def add(self, key: Key) -> None:
        """Handle this key now. If it is being handled, handle it once more afterwards."""
        if key in self._running:
            self._again.add(key)
        else:
            self._start(key)

    def seen(self, key: Key) -> None:
        """The running handler knows everything that was enqueued so far: do not handle the key again for it."""
        self._again.discard(key)

    def add_after(self, key: Key, after: float) -> None:
        """Handle this key in `after` seconds. This replaces its earlier wake-up."""
        due = math.ceil((self._clock.monotonic() + max(0.0, after)) * TICKS_PER_SECOND) / TICKS_PER_SECOND
        self._alarms[key] = due
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, key))
        self._changed.set()

    def cancel(self, key: Key) -> None:
        """Remove the wake-up of this key."""
        self._alarms.pop(key, None)

    def busy(self) -> int:
        """The number of keys being handled."""
        return len(self._running)

    async def run(self) -> None:
        """Process wake-ups until cancelled."""
        while True:
            self._changed.clear()
            wait = self._ring()
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    async def stop(self) -> None:
        """Cancel running handlers and wait for them."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ring(self) -> float | None:
        now = self._clock.monotonic()
        while self._heap:
            due, _, key = self._heap[0]
            if self._alarms.get(key) != due:
                heapq.heappop(self._heap)
            elif due <= now:
                heapq.heappop(self._heap)
                del self._alarms[key]
                self.add(key)
            else:
                return due - now
        return None

    def _start(self, key: Key) -> None:
        self._again.discard(key)
        task = asyncio.get_running_loop().create_task(self._reconcile(key))
        self._running[key] = task

    async def _reconcile(self, key: Key) -> None:
        try:
            await self._handle(key)
        finally:
            del self._running[key]
        if key in self._again:
            self._start(key)
