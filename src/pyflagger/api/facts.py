"""Facts about the cluster that the pure packages exchange: readiness, routes, problems, capabilities.

`workloads`, `routing` and `operator` make them, and `core` reads them. They hold no Kubernetes objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pyflagger.api.defaults import SETTLE_SECONDS


class Fault(StrEnum):
    """Whose problem it is. Every text that a user reads names this."""

    MANIFEST = "manifest"
    CLUSTER = "cluster"
    PROVIDER = "metric provider"
    HOOK = "hook"
    US = "flagger"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a release from moving.

    `text` is the sentence that users see: the reference's event text, where it has one. `todo` is the advice. `path` is
    the field in the manifest, such as `spec.analysis.metrics[1].thresholdRange`. `passes_by` is a time in seconds since
    the epoch: another controller is expected to fix the problem by then, and flagger reports it only after that time.
    """

    fault: Fault
    text: str
    todo: str = ""
    path: str = ""
    passes_by: float | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a workload runs its current pod template.

    `text` is the reason why it is not ready (docs: readiness). `retriable` is false once a deadline has passed.
    `look_again` is the time, in seconds since the epoch, at which a waiting workload exceeds its deadline. `settling`:
    its controller has not observed the last change yet, so there is nothing to report. `undated`: it is ready, but its
    status does not show since when.
    """

    ready: bool
    text: str = ""
    retriable: bool = True
    look_again: float | None = None
    settling: bool = False
    undated: bool = False


READY = Readiness(ready=True)


def settled(since: float | None, now: float, text: str) -> Readiness:
    """Ready once proxies had time to learn a change made at `since`; None counts as long ago.

    The time may come from another clock. A time that is far off is ignored.
    """
    if since is None or abs(now - since) >= SETTLE_SECONDS:
        return READY
    return Readiness(False, text, settling=True, look_again=since + SETTLE_SECONDS)


@dataclass(frozen=True, slots=True)
class Route:
    """The traffic split in percent: `primary + canary == 100`.

    `mirrored`: the primary gets all live traffic, and the canary gets a copy of it.
    """

    primary: int
    canary: int
    mirrored: bool = False


ALL_PRIMARY = Route(100, 0)
ALL_CANARY = Route(0, 100)


@dataclass(frozen=True, slots=True)
class Managed:
    """The last foreign writer: its field manager and the object that it wrote. Both are empty if there is none.

    Without a writer, `what` can be a field that the API server does not keep.
    """

    by: str = ""
    what: str = ""

    @property
    def named(self) -> bool:
        """Whether the writer is known."""
        return bool(self.by)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a traffic provider can do.

    `weights`: split by percent. `ab`: split by header or cookie. `mirror`: mirror the requests of a blue/green release.
    `mirror_steps`: mirror those of a weighted release. `affinity`: keep visitors on a version by cookie. `ports`: route
    several ports with the same weights. `testers`: send matching requests to the canary at every weight. `adopt`: patch
    the weights of a route that the user owns.
    """

    weights: bool = True
    ab: bool = False
    mirror: bool = False
    mirror_steps: bool = False
    affinity: bool = False
    ports: bool = False
    testers: bool = False
    adopt: bool = False
