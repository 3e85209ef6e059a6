"""Logs: JSON lines on standard error with the reference's keys, or readable lines.

Configured once by `operator.run`. Lines about a canary carry `canary: <name>.<namespace>`.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "fatal": 50, "panic": 50}


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


def configure(level: str, encoding: str, stream: TextIO = sys.stderr) -> None:
    """Set up logging for the process. An unknown level means info."""
    render: Any = (
        structlog.dev.ConsoleRenderer(colors=False)
        if encoding == "console"
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.EventRenamer("msg"),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(level.lower(), logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(Patient(stream)),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )


def logger() -> Any:
    """A logger; bind `canary` for lines about one."""
    return structlog.get_logger()
