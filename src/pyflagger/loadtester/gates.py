"""Gates that users open and close, and that webhooks query.

State is in memory and contains only open gates. Does no I/O; called by the HTTP handlers.
"""

from __future__ import annotations

MAX_OPEN = 10_000


class TooManyGates(Exception):
    """The limit of open gates is reached."""


class Gates:
    """Open gates by name. Every other gate is closed.

    `auto_close`: a gate closes after it let one check pass. `per_checksum`: an open gate is for one revision. That is
    the revision in the call that opened the gate, or else the first one that passes.
    """

    def __init__(self, *, auto_close: bool = False, per_checksum: bool = False) -> None:
        self._auto_close = auto_close
        self._per_checksum = per_checksum
        self._open: dict[str, str] = {}

    def open(self, name: str, checksum: str = "") -> None:
        """Open a gate. Raises TooManyGates."""
        if name not in self._open and len(self._open) >= MAX_OPEN:
            raise TooManyGates
        self._open[name] = checksum

    def close(self, name: str) -> None:
        """Close a gate. Closing a closed gate has no effect."""
        self._open.pop(name, None)

    def check(self, name: str, checksum: str = "") -> bool:
        """Whether the revision with this checksum may pass."""
        if name not in self._open:
            return False
        owner = self._open[name]
        if self._per_checksum and owner and checksum and owner != checksum:
            return False
        if self._auto_close:
            self.close(name)
        elif checksum and not owner:
            self._open[name] = checksum
        return True

    def listing(self) -> list[dict[str, str | bool]]:
        """The open gates, by name, with the checksum of their revision; empty when it is not known."""
        return [{"gate": name, "open": True, "checksum": owner} for name, owner in sorted(self._open.items())]
