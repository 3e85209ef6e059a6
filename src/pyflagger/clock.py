"""Time and randomness, as objects that a test can replace.

The only module that reads the machine's clock, sleeps, or draws random numbers. Every package that does I/O uses it.
The pure packages (api, core, workloads, routing, metrics) never do: they take `now` as a number.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """The source of time and randomness."""

    def now(self) -> float:
        """Wall time: seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go backwards. Only differences are meaningful."""

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`. Zero or less yields to other tasks once."""

    def jitter(self, seconds: float) -> float:
        """A uniformly distributed number between 0 and `seconds`."""

    def unique(self) -> str:
        """A random UUID (version 4) as text."""


class SystemClock:
    """The machine's clock and random numbers."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def jitter(self, seconds: float) -> float:
        return random.uniform(0.0, seconds)

    def unique(self) -> str:
        return str(uuid.uuid4())


class LoopClock:
    """Time of the running event loop, from a fixed start, and random numbers from a seed.

    On an event loop with virtual time this makes a whole run repeatable.
    """

    def __init__(self, *, start: float = 1_700_000_000.0, seed: int = 0) -> None:
        self._start = start
        self._random = random.Random(seed)

    def now(self) -> float:
        return self._start + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def jitter(self, seconds: float) -> float:
        return self._random.uniform(0.0, seconds)

    def unique(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
