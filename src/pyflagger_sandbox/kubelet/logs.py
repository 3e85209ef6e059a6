"""A container's log: the last lines of this run and of the one before, for `kubectl logs`."""

from __future__ import annotations

from collections import deque

LINES_MAX = 2000
LINE_BYTES_MAX = 16 << 10


class Log:
    """Bounded in lines and in their length."""

    def __init__(self) -> None:
        self.current: deque[str] = deque(maxlen=LINES_MAX)
        self.previous: deque[str] = deque(maxlen=LINES_MAX)

    def write(self, line: str) -> None:
        """Keep a line."""
        self.current.append(line[:LINE_BYTES_MAX])

    def restart(self) -> None:
        """A new run begins."""
        self.previous, self.current = self.current, deque(maxlen=LINES_MAX)
