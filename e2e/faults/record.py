"""What the audit log says of a release: the steps that were taken, who wrote, and whether that was as it should be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from e2e.evidence import epoch
from e2e.faults.releases import INTERVAL, STEPS
from pyflagger.objects import Obj

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
CREDENTIAL = "authentication.kubernetes.io/credential-id"
WRITES = frozenset({"create", "update", "patch", "delete"})
ASIDE = frozenset({"events", "leases"})
HELD_MIN = 0.9
"""Of an interval: what a step is held at least."""
ALL = 100


@dataclass(frozen=True)
class ObservedWrite:
    """One write of an operator that was carried out: when (seconds since the epoch), by which credential, on what."""

    at: float
    writer: str
    name: str
    entry: Obj

    @property
    def weight(self) -> int | None:
        """The weight that it set at the ingress, if it is such a write."""
        said = self.entry.get("requestObject") or {}
        text = ((said.get("metadata") or {}).get("annotations") or {}).get(WEIGHT)
        return int(text) if text is not None and self.entry["objectRef"]["resource"] == "ingresses" else None


def written(audited: Iterable[Obj], namespace: str, account: str) -> list[ObservedWrite]:
    """What a service account wrote in a namespace, Events and Leases aside, in the order of the server."""
    found = [
        ObservedWrite(epoch(entry["stageTimestamp"]), _writer(entry), entry["objectRef"].get("name", ""), entry)
        for entry in audited
        if entry["user"]["username"] == account
        and entry["verb"] in WRITES
        and entry.get("objectRef", {}).get("namespace") == namespace
        and entry["objectRef"]["resource"] not in ASIDE
        and entry.get("responseStatus", {}).get("code", 500) < 300
    ]
    return sorted(found, key=lambda write: write.at)


def _writer(entry: Obj) -> str:
    return str((entry["user"].get("extra") or {}).get(CREDENTIAL, [""])[0])


def turns(writes: Sequence[ObservedWrite]) -> list[str]:
    """The writers in the order of their turns. Two who write in turn would show up twice."""
    found: list[str] = []
    for write in writes:
        if not found or found[-1] != write.writer:
            found.append(write.writer)
    return found


@dataclass(frozen=True)
class Steps:
    """The weights that were set, and how many steps were left out or taken twice, too early among them."""

    weights: tuple[int, ...]
    skipped: int
    doubled: int


def steps(writes: Iterable[ObservedWrite], name: str, interval: float = INTERVAL) -> Steps:
    """Read one release's steps, planned so many seconds apart, from the writes to its ingress."""
    seen = [(write.at, write.weight) for write in writes if write.name == f"{name}-canary" and write.weight is not None]
    weights = (0, *(weight for _, weight in seen))
    skipped = sum(_left_out(before, after) for before, after in pairwise(weights))
    again = sum(before == after > 0 for before, after in pairwise(weights))
    early = sum(
        0 < first < second and then - at < HELD_MIN * interval for (at, first), (then, second) in pairwise(seen)
    )
    return Steps(weights[1:], skipped, again + early)


def _left_out(before: int, after: int) -> int:
    """How many planned steps lie between two weights; all traffic follows the last one."""
    if after <= before:
        return 0
    return sum(before < step < after for step in STEPS)
