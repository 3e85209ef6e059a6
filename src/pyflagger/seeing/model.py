"""What people see of canaries, as frozen values. `documents` turns them into JSON.

`fleet` and `picture` make them, the command line and the dashboard show them. A field that cannot be known is None.
Weights are in percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Time(float):
    """Seconds since the epoch. JSON has it in RFC 3339."""


class Verdict(StrEnum):
    """The state of a canary in one word, in the order in which a fleet shows them: what needs a person comes first."""

    BLOCKED = "blocked"
    SILENT = "silent"
    FAILING = "failing"
    WAITING = "waiting"
    PAUSED = "paused"
    MOVING = "moving"
    FAILED = "failed"
    IDLE = "idle"


ICONS: Mapping[Verdict, str] = {
    Verdict.BLOCKED: "⊘",
    Verdict.SILENT: "?",
    Verdict.FAILING: "▼",
    Verdict.WAITING: "◷",
    Verdict.PAUSED: "Ⅱ",
    Verdict.MOVING: "▶",
    Verdict.FAILED: "✖",
    Verdict.IDLE: "●",
}
"""The icon of each verdict. It never stands without the word."""

RANK: Mapping[Verdict, int] = {verdict: rank for rank, verdict in enumerate(Verdict)}


class Weight(NamedTuple):
    """The share of the canary, now and at most."""

    canary: int
    max: int


class Step(NamedTuple):
    """How many steps of the plan are done, of how many."""

    at: int
    of: int


class Failed(NamedTuple):
    """Failed checks, and the number that ends the run."""

    checks: int
    threshold: int


class Image(NamedTuple):
    """The image of a container that a release changes. `old`: of the primary; empty texts are unknown."""

    container: str
    old: str
    new: str


class Wait(NamedTuple):
    """What a canary waits for. `code` is that of the reason, such as `canary-not-ready`."""

    code: str
    text: str
    since: Time | None = None


class Hold(NamedTuple):
    """Who paused the release, and until when."""

    by: str
    reason: str = ""
    until: Time | None = None


class Next(NamedTuple):
    """When the operator acts next by itself, and what it does."""

    at: Time
    what: str


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A canary in a list, from its own object alone. `stale`: how many seconds a round is overdue; 0 when it is not.

    `weight` and `step` are None between releases, and `weight` also for strategies without weights.
    """

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    provider: str
    strategy: str
    phase: str
    verdict: Verdict
    weight: Weight | None
    step: Step | None
    failed: Failed | None
    images: tuple[Image, ...]
    release: int | None
    wait: Wait | None
    hold: Hold | None
    next: Next | None
    last_transition: Time | None
    stale: float

    @property
    def order(self) -> tuple[int, str, str]:
        """The sort key of a fleet: the worst verdict first, then namespace and name."""
        return RANK[self.verdict], self.namespace, self.name
