"""Makes the time of the running event loop pass faster than the machine's, for stories that a browser watches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

SCALE = 10.0


class Pace:
    """The time of a loop. `scale`: its seconds in one second of the machine."""

    def __init__(self, loop: Any) -> None:
        self._loop, self._time, self._select = loop, loop.time, loop._selector.select
        self._base, self._since, self._scale = self._time(), self._time(), 1.0

    @property
    def scale(self) -> float:
        """How fast time passes."""
        return self._scale

    @scale.setter
    def scale(self, value: float) -> None:
        self._base, self._since, self._scale = self.time(), self._time(), value

    def time(self) -> float:
        """The time of the loop."""
        return float(self._base + (self._time() - self._since) * self._scale)

    def select(self, timeout: float | None = None) -> Any:
        """Wait for as much of the machine's time."""
        return self._select(timeout / self._scale if timeout else timeout)


@contextmanager
def hastened(scale: float = SCALE) -> Iterator[Pace]:
    """Time passes faster while the block runs."""
    loop: Any = asyncio.get_running_loop()
    pace = Pace(loop)
    with patch.object(loop, "time", pace.time), patch.object(loop._selector, "select", pace.select):
        pace.scale = scale
        yield pace
