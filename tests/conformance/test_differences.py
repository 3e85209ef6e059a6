"""The list of differences between the two servers: real cases, with reasons, told in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

HERE = Path(__file__).parent
DIFFERENCES = yaml.safe_load((HERE / "differences.yaml").read_text())


def test_each_difference_is_a_case_with_a_reason() -> None:
    """A case that is gone leaves the list, too."""
    cases = set(re.findall(r"def (test_\w+)", "".join(path.read_text() for path in HERE.glob("test_*.py"))))
    for entry in DIFFERENCES:
        assert entry["case"].partition("[")[0] in cases
        assert len(entry["reason"].split()) > 4


def test_each_difference_is_told() -> None:
    """Readers of the docs learn where the sandbox is not like a cluster."""
    page = (HERE.parents[1] / "docs" / "e2e.md").read_text()
    assert not [entry["case"] for entry in DIFFERENCES if f"`{entry['case']}`" not in page]
