"""Everything that a decision may look at, frozen.

Built by `operator.observe` from the watch cache without an API read, and by tests by hand. `core.decide` is its only
reader. It holds facts, never objects of Kubernetes: rendering is the business of `workloads` and `routing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Managed, Problem, Readiness, Route
from pyflagger.core.memory import Memory, Role

Sync: TypeAlias = Literal["ok", "untidy", "drift", "announced", "missing"] | Problem
"""A generated object: as wanted, to be written, to be created, or impossible to render.

"announced" is a route that names Services that it does not lead to yet, or not any more: it is to be written once
proxies have learned of it.

"untidy" is a Service whose labels and annotations alone are to be written: that leads nobody elsewhere.

Only for the primary's autoscaler does it matter whether it is to be written or to be created: one that is there is
changed during promotion alone, a missing one is created at any time.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """The workload that users change.

    `revision` is the versioned hash of its pod template, `configs` the checksums of the ConfigMaps and Secrets that it
    uses (None: tracking is off). `replicas` is what its spec asks for (None for kinds without replicas).
    `restored_replicas` is the count it gets when it is scaled from zero. `scalable` is false for kinds that have
    nothing to scale (Service); `at_zero` means nothing for them. `unserved` is the port by which visitors reach the
    primary's pods and that the target's lack.
    `most` is what its autoscaler allows (None: it has none). `empty`: no pod of it is available.
    """

    revision: str
    configs: Mapping[str, str] | None
    readiness: Readiness
    at_zero: bool
    restored_replicas: int = 1
    scalable: bool = True
    unserved: Problem | None = None
    replicas: int | None = None
    most: int | None = None
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Primary:
    """The copy that serves users.

    `matches_target`: its template and its copies of configs are what promotion of the target, as it is now, would
    write; true for kinds that have nothing to copy. `at_zero`: it is told to run nothing, and not by an autoscaler.
    `empty`: no pod of it is available.
    `unselected` are labels of the target's selector that its own, which is immutable, does not have.
    `replicas` is what its spec asks for. `keeps` is how many of its pods stay available while it rolls to what the
    target is now; None for kinds that keep all of them.
    """

    readiness: Readiness
    at_zero: bool = False
    empty: bool = False
    matches_target: bool = False
    unselected: tuple[str, ...] = ()
    replicas: int | None = None
    keeps: int | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """The state of each object that we generate. A part that does not apply to a canary is "ok".

    `primary_configs`: the copies that the primary's pods use; "missing" when one was deleted, or is not the canary's,
    and can be restored with the data that were promoted. `degraded` is what is missing and cannot be restored now, with
    which a release goes on.
    `unbound` names the objects of the Canary that the garbage collector does not count as its own: an owner reference
    has the uid of an earlier Canary, or the user handed the object over.
    `autoscaler_edit` names the fields in which the primary's autoscaler differs from what a promotion makes of it, and
    `autoscaler_bounds` those that follow the target's at once between releases. `autoscaler_unpaused`: a pause that the
    primary's inherited is taken away.
    `target_autoscaler_paused` is None where there is none, or none that can be paused. `wanted` has a digest, by
    `decision.Part`, of what is to be written to each of the routes and Services that are not "ok": what somebody undoes
    is the same each time, what follows a source that changes is not. `taken` are the user's objects, by kind and name,
    that the next write to the apex Service or to the routes takes over.
    """

    canary_service: Sync = "ok"
    primary_service: Sync = "ok"
    apex_service: Sync = "ok"
    primary_workload: Sync = "ok"
    primary_autoscaler: Sync = "ok"
    autoscaler_edit: str = ""
    autoscaler_bounds: str = ""
    autoscaler_unpaused: bool = False
    target_autoscaler_paused: bool | None = None
    routing: Sync = "ok"
    finalizer: Sync = "ok"
    primary_configs: Sync = "ok"
    stale_configs: Sync = "ok"
    unbound: tuple[str, ...] = ()
    degraded: tuple[Problem, ...] = ()
    taken: tuple[str, ...] = ()
    wanted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Handed:
    """Objects, by kind and name: those that deletion gives `back` as they were, and those of ours that are `left`.

    `announced`: routes among them name Services that they do not lead to yet, or not any more.
    """

    back: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    announced: bool = False


