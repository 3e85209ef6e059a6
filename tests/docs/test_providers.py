"""The page of traffic providers is that of the routers and of the file about what they were held to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.shown import Claim, updated

from docs.providers import EVERYWHERE, GRADES, NAMES, SHOWN, held, page, shown, unable, unnamed
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
    """A reason for what was shown on no real control plane, and for what is not possible."""
    said = held()[name]
    assert any(provider == name for provider, _ in shown()) != ("why" in said)
    assert bool(unable(PROVIDERS[name].capabilities)) == ("not" in said)


def test_nothing_is_shown_but_by_a_test_that_says_so() -> None:
    """Every line of the record is said by a test that is there; what never passed is not in it."""
    heard = subprocess.run([sys.executable, "-m", "e2e.shown"], cwd=ROOT, capture_output=True, text=True)
    assert heard.returncode == 0, heard.stdout + heard.stderr
    said = {tuple(claim) for claim in json.loads(heard.stdout.splitlines()[-1])}
    recorded = {tuple(claim) for claim in json.loads(SHOWN.read_text())}
    assert recorded - said == set(), "a test is gone, or says something else"


def test_what_is_shown_is_of_a_provider_and_an_ability_that_it_has() -> None:
    """A claim for what a provider cannot do would be a mistake."""
    for (provider, ability), grades in shown().items():
        assert ability in EVERYWHERE or getattr(PROVIDERS[provider].capabilities, ability), (provider, ability)
        assert grades.keys() <= set(GRADES)


RECORD = [Claim("p", "weights", "real traffic", "e2e/a.py::good"), Claim("p", "ab", "real traffic", "e2e/b.py::other")]


@pytest.mark.parametrize(
    "said, outcomes, left",
    [
        ({}, {}, RECORD),
        ({"e2e/a.py::good": RECORD[:1]}, {"e2e/a.py::good": True}, RECORD),
        ({"e2e/a.py::good": RECORD[:1]}, {"e2e/a.py::good": False}, RECORD[1:]),
        ({"e2e/a.py::good": RECORD[:1]}, {}, RECORD),
        ({"e2e/a.py::good": []}, {"e2e/a.py::good": True}, RECORD[1:]),
        ({"e2e/a.py::new": []}, {}, RECORD[1:]),
        ({"e2e/c.py::new": [Claim("q", "ab", "real traffic", "e2e/c.py::new")]}, {"e2e/c.py::new": False}, RECORD),
    ],
    ids=["nothing ran", "passed", "failed", "left out", "says nothing any more", "gone", "a new one failed"],
)
def test_the_record_after_a_run(said: dict[str, list[Claim]], outcomes: dict[str, bool], left: list[Claim]) -> None:
    """Only what ran changes, and what is gone goes."""
    assert updated(RECORD, said, outcomes) == sorted(left)
