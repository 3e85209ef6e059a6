"""What `flagger migrate` reports, as data: a finding says what becomes of one setting or of one Canary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a setting or a Canary, the worst first."""

    REFUSED = "refused"
    """flagger does not accept it. You must change it."""
    RELEASED = "released"
    """A release starts, starts again from weight 0, or goes on that a user paused."""
    UNKNOWN = "unknown"
    """It could not be read, so nothing can be said."""
    CHANGED = "changed"
    """It has another effect, flagger writes objects that Flagger did not write, or it goes with a change of yours."""
    IGNORED = "ignored"
    """flagger accepts it, and it has no effect."""
    SAME = "same"
    """Nothing changes."""


STOPS = frozenset({Fate.REFUSED, Fate.RELEASED, Fate.UNKNOWN})
"""With one of these, the exit status is 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`about`: a setting, such as `-threadiness`, or a Canary, as `name.namespace`."""

    fate: Fate
    about: str
    text: str


def text(findings: Iterable[Finding]) -> Iterator[str]:
    """A line for each finding, the worst first."""
    order = list(Fate)
    for each in sorted(findings, key=lambda one: (order.index(one.fate), one.about)):
        yield f"{each.fate:8} {each.about}: {each.text}"


def as_json(findings: Iterable[Finding]) -> Iterator[str]:
    """One JSON list."""
    yield json.dumps([asdict(each) for each in findings], indent=2)
