"""Facts about the world that the pure rooms exchange: readiness, routes, problems, capabilities.

Made by `workloads`, `routing` and `operator`; read by `core`. Nothing here is an object of Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Whose doing a problem is; every text that a user reads says it."""

    MANIFEST = "manifest"
    CLUSTER = "cluster"
    PROVIDER = "metric provider"
    HOOK = "hook"
    US = "flagger"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a release from moving.

    `text` is the sentence shown (an event text of the reference where it has one); `todo` says what to do next;
    `path` is where in the manifest, such as `spec.analysis.metrics[1].thresholdRange`. `passes_by` is the time (seconds
    since the epoch) until which others may be counted on to mend it: waited for so long, and told of only then.
    """

    fault: Fault
    text: str
    todo: str = ""
    path: str = ""
    passes_by: float | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a workload runs what it was told to.

    `text` is the reason it is not ready (docs: readiness). `retriable` is false once a deadline has passed.
    `look_again` is the time (seconds since the epoch) at which a waiting workload would run out of time. `settling`:
    its controller has not even looked at the last change, so there is nothing to tell yet. `undated`: it is ready, and
    nobody says since when.
    """

    ready: bool
    text: str = ""
    retriable: bool = True
    look_again: float | None = None
    settling: bool = False
    undated: bool = False


READY = Readiness(ready=True)


@dataclass(frozen=True, slots=True)
class Route:
    """How traffic is split, in percent; `primary + canary == 100`.

    `mirrored`: all live traffic goes to the primary and a copy of it to the canary.
    """

    primary: int
    canary: int
    mirrored: bool = False


ALL_PRIMARY = Route(100, 0)
ALL_CANARY = Route(0, 100)


@dataclass(frozen=True, slots=True)
class Managed:
    """Who wrote last to what: the field manager's name and the object's. Both empty when nobody but us is known."""

    by: str = ""
    what: str = ""

    @property
    def named(self) -> bool:
        """Whether it is known who."""
        return bool(self.by)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a traffic provider can do.

    `weights`: split by percent. `ab`: by header or cookie. `mirror`: copy requests of a blue/green release, and
    `mirror_steps` those of a weighted one. `affinity`: cookies that keep visitors. `ports`: route several ports alike.
    `testers`: pin some requests to the canary beside weights. `adopt`: patch weights of a route of the user's own.
    """

    weights: bool = True
    ab: bool = False
    mirror: bool = False
    mirror_steps: bool = False
    affinity: bool = False
    ports: bool = False
    testers: bool = False
    adopt: bool = False
