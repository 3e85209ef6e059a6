"""What the tests show of each traffic provider: said by the tests, recorded by the runs that they passed in.

A test says `@pytest.mark.shows(PROVIDER, ABILITY, …)` of what it counts real requests for; the tests of schemas show
what their parameters say. `make e2e` writes what passed into `tests/docs/shown.json` and takes out what failed; the
page of providers is made of that record. `python -m e2e.shown` prints what is said, without running anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRAFFIC, SCHEMA = "real traffic", "real schema"


class Claim(NamedTuple):
    """One test shows one ability of one provider."""

    provider: str
    ability: str
    grade: str
    test: str
    """Its id in pytest's words."""


def claims(item: pytest.Item) -> Iterator[Claim]:
    """What a test says that it shows."""
    for mark in item.iter_markers("shows"):
        provider, *abilities = mark.args
        for ability in abilities:
            yield Claim(provider, ability, TRAFFIC, item.nodeid)
    shapes = getattr(getattr(item, "module", None), "SHAPES", {})
    given = getattr(getattr(item, "callspec", None), "params", {})
    if given.get("shape") in shapes:
        yield Claim(given["provider"], shapes[given["shape"]][0], SCHEMA, item.nodeid)


def updated(old: Iterable[Claim], said: Mapping[str, Collection[Claim]], outcomes: Mapping[str, bool]) -> list[Claim]:
    """The record after a run: of tests that ran, what they show if they passed; nothing of tests that are gone.

    `said` is what the tests say that were found, by their ids; `outcomes` of those that ran, whether they passed.
    """
    files = {test.partition("::")[0] for test in said}
    kept = {
        claim
        for claim in old
        if claim.test not in outcomes and (claim.test in said or claim.test.partition("::")[0] not in files)
    }
    shown = {claim for test, passed in outcomes.items() if passed for claim in said.get(test, ())}
    return sorted(kept | shown)


def read(path: Path) -> list[Claim]:
    """A record; empty where there is none."""
    return [Claim(*entry) for entry in json.loads(path.read_text())] if path.exists() else []


def write(path: Path, record: Iterable[Claim]) -> None:
    """Write a record, a line a claim."""
    path.write_text("[\n" + ",\n".join(f"  {json.dumps(claim)}" for claim in record) + "\n]\n")


class Recorder:
    """A plugin of pytest that writes the record at the end of a run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: dict[str, tuple[Claim, ...]] = {}
        self._outcomes: dict[str, bool] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Before any selection, so that tests which are left out are not taken for gone."""
        self._said[item.nodeid] = tuple(claims(item))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test passed if nothing of it failed and it was not skipped."""
        self._outcomes[report.nodeid] = self._outcomes.get(report.nodeid, True) and report.passed

    def pytest_sessionfinish(self) -> None:
        """Write it, if there is anything to say."""
        if self._outcomes:
            write(self._path, updated(read(self._path), self._said, self._outcomes))


class Listener:
    """A plugin of pytest that hears what is said."""

    def __init__(self) -> None:
        self.said: list[Claim] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Of every test."""
        self.said += claims(item)


def main() -> int:
    """Print what the tests of this folder say."""
    listener = Listener()
    status = pytest.main(["--collect-only", "-qq", "--no-summary", str(Path(__file__).parent)], plugins=[listener])
    sys.stdout.write(json.dumps(sorted(listener.said)) + "\n")
    return int(status)


if __name__ == "__main__":
    raise SystemExit(main())
