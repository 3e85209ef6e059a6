"""Text for terminals: columns, ages, icons with and without Unicode, and colours.

Used by the commands that show canaries. It imports no library for terminals, because `flagger list` starts in half a
second.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import click

from pyflagger.seeing.model import ICONS, Verdict

ASCII: Mapping[Verdict, str] = {
    Verdict.BLOCKED: "!",
    Verdict.SILENT: "?",
    Verdict.FAILING: "v",
    Verdict.WAITING: "o",
    Verdict.PAUSED: "=",
    Verdict.MOVING: ">",
    Verdict.FAILED: "x",
    Verdict.IDLE: "*",
}
COLOURS: Mapping[Verdict, str] = {
    Verdict.BLOCKED: "red",
    Verdict.SILENT: "red",
    Verdict.FAILING: "red",
    Verdict.WAITING: "yellow",
    Verdict.PAUSED: "magenta",
    Verdict.MOVING: "cyan",
    Verdict.FAILED: "red",
    Verdict.IDLE: "green",
}


class Screen(NamedTuple):
    """What the output can show. `width`: columns, None if nothing is cut, as in a pipe."""

    width: int | None = None
    colour: bool = False
    unicode: bool = True


def screen(colour: str = "auto") -> Screen:
    """The screen of this process. `colour`: never, auto or always."""
    terminal = sys.stdout.isatty()
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    width = shutil.get_terminal_size().columns if terminal else None
    unicode = "utf" in (sys.stdout.encoding or "").lower()
    return Screen(width, colour == "always" or (colour == "auto" and terminal and not plain), unicode)


def state(verdict: Verdict, on: Screen) -> str:
    """The verdict with its icon."""
    return f"{(ICONS if on.unicode else ASCII)[verdict]} {verdict}"


def painted(text: str, verdict: Verdict, on: Screen) -> str:
    """The text in the colour of the verdict."""
    return click.style(text, fg=COLOURS[verdict]) if on.colour else text


ASCII_OF = str.maketrans({"→": "->", "…": "...", "·": "-", "≥": ">=", "≤": "<="})


def say(text: str, on: Screen) -> None:
    """Print a line or several. Without UTF-8, characters that ASCII does not have are replaced."""
    if not on.unicode:
        text = text.translate(ASCII_OF).encode("ascii", "replace").decode()
    print(text, flush=True)


def cut(text: str, width: int, on: Screen) -> str:
    """The text in at most so many columns."""
    more = "…" if on.unicode else "..."
    return text if len(text) <= width else text[: max(0, width - len(more))] + more


class Column(NamedTuple):
    """A column of a table. `right`: aligned to the right. `flexible`: cut when the table is too wide."""

    title: str
    right: bool = False
    flexible: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], on: Screen) -> list[list[str]]:
    """The cells of a header and rows, padded to columns. The last cell of a row is not padded on its right."""
    cells = [[column.title for column in columns], *map(list, rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    over = sum(widths) + 2 * (len(widths) - 1) - (on.width or sys.maxsize)
    for at, column in enumerate(columns):
        if column.flexible and over > 0:
            least = max(len(column.title), widths[at] - over)
            over -= widths[at] - least
            widths[at] = least
    return [
        [
            _padded(cut(cell, widths[at], on), widths[at], columns[at], at == len(columns) - 1)
            for at, cell in enumerate(line)
        ]
        for line in cells
    ]


def _padded(text: str, width: int, column: Column, last: bool) -> str:
    return text.rjust(width) if column.right else text if last else text.ljust(width)
