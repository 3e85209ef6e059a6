"""Times in printed columns.

Pure: callers pass `now`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def epoch(stamp: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError."""
    found = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def age(stamp: Any, now: float) -> str:
    """The age in kubectl's format; `<unknown>` without a time."""
    try:
        return duration(now - epoch(stamp))
    except (ValueError, AttributeError, TypeError):
        return "<unknown>"


def duration(seconds: float) -> str:
    """`42s`, `3m12s`, `5h`, `2d3h`: two units when the first number is small."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(0, whole)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 8 * 365 else f"{days // 365}y"


def _two(first: int, first_unit: str, second: int, second_unit: str) -> str:
    return f"{first}{first_unit}{second}{second_unit}" if second else f"{first}{first_unit}"
