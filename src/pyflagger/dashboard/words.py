"""Numbers, times and ends of releases in words, as pages show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple


class End(NamedTuple):
    """How a release ended: its icon, its word, and the state whose colour it has."""

    icon: str
    word: str
    like: str


ENDS: Mapping[str, End] = {
    "Running": End("▶", "under way", "moving"),
    "Initialized": End("●", "initialized", "idle"),
    "Promoted": End("✔", "promoted", "idle"),
    "RolledBack": End("✖", "rolled back", "failed"),
    "Undone": End("↶", "undone", "failed"),
    "Cancelled": End("⊘", "cancelled", "waiting"),
    "Superseded": End("↷", "superseded", "waiting"),
    "Lost": End("?", "lost", "waiting"),
}
"""By the outcome of a record."""


def end_of(outcome: str) -> End:
    """The end of a release. An outcome of a newer operator is its own word."""
    return ENDS.get(outcome) or End("·", outcome or "unknown", "waiting")


def clock_text(at: float) -> str:
    """A time of day in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def day_text(at: float) -> str:
    """A time with its date."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def full_text(at: float) -> str:
    """A time with its date and zone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float | None) -> str:
    """A measured value with four digits, or all digits of a larger integer part."""
    return "–" if value is None else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
