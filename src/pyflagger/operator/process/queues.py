"""Queues by key, for what is delivered to others: a receiver that is slow or broken delays only its own queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True)
class _Queue(Generic[T]):
    """The items of one key. There is a task while it has items."""

    waiting: deque[T] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Queues(Generic[K, T]):
    """Calls `handle` for the items of each key in order, and for different keys at the same time.

    A key has at most `size` items. When it has more, the oldest go to `dropped`. `handle` must not raise.
    """

    def __init__(self, handle: Callable[[K, T], Awaitable[None]], dropped: Callable[[K, T], None], size: int) -> None:
        self._handle, self._dropped, self._size = handle, dropped, size
        self._queues: dict[K, _Queue[T]] = {}

    def put(self, key: K, item: T) -> None:
        """Queue an item and return immediately."""
        queue = self._queues.setdefault(key, _Queue())
        queue.waiting.append(item)
        while len(queue.waiting) > self._size:
            self._dropped(key, queue.waiting.popleft())
        if queue.task is None:
            queue.task = asyncio.get_running_loop().create_task(self._drain(key, queue))

    def clear(self, key: K) -> None:
        """Remove the items of a key. None of them goes to `dropped`."""
        if key in self._queues:
            self._queues[key].waiting.clear()

    async def idle(self, key: K, seconds: float) -> None:
        """Wait up to `seconds` for the items of a key."""
        queue = self._queues.get(key)
        if queue is not None and queue.task is not None:
            await asyncio.wait([queue.task], timeout=seconds)

    async def close(self, seconds: float) -> None:
        """Wait up to `seconds` for all items, then remove the rest."""
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._queues.clear()

    async def _drain(self, key: K, queue: _Queue[T]) -> None:
        try:
            while queue.waiting:
                await self._handle(key, queue.waiting.popleft())
        finally:
            queue.task = None
            if self._queues.get(key) is queue:
                del self._queues[key]
