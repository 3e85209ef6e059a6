"""The page of traffic providers is that of the routers and of the file about what they were held to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.providers import GRADES, NAMES, held, page, unable, unnamed
from pyflagger.routing.registry import PROVIDERS

ROOT = Path(__file__).resolve().parents[2]


def without_sizes(text: str) -> str:
    """Lines of modules change with every edit and are as of the last `make docs`."""
    return re.sub(r"^(\| `\w+\.py` \|) \d+ ", r"\1 N ", text, flags=re.MULTILINE)


def test_the_page_is_what_is_written_of_the_routers() -> None:
    """Otherwise: `make docs`."""
    assert without_sizes((ROOT / "docs" / "providers.md").read_text()) == without_sizes(page())


def test_every_provider_is_spoken_of() -> None:
    """In the file, and every capability in a column."""
    assert sorted(held()) == NAMES
    assert unnamed() == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_has_a_ground(name: str) -> None:
    """A known grade, a test that is there and is of the kind that the grade needs, a reason for what is not."""
    said = held()[name]
    assert said["held"] in GRADES
    assert (said["held"] == "objects only") == ("why" in said)
    assert (ROOT / said["by"]).exists()
    assert said["by"].startswith("tests/" if said["held"] == "objects only" else "e2e/")
    assert bool(unable(PROVIDERS[name].capabilities)) == ("not" in said)
