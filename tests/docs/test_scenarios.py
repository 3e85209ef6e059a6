"""The page of scenarios names tests that are there, and says why where something is not played."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from docs.scenarios import HELD, named, page, scenarios

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_what_is_written_of_the_file() -> None:
    """Otherwise: `make docs`."""
    assert (ROOT / "docs" / "scenarios.md").read_text() == page()


def test_every_test_that_is_named_is_there() -> None:
    """With its parameters, as pytest finds it."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", *sorted(set(named()))]
    heard = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert heard.returncode == 0, heard.stdout + heard.stderr


def test_what_was_not_played_has_a_reason() -> None:
    """Each scenario has a grade and a test; one that no traffic was counted for says why."""
    rows = [row for found in scenarios().values() for row in found]
    assert all(row["held"] in HELD and row["tests"] for row in rows)
    assert [row["what"] for row in rows if row["held"] != "traffic" and "lacks" not in row] == []
