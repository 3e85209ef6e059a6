"""Why a sandbox cannot be brought up. Raised by its parts, shown by the commands that start one."""

from __future__ import annotations

from pathlib import Path

TAIL_CHARACTERS = 300


class CannotStart(RuntimeError):
    """The sandbox cannot be brought up: one line that says whose fault it is and what to do."""


class MissingExtra(CannotStart):
    """A part of the sandbox is not installed; the text says what to install."""


def last_words(log: Path) -> str:
    """The end of a child's log, in one line."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    lines = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return lines[-TAIL_CHARACTERS:] or "it logged nothing"
