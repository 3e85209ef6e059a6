"""What people see of canaries, as frozen values. `documents` turns them into JSON.

`fleet` and `picture` make them, the command line and the dashboard show them. A field that cannot be known is None.
Weights are in percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


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

HEALTHY = (Verdict.IDLE, Verdict.MOVING)
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


# One canary ---------------------------------------------------------------------------------------------------------


class Missing(NamedTuple):
    """A part that could not be read: what, and the right that lacks. `text`: the API server's words."""

    what: str
    verb: str
    resource: str
    namespace: str
    text: str


class Target(NamedTuple):
    """The workload that users change. Hashes of its revision now, of the last run, and of the last promotion."""

    api_version: str
    kind: str
    name: str
    revision: str | None
    applied: str | None
    promoted: str | None


class Running(NamedTuple):
    """The images of a container in the primary and the canary; None if unknown."""

    container: str
    primary: str | None
    canary: str | None

    @property
    def changed(self) -> bool:
        """Whether the versions differ."""
        return self.primary is not None and self.canary is not None and self.primary != self.canary


class RouteObject(NamedTuple):
    """An object that routes traffic, and the host names in it."""

    kind: str
    name: str
    hosts: tuple[str, ...]


class Traffic(NamedTuple):
    """The split of traffic. `source` says whose word it is: the live route, or the status of the Canary."""

    primary: int
    canary: int
    mirrored: bool
    source: str
    route: RouteObject | None
    rules: tuple[str, ...]


class Pod(NamedTuple):
    """A pod. `ready`: ready containers of all. `state`: ready, starting, failing or ending. `message`: why."""

    name: str
    ready: str
    restarts: int
    state: str
    message: str
    node: str | None
    since: Time | None


class PodSet(NamedTuple):
    """The pods of one revision of a workload. `current`: that of its pod template now."""

    name: str
    revision: str
    current: bool
    pods: tuple[Pod, ...]


class Workload(NamedTuple):
    """The target or the primary with its pods. Counts are None if its kind has none."""

    role: str
    kind: str
    name: str
    desired: int | None
    ready: int | None
    updated: int | None
    autoscaler: str | None
    exists: bool
    since: Time | None
    sets: tuple[PodSet, ...]


class ServiceView(NamedTuple):
    """A Service of the canary: its role (apex, primary, canary) and ports."""

    role: str
    name: str
    exists: bool
    ports: tuple[int, ...]


class StepView(NamedTuple):
    """A step of the plan. `state`: done, now or next."""

    what: str
    state: str


class Check(NamedTuple):
    """A metric check with its limits, and its result in the last round. `verdict` is None before the first round.

    `primary`: the value of the primary in the same window. `evidence`: that of a comparison with the primary, which
    then judges in place of the limits; 34.0 means 34:1.
    """

    name: str
    source: str
    query: str | None
    window: str
    min: float | None
    max: float | None
    unit: str
    value: float | None
    primary: float | None
    verdict: str | None
    dry_run: bool
    text: str
    evidence: float | None = None


class Hook(NamedTuple):
    """A webhook and its result in the last round."""

    name: str
    type: str
    url: str
    verdict: str | None
    text: str


class GateView(NamedTuple):
    """A webhook that holds a release. `state`: open or closed by a request, and `by` whom; None if its URL decides.

    `verdict` and `text`: its answer in the last round. `deadline`: how long it may hold a revision, and `default` what
    then follows: open or abort; empty without one. `until`: when, once it has held this revision.
    """

    name: str
    type: str
    state: str | None
    by: str
    verdict: str | None
    text: str
    deadline: str = ""
    default: str = ""
    until: Time | None = None


class ActionView(NamedTuple):
    """A request to steer a release. `state`: Pending, Done, Refused or Expired; `text`: the answer of the operator.

    `expires` is None once the operator has decided.
    """

    name: str
    action: str
    by: str
    reason: str
    via: str
    at: Time | None
    state: str
    code: str
    text: str
    decided: Time | None
    expires: Time | None


class Because(NamedTuple):
    """What a canary waits for, with the advice and whose fault it is."""

    code: str
    text: str
    todo: str
    fault: str | None
    since: Time | None


class EventView(NamedTuple):
    """An Event of one of the canary's objects."""

    at: Time | None
    type: str
    object: str
    reason: str
    text: str
    times: int


class ReleaseView(NamedTuple):
    """A past release, or the one under way, as its record says. `threshold`: failed checks that end it."""

    number: int
    outcome: str
    revision: str
    cause: str
    images: tuple[Image, ...]
    changes: tuple[str, ...]
    weight: int
    failed: int
    threshold: int
    started: Time | None
    finished: Time | None
    took: str
    code: str
    text: str
    todo: str


@dataclass(frozen=True, slots=True)
class RecordView:
    """The whole record of a release. The parts are as they are stored."""

    release: ReleaseView
    origin: int
    plan: Mapping[str, Any]
    checks: tuple[Mapping[str, Any], ...]
    hooks: tuple[Mapping[str, Any], ...]
    rounds: tuple[Mapping[str, Any], ...]
    skipped: int
    waits: tuple[Mapping[str, Any], ...]
    actions: tuple[Mapping[str, Any], ...]
    template: Mapping[str, Any] | None
    template_omitted: str


class OperatorView(NamedTuple):
    """The operator that runs the canary. `settings`: known or assumed. `foreign`: it is Flagger, not flagger."""

    version: str | None
    identity: str | None
    settings: str
    foreign: bool


@dataclass(frozen=True, slots=True)
class CanaryView:
    """Everything that people see of one canary."""

    canary: FleetRow
    target: Target
    images: tuple[Running, ...]
    traffic: Traffic | None
    workloads: tuple[Workload, ...]
    services: tuple[ServiceView, ...]
    steps: tuple[StepView, ...]
    checks: tuple[Check, ...]
    hooks: tuple[Hook, ...]
    wait: Because | None
    next: Next | None
    hold: Hold | None
    events: tuple[EventView, ...]
    releases: tuple[ReleaseView, ...]
    operator: OperatorView
    missing: tuple[Missing, ...]


# Why ----------------------------------------------------------------------------------------------------------------


class Cause(NamedTuple):
    """One cause why a canary stands. `evidence`: what was seen. `todo` and `commands`: what ends it.

    `fault`: whose it is, None for normal progress.
    """

    code: str
    text: str
    fault: str | None = None
    evidence: tuple[str, ...] = ()
    todo: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a canary stands where it stands. The first cause is the one to remove first; a healthy canary has none.

    `agreement`: same (the operator's word and the live objects say the same), operator-behind, partly-seen or foreign.
    """

    name: str
    namespace: str
    verdict: Verdict
    healthy: bool
    headline: str
    causes: tuple[Cause, ...]
    since: Time | None
    next: str
    agreement: str
