"""docs/contributing/metric-providers.md has a row for each type, and names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

from docs.named import absent
from pyflagger.metrics.registry import known_types

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "contributing" / "metric-providers.md").read_text()
CELLS = {
    row[0]: row[1:] for row in ([cell.strip() for cell in line[2:-2].split(" | ")] for line in PAGE.splitlines()[10:])
}
NAMED = sorted(set(re.findall(r"`(\w+)::(\w+)`", PAGE)))
KNOWN_GAPS = {("keptn", 2)}


def test_every_type_has_a_row() -> None:
    """A new type needs tests."""
    assert [kind for kind in known_types() if f"`{kind}`" not in CELLS] == []


def test_every_cell_names_a_test() -> None:
    """Of the answers and of the errors."""
    rows = {kind: CELLS[f"`{kind}`"] for kind in known_types()}
    gaps = {(kind, at) for kind, cells in rows.items() for at, cell in enumerate(cells) if "::" not in cell}
    assert gaps == KNOWN_GAPS
    assert all(len(cells) == 5 for cells in rows.values())


def test_what_is_named_is_there() -> None:
    """By file and function."""
    assert len(NAMED) > 40
    assert absent(whole(*test) for test in NAMED) == []


def whole(file: str, function: str) -> str:
    """The place of a test."""
    if file == "W":
        return f"tests/operator/test_provider_wire.py::{function}"
    return f"tests/metrics/test_{file}.py::{function}"
