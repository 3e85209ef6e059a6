"""The rows of both sides, and the page `docs/parity.md`.

A row is `y` (the same), `p` (accepted, with another effect or none) or `n` (refused, or not there). Each row that is
not `y` has its reason in `reasons.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from parity import Names, ours, reference

PAGE = Path(__file__).resolve().parents[2] / "docs" / "parity.md"
REASONS = Path(__file__).parent / "reasons.yaml"

HEAD = """\
# Compared with Flagger

A program compares the names in Flagger's source and in this project: the flags, variables and Helm values, the metrics
at `/metrics`, the fields of the kinds, the providers and the requests to the load tester. It writes this page, and a
test fails when our side of it is out of date. What these names do is compared by the tests of each part.

The page was written for Flagger {version}. `cd tests && ../.venv/bin/python -m parity TREE` reads a source tree of
another version.
"""

ROWS = """\

## What differs

`p`: flagger accepts it, with another effect or none. `n`: flagger refuses it, or does not have it.

| of | name | | reason |
|---|---|---|---|
"""


class Row(NamedTuple):
    """One name of Flagger."""

    group: str
    name: str
    state: str
    reason: str


class Unexplained(Exception):
    """Rows without a reason, or reasons without a row; the text names them."""


Reasons = Mapping[str, Mapping[str, tuple[str, str]]]
"""State and reason of each row that is not equal, by group and name. A name may end with `*`."""


def reasons() -> Reasons:
    """What `reasons.yaml` says."""
    found: Reasons = yaml.safe_load(REASONS.read_text())
    return found


def rows(theirs: Names, mine: Names, unused: Names, why: Reasons) -> list[Row]:
    """Every name of Flagger. Raises Unexplained."""
    found, used = [], set()
    for group, names in theirs.items():
        for name in sorted(names):
            key = next((one for one in why.get(group, {}) if _fits(one, name)), "")
            used.add((group, key))
            state, reason = why[group][key] if key else ("y", "")
            known = any(_fits(one, name) or one.startswith(f"{name}.") for one in mine[group])
            equal = known and name not in unused.get(group, ())
            found.append(Row(group, name, state if reason or equal else "n", reason))
    missing = [f"{row.group} {row.name}" for row in found if row.state != "y" and not row.reason]
    stale = [f"{group} {key}" for group, told in why.items() for key in told if (group, key) not in used]
    if missing or stale:
        raise Unexplained(f"rows without a reason: {missing}; reasons without a row: {stale}")
    return found


def _fits(pattern: str, name: str) -> bool:
    return pattern == name or (pattern.endswith("*") and name.startswith(pattern[:-1]))


def page() -> str:
    """The text of `docs/parity.md`."""
    version, theirs = reference.kept()
    found = rows(theirs, ours.names(), ours.without_effect(), reasons())
    counts = ["", "| | of Flagger | equal | `p` | `n` | ours alone |", "|---|---|---|---|---|---|"]
    mine = ours.names()
    for group in theirs:
        states = [row.state for row in found if row.group == group]
        alone = len([name for name in mine[group] if not name.endswith(".*") and name not in theirs[group]])
        counts.append(f"| {group} | {len(states)} | {' | '.join(str(states.count(s)) for s in 'ypn')} | {alone} |")
    rest = [f"| {row.group} | `{row.name}` | {row.state} | {row.reason} |" for row in found if row.state != "y"]
    return HEAD.format(version=version) + "\n".join(counts) + "\n" + ROWS + "\n".join(rest) + "\n"
