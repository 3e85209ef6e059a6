"""Views of a running scenario: JSON lines, plain lines, or a live display in a terminal.

A view receives the records of `play`. Only the live view imports `rich`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

BAR_MIN, BAR_MAX = 6, 40
WIDTH_MAX = 110
FRAME_COLUMNS, FRAME_LINES = 4, 4
"""Lines for the frame, between its parts, and below it for the cursor."""

LABEL_COLUMNS = 10
EVENTS_MAX = 8
MOVED_POINTS = 25
"""Percentage points. At a hundred requests a second, smaller changes are noise."""

Record = Mapping[str, Any]


class View(Protocol):
    """Displays records; a context manager around the run."""

    def __enter__(self) -> View:
        """Begin."""

    def __exit__(self, *exc: object) -> None:
        """End."""

    def show(self, record: Record) -> None:
        """Show one record."""


class JsonLines:
    """One JSON object per line."""

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def show(self, record: Record) -> None:
        """Print it as it is."""
        print(json.dumps(record), flush=True)


class Lines(JsonLines):
    """Plain lines. Skips records that repeat the line before."""

    def __init__(self) -> None:
        self._place: tuple[Any, ...] = ()
        self._waits = ""
        self._traffic: Record | None = None
        self._weight: int | None = None

    def __enter__(self) -> Lines:
        return self

    def show(self, record: Record) -> None:
        """Print the lines of a record."""
        for text in self._lines(record):
            print(f"{record['t']:7.1f}s  {text}" if "t" in record else text, flush=True)

    def _lines(self, record: Record) -> Iterator[str]:
        match record["kind"]:
            case "status":
                yield from self._status(record)
            case "traffic":
                # The second in which the weight changed has traffic of both weights.
                settled, self._weight = record["weight"] == self._weight, record["weight"]
                if settled and moved(self._traffic, record):
                    self._traffic = record
                    yield line(record)
            case _:
                yield line(record)

    def _status(self, record: Record) -> Iterator[str]:
        place = tuple(record[key] for key in ("phase", "weight", "iterations", "failed"))
        if place != self._place:
            self._place = place
            yield line(record)
        if record["reason"] and record["reason"] != self._waits:
            self._waits = record["reason"]
            yield f"waits    {self._waits}"


def moved(before: Record | None, now: Record) -> bool:
    """Whether to print traffic again: the weight changed, requests failed, or shares changed more than noise."""
    if before is None or before["weight"] != now["weight"] or (now["failed"] and not before["failed"]):
        return True
    shares = before["visitors"]
    return any(abs(share - shares.get(name, 0)) >= MOVED_POINTS for name, share in now["visitors"].items())


def line(record: Record) -> str:
    """A record as a line."""
    match record["kind"]:
        case "event" if "revision" in record:
            return f"--- release {record['revision']}: {record['message']}"
        case "event":
            return f"{record['type']:<8} {record['message']}"
        case "check":
            return f"check    {check(record)}"
        case "traffic":
            return f"traffic  {traffic(record)}"
        case "status":
            counts = [f"{key} {record[key]}" for key in ("weight", "iterations") if record[key]]
            counts += [f"failed checks {record['failed']}"] if record["failed"] else []
            return f"status   {', '.join([record['phase'] or 'New', *counts])}"
        case "summary":
            return "\n".join(summary(record["releases"]))
        case "dashboard":
            return f"The dashboard of this sandbox: {record['address']}"
        case "open":
            return f"The sandbox stays until Ctrl-C, with its dashboard: {record['address']}"
    return ""


def check(record: Record) -> str:
    """A check with its value and limits."""
    mark = "passed" if record["passed"] else "FAILED"
    if record.get("closed"):
        state = "does not request a rollback" if record["hook"] == "rollback" else "closed, waiting for approval"
        return f"{record['name']} ({record['hook']}) {state}"
    if "hook" in record:
        return f"{record['name']} ({record['hook']}) {mark} {record['text']}".rstrip()
    unit = f" {record['unit']}".rstrip()
    sides = (("min", "≥"), ("max", "≤"))
    limits = [f"{sign} {record[side]:g}{unit}" for side, sign in sides if record[side] is not None]
    value = record["text"] if record["value"] is None else f"{record['value']:.2f}{unit}"
    return f"{record['name']} {value} ({', '.join(limits)}) {mark}"


def traffic(record: Record) -> str:
    """Requests of the last second, and the canary's share of them."""
    shares = ", ".join(f"{name} {share:g} %" for name, share in record["visitors"].items())
    return f"{record['total']} requests, {record['failed']} failed; answered by the canary: {shares}"


def summary(releases: Sequence[Record]) -> list[str]:
    """The summary."""
    lines = [""]
    for release in releases:
        right = release["outcome"] == release["expected"]
        mark = "✓" if right else f"✗ (expected {release['expected']})"
        counts = "{total} requests, {failed} failed, {canary} by the canary".format(**release["requests"])
        outcome = "Failed, as expected," if right and release["outcome"] == "Failed" else release["outcome"]
        lines.append(f"{mark} {release['revision']}: {outcome} after {release['seconds']:g} s; {counts}")
        for share in release["shares"]:
            lines.append("    at weight {weight:>3}: {percent:g} % of {requests} requests".format(**share))
    return lines


