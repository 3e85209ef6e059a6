"""`make recording`: play `flagger demo` and write what its terminal showed as a moving picture, docs/assets/demo.svg.

The demo runs for real, with `--json`. Its records then go to the view of the terminal one by one, and the pictures in
which something changed become frames of one SVG. It has no script and no font of its own, so it moves on GitHub too.
Readers who prefer less motion see the last frame.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style

from pyflagger.cli.demo.scenario import load
from pyflagger.cli.demo.views import Picture, summary

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "assets" / "demo.svg"
SCENARIO = "nginx-canary"
COLUMNS, LINES = 92, 29
CELL, LINE, MARGIN, BAR = 8.4, 18, 16, 34
"""Pixels: the width of a character, the height of a line, the margin, and the bar of the window."""

FRAME_SECONDS, LAST_SECONDS = 1.4, 9.0
COLOURS = {"green": "#5dd389", "red": "#ff6b6b", "yellow": "#ffd43b", "cyan": "#67d4e6", "magenta": "#c792ea"}
PLAIN, DIM, BACK = "#d6deeb", "#5c6b80", "#0d1724"
LETTERS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"

Line = list[Segment]


def played() -> list[dict[str, Any]]:
    """The records of the demo, played now. Raises CalledProcessError if a release does not end as it should."""
    command = [sys.executable, "-m", "pyflagger.cli.main", "demo", SCENARIO, "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in told.splitlines()]


def frames(records: Iterable[dict[str, Any]]) -> Iterator[list[Line]]:
    """The screen after each change that a viewer would notice: a phase, a step, a failed check, the end."""
    console = Console(width=COLUMNS, height=LINES - 1, force_terminal=True, file=io.StringIO())
    picture = Picture(SCENARIO, load(SCENARIO).about, console)
    status, place = {}, None
    for record in records:
        if record["kind"] == "summary":
            yield screen(console, picture.render(), *summary(record["releases"]))
        picture.show(record) if record["kind"] != "summary" else None
        if record["kind"] == "status":
            status = record
        now = tuple(status.get(key) for key in ("phase", "weight", "failed"))
        if record["kind"] == "traffic" and now != place:
            place = now
            yield screen(console, picture.render())


def screen(console: Console, *parts: RenderableType) -> list[Line]:
    """What a terminal with a prompt shows of these parts."""
    prompt = console.render_lines(f"[green]$[/] flagger demo {SCENARIO}", pad=False)
    lines = [line for part in parts for line in console.render_lines(part, pad=False)]
    return [*prompt, *lines[1 - LINES :]]


def drawn(lines: Sequence[Line]) -> str:
    """The text of one frame."""
    return "".join(text for at, line in enumerate(lines) for text in _line(line, BAR + (at + 1) * LINE))


def _line(line: Line, y: int) -> Iterator[str]:
    x = 0
    for segment in line:
        text = segment.text
        if text.strip():
            width = len(text) * CELL
            yield (
                f'<text x="{MARGIN + x * CELL:g}" y="{y}" textLength="{width:g}"{_look(segment.style or Style())}>'
                f"{escape(text).replace(' ', '&#160;')}</text>"
            )
        x += segment.cell_length


def _look(style: Style) -> str:
    name = style.color.name if style.color else ""
    fill = DIM if style.dim else COLOURS.get(name, PLAIN)
    return f' fill="{fill}"' + (' font-weight="bold"' if style.bold else "")


def moving(screens: Sequence[str]) -> str:
    """One SVG in which each screen is shown for its time, again and again."""
    total = FRAME_SECONDS * (len(screens) - 1) + LAST_SECONDS
    width, height = MARGIN * 2 + COLUMNS * CELL, BAR + (LINES + 1) * LINE
    rules, groups = [], []
    for at, text in enumerate(screens):
        begin, end = at * FRAME_SECONDS / total * 100, (at + 1) * FRAME_SECONDS / total * 100
        last = at == len(screens) - 1
        after = "" if last else f"{end:.3f}%{{opacity:0}}"
        shown = f"{begin:.3f}%{{opacity:1}}"
        before = f"0%{{opacity:0}}{begin - 0.001:.3f}%{{opacity:0}}" if at else ""
        rules.append(
            f"@keyframes f{at}{{{before}{shown}{after}}}#f{at}{{animation:f{at} {total:g}s step-end infinite}}"
        )
        groups.append(f'<g id="f{at}" class="{"last" if last else "frame"}">{text}</g>')
    dots = "".join(f'<circle cx="{18 + 18 * at}" cy="18" r="5.5" fill="{DIM}"/>' for at in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">'
        f"<title>flagger demo: a good release is promoted, a bad one is rolled back</title>"
        f"<style>text{{font:14px {LETTERS};white-space:pre}}.frame{{opacity:0}}{''.join(rules)}"
        "@media (prefers-reduced-motion:reduce){g{animation:none!important}}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>{dots}{"".join(groups)}</svg>\n'
    )


def main() -> None:
    """Play and write."""
    PICTURE.write_text(moving([drawn(lines) for lines in frames(played())]))


if __name__ == "__main__":
    main()
