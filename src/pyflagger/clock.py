"""Time and chance, as objects that a test can own.

The only module that reads the machine's clock, sleeps, or draws random numbers. Called by every room that does I/O;
the pure rooms (api, core, workloads, routing, metrics) never see it: they are handed `now` as a number.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from typing import Protocol


class Clock(Protocol):
    """Where time and chance come from."""

    def now(self) -> float:
        """Wall time: seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go backwards; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less yields to other tasks once."""

    def jitter(self, seconds: float) -> float:
        """A number between 0 and `seconds`, evenly spread."""

    def unique(self) -> str:
        """A random UUID (version 4) as text."""


class SystemClock:
    """The machine's own time and chance."""

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
    """Time of the running event loop, from a fixed start; chance from a seed.

    On a loop with virtual time this makes a whole run repeatable.
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