# Checks and their results -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProbeProviders:
    """Ask every metric provider of the canary whether it is there."""


@dataclass(frozen=True, slots=True)
class CallHook:
    """Call `analysis.webhooks[index]`; `phase` and `checksum` go into its payload."""

    index: int
    phase: str
    checksum: str


@dataclass(frozen=True, slots=True)
class CheckMetric:
    """Judge `analysis.metrics[index]` by its built-in query, its in-line query, or its template."""

    index: int
    source: Literal["builtin", "query", "template"]


@dataclass(frozen=True, slots=True)
class FindManager:
    """Ask the API server who, besides us, wrote last to the routes and Services of the canary."""


@dataclass(frozen=True, slots=True)
class FindTrouble:
    """Ask the API server what keeps the pods of the target (`role` canary) or of the primary from being ready."""

    role: Role


Need: TypeAlias = ProbeProviders | CallHook | CheckMetric | FindManager | FindTrouble


@dataclass(frozen=True, slots=True)
class Passed:
    """A hook answered 2xx, or the probe found every provider."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A hook answered something else, or did not answer; a provider is away. `text` is the error shown.

    `erred`: it said neither yes nor no, but gave no answer, or one that is none of a gate (5xx, a redirect, 404).
    """

    text: str
    erred: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """A finite number: percent for success rate, milliseconds for duration, as it came for the rest."""

    value: float


@dataclass(frozen=True, slots=True)
class NoData:
    """The provider answered, with nothing usable. `text` is its side of the story, `cause` our guess at why."""

    text: str = "no values found"
    cause: str = ""


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """The check itself failed. The problem's text is the whole event text but for a leading prefix by source.

    Texts about a template, about building a client and about fetching an object get no prefix (docs: metrics).
    """

    problem: Problem


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the pods say of themselves, such as `2 pods: container app is in CrashLoopBackOff`; empty: nothing."""

    text: str = ""


Result: TypeAlias = Passed | Refused | Value | NoData | QueryFailed | Managed | Trouble


# The whole ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Situation:
    """One canary and its world at the time `now` (seconds since the epoch), by which situations are not compared.

    `interval` is the effective analysis interval in seconds. `problems` are those of the manifest or of its
    combination with the provider: while there are any, nothing is changed. `rivalled`: one of them is that an older
    Canary claims the same objects, so nothing is told about the state of these. `foreign` names the objects of
    other owners that have names which flagger derives: nothing is written while there are any. `unread` says why
    some kind of object cannot be read: what it would show counts as not there, and is not told of. `unjudged` says what
    a release could not be judged by: none is begun meanwhile, and all else goes on. `target`,
    `primary` and `route` are a Problem when they cannot be read, and `primary` is None before it exists. `provider`
    is the effective provider name. `deleting` is set once the object has a deletion timestamp and our finalizer.
    For provider `kubernetes` the route is what the apex Service selects. `reassert_zero`: scale a target that was
    scaled up while idle back to zero. `refused` is why the API server did not let us do the last action that it
    refused, until it has let us. `route_waiting` says why the data plane does not serve the route as it is
    yet. `left` are objects of the Canary's own that its spec does not name any more, by kind and name. `handed` is
    what deletion will do to the objects that visitors come by.
    """

    canary: Canary
    now: float = field(compare=False)
    interval: float
    provider: str
    capabilities: Capabilities
    target: Target | Problem
    primary: Primary | Problem | None
    route: Route | Problem | None
    generated: Generated = field(default_factory=Generated)
    problems: tuple[Problem, ...] = ()
    rivalled: bool = False
    foreign: tuple[Problem, ...] = ()
    unread: tuple[Problem, ...] = ()
    unjudged: tuple[Problem, ...] = ()
    evidence: Mapping[Need, Result] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    refused: Problem | None = None
    deleting: bool = False
    reassert_zero: bool = False
    route_waiting: str = ""
    left: tuple[str, ...] = ()
    handed: Handed = field(default_factory=Handed)
