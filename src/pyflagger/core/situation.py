"""All facts that a decision may use, frozen.

`operator.observe` builds it from the watch cache without an API read, and `core.decide` is the only reader. It has
facts and no Kubernetes objects, because `workloads` and `routing` render objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyflagger.api.actions import CanaryAction
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Managed, Problem, Readiness, Route
from pyflagger.api.published import ReleaseImage
from pyflagger.core.betting import Unit
from pyflagger.core.memory import Memory, Role

Sync: TypeAlias = Literal["ok", "untidy", "drift", "announced", "missing"] | Problem
"""The state of a generated object: in sync, drifted, missing, or impossible to render.

"announced": a route names Services at weight 0, and flagger writes it again once proxies know them.

"untidy": only labels and annotations of a Service differ, which does not affect visitors.

The difference between drifted and missing only matters for the primary's autoscaler. flagger creates a missing one at
any time, but changes an existing one only in a promotion.
"""


@dataclass(frozen=True, slots=True)
class Target:
    """The workload that users change.

    `revision`: the versioned hash of its pod template. `configs`: the checksums of the ConfigMaps and Secrets that it
    uses (None: tracking is off). `replicas`: the count in its spec (None for kinds without replicas).
    `restored_replicas`: the count that it gets when flagger scales it from zero. `scalable`: false for kinds without
    replicas (Service), where `at_zero` has no meaning. `unserved`: a port of the Services that the primary's pods
    serve and the target's do not. `most`: the maximum of its autoscaler (None without one). `empty`: it has no
    available pod.
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
    """The copy of the target that serves users.

    `matches_target`: a promotion of the current target would not change its template and its copies of configs; true
    for kinds without anything to copy. `at_zero`: its spec asks for zero pods, and no autoscaler set that. `empty`: it
    has no available pod. `serving_since`: when it last got enough available pods, in seconds since the epoch; None if
    its status does not say so. `unselected`: the labels of the target's selector that its own selector, which is
    immutable, lacks. `replicas`: the count in its spec. `keeps`: how many pods stay available while it rolls to the
    current target; None for kinds that keep all of them.
    """

    readiness: Readiness
    at_zero: bool = False
    empty: bool = False
    serving_since: float | None = None
    matches_target: bool = False
    unselected: tuple[str, ...] = ()
    replicas: int | None = None
    keeps: int | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """The state of each generated object. A part that does not apply to a canary is "ok".

    `primary_configs`: the copies that the primary's pods use. "missing": a copy was deleted or lost its owner, and
    flagger can restore it with the promoted data. `degraded`: missing objects that flagger cannot restore, and that do
    not stop a release.

    `unbound`: objects of the Canary without a valid owner reference. It has the uid of an earlier Canary, or the user
    handed the object over.

    `autoscaler_edit`: the fields of the primary's autoscaler that a promotion changes. `autoscaler_bounds`: the bounds
    that flagger copies immediately between releases. `autoscaler_unpaused`: flagger removes an inherited pause.
    `target_autoscaler_paused`: None without an autoscaler that can be paused.

    `wanted`: a digest of the next write, by `decision.Part`, for each route and Service that is not "ok". It stays the
    same if another controller undoes the write, and changes with its source. `taken`: the user's objects, by kind and
    name, that the next write to the apex Service or to the routes takes over.
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
    """Objects, by kind and name: `back`: the user's objects that deletion restores. `left`: generated objects that
    stay.

    `announced`: a route among them names Services at weight 0.
    """

    back: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    announced: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """`keep`: how many records of releases a canary keeps; 0: flagger writes none. `last`: the highest number of a
    record that is known to exist."""

    keep: int = 0
    last: int = 0


# Checks and their results -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProbeProviders:
    """Probe every metric provider of the canary."""


@dataclass(frozen=True, slots=True)
class CallHook:
    """Call `analysis.webhooks[index]`. `phase` and `checksum` go into its payload."""

    index: int
    phase: str
    checksum: str


@dataclass(frozen=True, slots=True)
class CheckMetric:
    """Query `analysis.metrics[index]` with its built-in query, its inline query, or its template.

    `primary`: about the primary in place of the canary.
    """

    index: int
    source: Literal["builtin", "query", "template"]
    primary: bool = False


@dataclass(frozen=True, slots=True)
class CompareMetric:
    """Count the requests of both sides for `analysis.metrics[index]`, from `since` (seconds since the epoch) until now.

    `bound`: the bound of the bucket above which a request is slow; empty before it is chosen, and for success rates.
    """

    index: int
    since: float
    bound: str = ""


@dataclass(frozen=True, slots=True)
class FindManager:
    """Ask the API server for the last foreign writer of the canary's routes and Services."""


