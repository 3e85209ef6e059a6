"""docs/routing-faults.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

from docs.named import absent

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"R": "tests/routing", "S": "tests/stage", "C": "tests/core"}
ROWS = [line for line in (ROOT / "docs" / "routing-faults.md").read_text().splitlines() if line.startswith("| ")][1:]
NAMED = sorted({test for row in ROWS for test in re.findall(r"`([^`]+::[^`]+)`", row)})


def test_every_row_names_a_test() -> None:
    """A claim without one is no claim."""
    assert len(ROWS) > 30
    assert [row for row in ROWS if "::" not in row.split("|")[3]] == []


def test_what_is_named_is_there() -> None:
    """By file and function."""
    assert absent(whole(test) for test in NAMED) == []


def whole(test: str) -> str:
    """With the folder for its letter."""
    place, _, name = test.partition("::")
    letter, _, file = place.partition("/")
    return f"{FOLDERS[letter]}/{file}::{name}" if letter in FOLDERS else test