class Picture:
    """A live display of the release: phase, weight, checks, reason to wait, traffic, and the last events."""

    def __init__(self, name: str, about: str, console: Console | None = None) -> None:
        self._title, self._about = name, about
        self._console = console or Console()
        self._release: Record = {}
        self._status: Record = {"phase": "", "weight": 0, "failed": 0, "iterations": 0, "reason": ""}
        self._traffic: Record | None = None
        self._checks: dict[str, Record | None] = {}
        self._events: deque[Record] = deque(maxlen=EVENTS_MAX)
        self._live = Live(self.render(), console=self._console, refresh_per_second=8)

    def __enter__(self) -> Picture:
        self._live.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, record: Record) -> None:
        """Update the display with a record."""
        match record["kind"]:
            case "event" if "revision" in record:
                self._release = record
                # Keep the rows, so that the display does not jump, and clear the values of the last release.
                self._checks = dict.fromkeys(self._checks)
            case "status":
                self._status = record
            case "traffic":
                self._traffic = record
            case "check":
                self._checks[record["name"]] = record
            case "event":
                self._events.append(record)
            case "summary":
                # Leave the display on the screen and print the summary below it.
                self._live.update(self.render(), refresh=True)
                self._live.stop()
                self._live.console.print("\n".join(summary(record["releases"])))
                return
            case "dashboard" | "open":
                self._live.console.print(line(record), soft_wrap=True)
                return
        self._live.update(self.render())

    def render(self) -> RenderableType:
        """The display for the terminal's width and height; drops the oldest events if it is too high."""
        width = min(WIDTH_MAX, self._console.width)
        rows = self._rows(width)
        options = self._console.options.update(width=width - FRAME_COLUMNS)
        taken = len(self._console.render_lines(rows, options)) + FRAME_LINES
        events = Table.grid(padding=(0, 2))
        for record in self._fitting(self._console.height - taken, options):
            events.add_row(*_event(record))
        return Panel(Group(rows, Text(""), events), title=self._title, width=width)

    def _rows(self, width: int) -> Table:
        """Everything but the events."""
        status, groups = self._status, (self._traffic or {}).get("visitors", {})
        bar = bar_columns(width, groups)
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="bold", width=LABEL_COLUMNS)
        rows.add_column()
        rows.add_row("story", Text(self._about))
        rows.add_row("release", Text(self._release.get("message", "the first version is being installed")))
        rows.add_row("phase", self._phase())
        rows.add_row("weight", _bar(status["weight"], "cyan", bar))
        if status["iterations"]:
            rows.add_row("iteration", str(status["iterations"]))
        rows.add_row("waits", Text(status["reason"]))
        for check_name, record in self._checks.items():
            rows.add_row("check", _checked(check_name, record))
        for name, share in groups.items():
            rows.add_row("visitors", Text.assemble(_bar(share, "magenta", bar), f"  {name}"))
        if self._traffic:
            rows.add_row("", f"{self._traffic['total']} requests in the last second, {self._traffic['failed']} failed")
        return rows

    def _phase(self) -> Text:
        """The phase, with a note when the scenario expects the failure."""
        phase = self._status["phase"]
        expected = phase == "Failed" == self._release.get("expected")
        style = "green" if expected else _COLOURS.get(phase, "cyan")
        return Text(f"{phase}, as expected" if expected else phase or "New", style=style)

    def _fitting(self, lines: int, options: ConsoleOptions) -> Sequence[Record]:
        """The last events that fit into `lines`, oldest first."""
        fitting: deque[Record] = deque()
        for record in reversed(self._events):
            row = Table.grid(padding=(0, 2))
            row.add_row(*_event(record))
            lines -= len(self._console.render_lines(row, options))
            if lines < 0:
                break
            fitting.appendleft(record)
        return list(fitting)


def _checked(name: str, record: Record | None) -> Text:
    if record is None:
        return Text(f"{name} not checked yet", style="dim")
    return Text(check(record), style=_style(record))


def _event(record: Record) -> tuple[str, Text]:
    style = "yellow" if record["type"] == "Warning" else ""
    return f"{record['t']:3.0f}s", Text(record["message"], style=style)


def _style(record: Record) -> str:
    """The colour of a check: a closed gate is not a failure."""
    return "green" if record["passed"] else "yellow" if record.get("closed") else "red"


def bar_columns(width: int, names: Iterable[str]) -> int:
    """The columns of a bar in a display of this width, next to its percentage and the longest name."""
    room = width - FRAME_COLUMNS - LABEL_COLUMNS - len("   100.0 %") - max((len(name) + 2 for name in names), default=0)
    return max(BAR_MIN, min(BAR_MAX, room))


def _bar(percent: float, style: str, columns: int) -> Text:
    full = round(percent / 100 * columns)
    return Text.assemble(("█" * full, style), ("░" * (columns - full), "dim"), f" {percent:g} %")


_COLOURS = {"Succeeded": "green", "Failed": "red", "Waiting": "yellow", "WaitingPromotion": "yellow"}
