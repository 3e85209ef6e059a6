"""docs/routing-faults.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"R": "tests/routing", "S": "tests/stage", "C": "tests/core"}
ROWS = [line for line in (ROOT / "docs" / "routing-faults.md").read_text().splitlines() if line.startswith("| ")][1:]
NAMED = sorted({test for row in ROWS for test in re.findall(r"`([^`]+::[^`]+)`", row)})


def test_every_row_names_a_test() -> None:
    """A claim without one is no claim."""
    assert len(ROWS) > 30
    assert [row for row in ROWS if "::" not in row.split("|")[3]] == []


@pytest.mark.parametrize("test", NAMED)
def test_it_is_there(test: str) -> None:
    """By file and name."""
    place, _, name = test.partition("::")
    folder, _, file = place.partition("/")
    path = ROOT / (f"{FOLDERS[folder]}/{file}" if folder in FOLDERS else place)
    assert f"def {name}(" in path.read_text(), f"{path} has no {name}"
