"""Errors that keep a sandbox from starting. Its parts raise them, and the commands that start one show them."""

from __future__ import annotations

from pathlib import Path

TAIL_CHARACTERS = 300


class CannotStart(RuntimeError):
    """The sandbox cannot start. The text is one line that says whose fault it is and what to do."""


class MissingExtra(CannotStart):
    """A part of the sandbox is not installed. The text says what to install."""


def last_words(log: Path) -> str:
    """The end of a child process's log, in one line."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    lines = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return lines[-TAIL_CHARACTERS:] or "it logged nothing"
