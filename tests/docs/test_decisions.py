"""Decision records: each has a number of its own, a date, a status, and says what it was decided for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RECORDS = sorted((Path(__file__).resolve().parents[2] / "docs" / "decisions").glob("*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_is_whole(record: Path) -> None:
    """Date and status below the title; context, decision and consequences."""
    text = record.read_text()
    assert re.match(r"# .+\n\nDate: \d{4}-\d\d-\d\d\. Status: (accepted|superseded by \d{4})\.\n", text)
    headings = re.findall(r"^## (.+)", text, re.MULTILINE)
    assert [name for name in ("Context", "Decision", "Consequences") if name not in headings] == []


def test_numbers_are_unique_and_the_first_ones_without_gaps() -> None:
    """0001 to 0013 are all there; later ones may be on their way."""
    numbers = [int(record.name[:4]) for record in RECORDS]
    assert len({*numbers}) == len(numbers)
    assert numbers[:13] == [*range(1, 14)]
