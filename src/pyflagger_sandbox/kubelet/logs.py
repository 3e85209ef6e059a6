"""A container's log for `kubectl logs`: the last lines of the current and the previous run."""

from __future__ import annotations

from collections import deque

LINES_MAX = 2000
LINE_BYTES_MAX = 16 << 10


class Log:
    """A log with a limited number of lines of limited length."""

    def __init__(self) -> None:
        self.current: deque[str] = deque(maxlen=LINES_MAX)
        self.previous: deque[str] = deque(maxlen=LINES_MAX)

    def write(self, line: str) -> None:
        """Add a line."""
        self.current.append(line[:LINE_BYTES_MAX])

    def restart(self) -> None:
        """Begin the log of a new run."""
        self.previous, self.current = self.current, deque(maxlen=LINES_MAX)
