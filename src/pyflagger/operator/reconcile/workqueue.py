"""When each canary is looked at: at once when poked, or at its own time; never twice at the same time.

The heart of the shell's two clocks: watch events poke, decisions set alarms. Called by `operator.reconcile`; it knows
keys and times, and nothing of what the handler does. A key at rest costs a dictionary entry, not a task.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from pyflagger.clock import Clock

TICKS_PER_SECOND = 1_000_000
"""Alarms ring at whole microseconds: a wait that is finer than its clock would be begun again for ever."""

Key = TypeVar("Key", bound=Hashable)


class Workqueue(Generic[Key]):
    """Runs `handle(key)` for keys that are due, at most one at a time for each key.

    `handle` never raises: it is the caller's last line of defence.
    """

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
        """Look at this key now; if it is being looked at, once more right after."""
        if key in self._running:
            self._again.add(key)
        else:
            self._start(key)

    def seen(self, key: Key) -> None:
        """What the pokes so far were about is known to the look that is under way: none is owed for them any more."""
        self._again.discard(key)

    def add_after(self, key: Key, after: float) -> None:
        """Look at this key `after` seconds from now, in place of its earlier alarm."""
        due = math.ceil((self._clock.monotonic() + max(0.0, after)) * TICKS_PER_SECOND) / TICKS_PER_SECOND
        self._alarms[key] = due
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, key))
        self._changed.set()

    def cancel(self, key: Key) -> None:
        """No alarm for this key any more."""
        self._alarms.pop(key, None)

    def busy(self) -> int:
        """How many keys are being looked at."""
        return len(self._running)

    async def run(self) -> None:
        """Ring alarms until cancelled."""
        while True:
            self._changed.clear()
            wait = self._ring()
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    async def stop(self) -> None:
        """Cancel what is running and wait for it."""
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
