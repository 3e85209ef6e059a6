"""Wakes everything that waits for a change. Used by `watching` and `streams`."""

from __future__ import annotations

import asyncio


class Bell:
    """Each ring wakes all that listen. `rung` counts the rings, so that a busy listener misses none."""

    def __init__(self) -> None:
        self._next, self.rung = asyncio.Event(), 0

    def ring(self) -> None:
        """Wake them."""
        self.rung += 1
        self._next.set()
        self._next = asyncio.Event()

    async def heard(self, after: int, seconds: float) -> None:
        """Wait until more than `after` rings have been, but no longer than some seconds."""
        if self.rung > after:
            return
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._next.wait()
        except TimeoutError:
            return
