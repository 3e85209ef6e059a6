"""Logs: JSON lines on standard error with the reference's keys, or readable lines.

A command configures logging once. Lines about a canary contain `canary: <name>.<namespace>`. Control characters are
escaped, so text from another system cannot forge additional lines.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

# structlog formats tracebacks with rich if it is installed. JSON lines do not need its 3 MiB.
_hidden = "rich" not in sys.modules
if _hidden:
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    if _hidden:
        del sys.modules["rich"]

LEVELS = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "fatal": 50, "panic": 50}
"""Values of -log-level with structlog's numbers."""

FIELDS: Mapping[str, tuple[str, str]] = {
    "level": ("text", "all: `debug`, `info`, `warn`, `error` or `fatal`"),
    "ts": ("text", "all: the time in UTC, as in RFC 3339"),
    "caller": ("text", "all: file and line of the source"),
    "msg": ("text", "all: the message. For canaries it is the text of the Event"),
    "canary": ("text", "lines about a canary: `name.namespace`"),
    "code": ("text", "a reason of a canary, as in [events](events.md); an action: the code of the answer"),
    "todo": ("text", "what to do"),
    "fault": ("text", "a failed reconciliation: `manifest`, `cluster`, `metric provider`, `hook` or `flagger`"),
    "severity": ("text", "an alert: `info`, `warn` or `error`"),
    "text": ("text", "an alert: its text; an action: the answer"),
    "attempts": ("number", "an alert: how often flagger tried to send it"),
    "outcome": ("text", "an alert that was dropped: the outcome, as in `flagger_alerts_total`"),
    "receiver": ("text", "an alert: its receiver"),
    "error": ("text", "the error of another system, or the class of an exception"),
    "exception": ("text", "a fault of flagger: the traceback"),
    "stack": ("text", "a request that failed in flagger's own server: the traceback without data of the request"),
    "hook": ("text", "the name of an event webhook"),
    "dropped": ("number", "events that a slow event webhook did not get"),
    "count": ("number", "Events that were not written before the end"),
    "identity": ("text", "the holder of the Lease"),
    "flags": ("list of texts", "flags without effect"),
    "version": ("text", "the first line: the version"),
    "revision": ("text", "the first line: the commit of the image; an action: the revision that was meant"),
    "apiServer": ("text", "the first line: scheme, host and port of the API server"),
    "meshProvider": ("text", "the first line: `-mesh-provider`"),
    "metricsServer": ("text", "the first line: scheme, host and port of `-metrics-server`"),
    "namespace": ("text", "the first line: the watched namespace, or `all namespaces`"),
    "leaderElection": ("boolean", "the first line: `-enable-leader-election`"),
    "port": ("number", "the first line: `-port`"),
    "logLevel": ("text", "the first line: `-log-level`"),
    "address": ("text", "load tester, first line: its URL"),
    "callers": ("text", "load tester, first line: which clients may call"),
    "peer": ("text", "load tester, a refused caller: its address"),
    "path": ("text", "load tester, a refused caller: the path of its request"),
    "cause": ("text", "load tester, a refused caller: what the API server said"),
    "audit": ("boolean", "an action: always true"),
    "name": ("text", "an action: the name of the CanaryAction"),
    "uid": ("text", "an action: its uid"),
    "action": ("text", "an action: `pause`, `promote`, `promote-full` and so on"),
    "by": ("text", "an action: who asked for it"),
    "via": ("text", "an action: what created it, such as `cli`"),
    "reason": ("text", "an action: why"),
    "result": ("text", "an action: `Done`, `Refused` or `Expired`"),
    "at": ("text", "an action: when flagger answered it"),
    "output": ("text", "load tester: the output of a command"),
}
"""The fields of log lines: their types and the lines that have them. Documented in docs/observability.md."""

_ZAP = {"warning": "warn", "critical": "fatal"}
"""structlog's level names that zap, the reference's logger, spells differently."""


_CALLER = structlog.processors.CallsiteParameterAdder(
    {structlog.processors.CallsiteParameter.PATHNAME, structlog.processors.CallsiteParameter.LINENO}
)


class Patient:
    """A stream that drops a line instead of raising: a full disk must not stop a release."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0

    def write(self, text: str) -> int:
        """Write; drop the text on an error."""
        try:
            return self._stream.write(text)
        except OSError:
            self.lost += 1
            return 0

    def flush(self) -> None:
        """Flush; ignore errors."""
        try:
            self._stream.flush()
        except OSError:
            self.lost += 1


def shown(text: str) -> str:
    """A text with its control characters escaped: it stays on one line and cannot control a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _one_line(_: Any, __: str, line: Any) -> Any:
    """Escape the message of a readable line. The renderer escapes the other values itself."""
    return {**line, "event": shown(str(line.get("event", "")))}


def _filled(_: Any, __: str, line: Any) -> Any:
    """Drop fields without a value."""
    return {key: value for key, value in line.items() if value is not None and value != ""}


def _as_zap(logger: Any, method: str, line: Any) -> Any:
    """A line with zap's keys in zap's order: level, ts, caller, msg, then the fields with a value."""
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
    """The process's logger. Bind `canary` for lines about a canary."""
    return structlog.get_logger()