@dataclass(frozen=True, slots=True)
class FindTrouble:
    """Ask the API server why the pods of the target (`role` canary) or of the primary are not ready."""

    role: Role


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """Read the record of a release, to run its template again."""

    number: int


Need: TypeAlias = ProbeProviders | CallHook | CheckMetric | CompareMetric | FindManager | FindTrouble | ReadRecord


@dataclass(frozen=True, slots=True)
class Passed:
    """A hook answered 2xx, or the probe found every provider."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A hook refused or did not answer, or a provider is unreachable. `text`: the error.

    `erred`: the hook did not answer, or its answer is none of a gate (5xx, a redirect, 404).
    """

    text: str
    erred: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """A finite number: percent for success rate, milliseconds for duration, unchanged for other metrics.

    `samples`: how many samples it is about; None if the metric has no minimum. `primary`: the primary's value of the
    same window, if this one does not pass and the provider tells them apart.
    """

    value: float
    samples: float | None = None
    primary: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """The requests of both sides, in units of time. `bound`: as in CompareMetric; `limit`: the same in seconds."""

    units: tuple[Unit, ...] = ()
    bound: str = ""
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class NoData:
    """The provider answered without a usable value. `text`: its answer. `cause`: the likely cause."""

    text: str = "no values found"
    cause: str = ""


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """The query failed. The problem's text is the event text without the prefix for its source.

    Texts about a template, a client or a missing object get no prefix (docs: metrics).
    """

    problem: Problem


@dataclass(frozen=True, slots=True)
class Trouble:
    """The trouble of the pods, such as `2 pods: container app is in CrashLoopBackOff`; empty without one."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a record has: the revision of its template, and the images in which the primary differs from it.

    `code` and `text`: why flagger cannot run the template again. Empty if it can.
    """

    revision: str = ""
    images: tuple[ReleaseImage, ...] = ()
    code: str = ""
    text: str = ""


Result: TypeAlias = Passed | Refused | Value | Counts | NoData | QueryFailed | Managed | Trouble | Recorded


# The whole ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Situation:
    """One canary and its surroundings at the time `now` (seconds since the epoch). Comparisons ignore `now`.

    `interval`: the effective analysis interval in seconds. `provider`: the effective provider name. `deleting`: the
    Canary has a deletion timestamp and flagger's finalizer.

    `target`, `primary` and `route`: a Problem if flagger cannot read them. `primary`: None before it exists. `route`:
    for provider `kubernetes`, the selection of the apex Service. `route_waiting`: why the data plane does not serve the
    route yet.

    `problems`: those of the manifest or of its combination with the provider. flagger changes nothing while there are
    any. `rivalled`: an older Canary claims the same objects, so flagger does not report their state. `foreign`: objects
    of other owners with names that flagger derives. flagger writes nothing while there are any. `unread`: why flagger
    cannot read a kind. Its objects count as missing, and flagger does not report them. `unjudged`: missing metric
    sources, without which no release starts. `refused`: why the API server refused an action, until it allows it.

    `reassert_zero`: scale a target that was scaled up while idle back to zero. `left`: generated objects that the spec
    no longer names, by kind and name. `handed`: the effect of a deletion on the objects that visitors use.
    `images`: those in which target and primary differ, a few at most. `asking`: since when flagger waits for the answer
    to a check; None if it waits for none. `requests`: the pending actions, oldest first.
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
    images: tuple[ReleaseImage, ...] = ()
    history: History = field(default_factory=History)
    asking: float | None = None
    requests: tuple[CanaryAction, ...] = ()
