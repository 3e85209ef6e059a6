"""The rows of a run as a table for people: printed, and put into a document between its two marks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from e2e.faults.scenario import Row

HEAD = (
    "fault",
    "release",
    "end",
    "failed visits",
    "weights set",
    "steps skipped",
    "steps doubled",
    "writers in turn",
    "seconds to recover",
    "release took, s",
    "noted",
)
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Markdown."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|---" * len(HEAD) + "|"
    yield from cells(rows)


def cells(rows: Sequence[Row]) -> Iterator[str]:
    """A line a row."""
    for row in rows:
        cells = (
            row.fault,
            row.kind,
            row.end if row.end == row.wanted else f"**{row.end}** (wanted: {row.wanted})",
            " ".join([f"{len(row.failed)} of {row.visits}", *row.failed[:3]]),
            " ".join(map(str, row.steps.weights)),
            str(row.steps.skipped),
            str(row.steps.doubled),
            str(len(row.turns)),
            "" if row.recovered is None or row.fault == "none" else f"{row.recovered:.1f}",
            f"{row.took:.0f}",
            row.notes,
        )
        yield f"| {' | '.join(cells)} |"


def write(rows: Sequence[Row], document: str, say: Callable[[str], None]) -> None:
    """Print, and fill the document in if one is named."""
    found = list(lines(rows))
    for line in found:
        say(line)
    if document:
        path = Path(document)
        before, rest = path.read_text().split(BEGIN)
        path.write_text("\n".join([before + BEGIN, *found, END + rest.split(END)[1]]))
