"""docs/contributing/notifiers.md has a row for each type, and names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

from docs.named import absent
from pyflagger.alerts.registry import known_types

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "contributing" / "notifiers.md").read_text()
ROWS = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")]
CELLS = {row[0]: row[1:] for row in ROWS}
NAMED = sorted(set(re.findall(r"`(\w+)::(\w+)`", PAGE)))
FILES = {"W": "tests/operator/test_alert_wire.py", "smtp": "tests/operator/test_smtp.py"}
WITHOUT_TEST = {("discord", 3), ("webhook", 3)}
"""Services that report no error in a good status."""


def test_every_type_has_a_row() -> None:
    """A new type needs tests."""
    assert [kind for kind in known_types() if f"`{kind}`" not in CELLS] == []


def test_every_cell_names_a_test() -> None:
    """Of the answers and of the errors."""
    rows = {kind: CELLS[f"`{kind}`"] for kind in known_types()}
    gaps = {(kind, at) for kind, cells in rows.items() for at, cell in enumerate(cells) if "::" not in cell}
    assert gaps == WITHOUT_TEST and all(len(cells) == 4 for cells in rows.values())
    errors = ROWS[ROWS.index(["error", "test", "outcome", "`email`"]) + 1 :]
    assert len(errors) >= 13 and all("::" in row[1] and len(row) == 4 for row in errors)


def test_what_is_named_is_there() -> None:
    """By file and function."""
    assert len(NAMED) > 15
    assert absent(f"{FILES.get(file, f'tests/alerts/test_{file}.py')}::{name}" for file, name in NAMED) == []
