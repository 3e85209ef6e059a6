"""Durations in Go's notation and times in RFC 3339, to and from plain seconds.

The functions convert only. They do not read the clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST = 2**63 / 1e9  # seconds: Go stores a duration as 64-bit nanoseconds


def parse(text: str) -> float:
    """A Go duration such as `1m30s`, in seconds. Raises ValueError if the text is not a duration."""
    sign, rest = (-1.0, text[1:]) if text[:1] == "-" else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(rest):
        piece = _PIECE.match(rest, at)
        if piece is None:
            break
        total += float(piece[1]) * _UNITS[piece[2]]
        at = piece.end()
    if at == 0 or at < len(rest) or total >= _LONGEST:
        raise ValueError(f"{text!r} is not a duration such as 10s, 1m30s or 500ms")
    return sign * total


def show(seconds: float) -> str:
    """Format seconds as Go formats a duration: `1.515s`, `500ms`, `1m30s`, `0s`."""
    nanoseconds = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and nanoseconds else ""
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if nanoseconds < size * 1000:
            return f"{sign}{_decimal(nanoseconds, size)}{unit}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    text = f"{_decimal(rest, 10**9)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return sign + text


def _decimal(number: int, size: int) -> str:
    whole, part = divmod(number, size)
    if not part:
        return str(whole)
    digits = len(str(size)) - 1
    return f"{whole}.{str(part).rjust(digits, '0').rstrip('0')}"


def stamp(epoch_seconds: float) -> str:
    """A time as Kubernetes formats it, in UTC and whole seconds."""
    return _stamp(int(epoch_seconds))


@lru_cache(1024)
def _stamp(epoch_seconds: int) -> str:
    """The conditions of a status repeat a few times over and over."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise_stamp(epoch_seconds: float) -> str:
    """A time with microseconds, as Kubernetes formats MicroTime."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def second(epoch_seconds: float) -> float:
    """A time as `stamp` writes it and `epoch` reads it back."""
    return float(int(epoch_seconds))


def microsecond(epoch_seconds: float) -> float:
    """A time as `precise_stamp` writes it and `epoch` reads it back."""
    return round(epoch_seconds, 6)


def epoch(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def epoch_or_none(text: str) -> float | None:
    """Seconds since the epoch, or None if the text is not a time."""
    try:
        return epoch(text)
    except ValueError:
        return None
