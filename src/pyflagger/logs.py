"""Logs: JSON lines on standard error with the reference's keys, or readable lines.

Configured once by a command. Lines about a canary carry `canary: <name>.<namespace>`. Whatever a line is made of, it is
one line: what others answer to us cannot write lines of its own.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

# structlog draws tracebacks by rich where it finds it; lines of JSON need none of its 3 MiB.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    if _hidden:
        del sys.modules["rich"]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "fatal": 50, "panic": 50}
"""What -log-level takes, and structlog's numbers."""

_ZAP = {"warning": "warn", "critical": "fatal"}
"""Names that zap, the reference's logger, has for structlog's levels."""


_CALLER = structlog.processors.CallsiteParameterAdder(
    {structlog.processors.CallsiteParameter.PATHNAME, structlog.processors.CallsiteParameter.LINENO}
)


class Patient:
    """A stream that loses a line rather than stop its writer: a full disk must not hold a release up."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except OSError:
            self.lost += 1
            return 0

    def flush(self) -> None:
        """Pass on what can be passed on."""
        try:
            self._stream.flush()
        except OSError:
            self.lost += 1


def shown(text: str) -> str:
    """A text whose control characters are written out: no line ends in it, and no terminal obeys it."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _one_line(_: Any, __: str, line: Any) -> Any:
    """The text of a line for people, written out; of its other values the renderer takes care."""
    return {**line, "event": shown(str(line.get("event", "")))}


def _filled(_: Any, __: str, line: Any) -> Any:
    """A line without fields that have no value."""
    return {key: value for key, value in line.items() if value is not None and value != ""}


def _as_zap(logger: Any, method: str, line: Any) -> Any:
    """A line in zap's order and words: level, ts, caller, msg, and the fields that have a value."""
    file, number, level = line.pop("pathname"), line.pop("lineno"), line.pop("level")
    head = {
        "level": _ZAP.get(level, level),
        "ts": line.pop("ts"),
        "caller": f"{'/'.join(file.split('/')[-2:])}:{number}",
        "msg": line.pop("event", ""),
    }
    return head | _filled(logger, method, line)


def configure(level: str, encoding: str, stream: TextIO = sys.stderr) -> None:
    """Set up logging for the process. An unknown level means info."""
    for_people = encoding == "console"
    render: tuple[Any, ...] = (
        (_one_line, _filled, structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0))
        if for_people
        else (_CALLER, _as_zap, structlog.processors.JSONRenderer(separators=(",", ":")))
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp" if for_people else "ts"),
            structlog.processors.format_exc_info,
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level.lower(), logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(Patient(stream)),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )


def logger() -> Any:
    """A logger; bind `canary` for lines about one."""
    return structlog.get_logger()
