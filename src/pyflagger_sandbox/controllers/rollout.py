"""The next size of each ReplicaSet of a Deployment: surge, unavailability, proportional scaling.

Pure arithmetic on raw objects. Only `deployment` calls it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyflagger.objects import Obj

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a rolling update: pods above and below the desired number."""

    surge: int
    unavailable: int


def desired(obj: Obj) -> int:
    """`spec.replicas`, by default 1."""
    value = obj["spec"].get("replicas")
    return 1 if value is None else int(value)


def reported(replicaset: Obj, figure: str) -> int:
    """A number in a ReplicaSet's status, such as `availableReplicas`."""
    return int((replicaset.get("status") or {}).get(figure) or 0)


def resolve(value: int | str, replicas: int, *, up: bool) -> int:
    """A number or a percentage of `replicas`, rounded up or down. Raises ValueError for anything else."""
    if isinstance(value, str) and value.endswith("%"):
        part = int(value[:-1]) * replicas / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value)


def rolling(deployment: Obj) -> bool:
    """Whether the strategy is RollingUpdate, the default."""
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def bounds(deployment: Obj) -> Bounds:
    """The bounds of a Deployment's update. If both are zero, one pod may be missing, so that it can progress."""
    if not rolling(deployment):
        return Bounds(0, 0)
    update = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    replicas = desired(deployment)
    surge = resolve(update.get("maxSurge", "25%"), replicas, up=True)
    unavailable = resolve(update.get("maxUnavailable", "25%"), replicas, up=False)
    if not surge and not unavailable:
        unavailable = 1
    return Bounds(surge, min(unavailable, replicas))


def first_replicas(deployment: Obj, others: Iterable[Obj]) -> int:
    """The initial size of a new ReplicaSet beside the others."""
    return _grown(deployment, 0, sum(map(desired, others)))


def _grown(deployment: Obj, now: int, total: int) -> int:
    replicas = desired(deployment)
    if not rolling(deployment):
        return replicas
    room = replicas + bounds(deployment).surge - total
    return now + min(room, replicas - now) if room > 0 else now


def grow(deployment: Obj, new: Obj, everything: Sequence[Obj]) -> int:
    """The next size of the new ReplicaSet."""
    now, replicas = desired(new), desired(deployment)
    return replicas if now >= replicas else _grown(deployment, now, sum(map(desired, everything)))


def shrink(deployment: Obj, new: Obj, old: Sequence[Obj]) -> dict[str, int]:
    """The next sizes of the old ReplicaSets that change: first unavailable pods, then surplus pods."""
    limit = desired(deployment) - bounds(deployment).unavailable
    total = sum(map(desired, (*old, new)))
    room = total - limit - (desired(new) - reported(new, "availableReplicas"))
    if room <= 0:
        return {}
    sizes = {replicaset["metadata"]["name"]: desired(replicaset) for replicaset in old}
    before = dict(sizes)
    for replicaset in _oldest_first(old):
        name = replicaset["metadata"]["name"]
        cut = min(room, max(0, sizes[name] - reported(replicaset, "availableReplicas")))
        sizes[name] -= cut
        room -= cut
    spare = sum(reported(replicaset, "availableReplicas") for replicaset in (*old, new)) - limit
    for replicaset in _oldest_first(old):
        name = replicaset["metadata"]["name"]
        cut = min(max(0, spare), sizes[name])
        sizes[name] -= cut
        spare -= cut
    return {name: size for name, size in sizes.items() if size != before[name]}


def _oldest_first(replicasets: Iterable[Obj]) -> list[Obj]:
    return sorted(replicasets, key=lambda rs: (rs["metadata"].get("creationTimestamp") or "", rs["metadata"]["name"]))


def sized(replicasets: Iterable[Obj]) -> list[Obj]:
    """ReplicaSets with at least one desired replica."""
    return [replicaset for replicaset in replicasets if desired(replicaset) > 0]


def rescaled(deployment: Obj, replicasets: Iterable[Obj]) -> bool:
    """Whether the Deployment's size has changed since its ReplicaSets were last scaled."""
    noted = ((rs["metadata"].get("annotations") or {}).get(DESIRED) for rs in sized(replicasets))
    return any(note is not None and note != str(desired(deployment)) for note in noted)


def scale(deployment: Obj, new: Obj | None, old: Sequence[Obj]) -> dict[str, int]:
    """Proportional sizes of all ReplicaSets after the Deployment was scaled, or while it is paused."""
    everything = [*old, *((new,) if new else ())]
    running, replicas = sized(everything), desired(deployment)
    if len(running) <= 1:
        only = running[0] if running else new or (max(old, key=_age) if old else None)
        return {only["metadata"]["name"]: replicas} if only else {}
    if new and desired(new) == replicas and reported(new, "availableReplicas") == replicas:
        return {replicaset["metadata"]["name"]: 0 for replicaset in sized(old)}
    return _proportional(deployment, running) if rolling(deployment) else {}


def _age(replicaset: Obj) -> tuple[str, str]:
    return replicaset["metadata"].get("creationTimestamp") or "", replicaset["metadata"]["name"]


def _proportional(deployment: Obj, running: Sequence[Obj]) -> dict[str, int]:
    """Spread the difference over running ReplicaSets, larger ones first. The largest gets the rounding remainder."""
    replicas = desired(deployment)
    allowed = replicas + bounds(deployment).surge if replicas else 0
    total = sum(map(desired, running))
    to_add = allowed - total
    ordered = sorted(running, key=lambda rs: (-desired(rs), rs["metadata"].get("creationTimestamp") or ""))
    sizes: dict[str, int] = {}
    added = 0
    for replicaset in ordered:
        share = _share(replicaset, replicas, allowed, to_add, to_add - added)
        sizes[replicaset["metadata"]["name"]] = desired(replicaset) + share
        added += share
    largest = ordered[0]["metadata"]["name"]
    sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _share(replicaset: Obj, replicas: int, allowed: int, to_add: int, left: int) -> int:
    if not replicas:
        return -desired(replicaset)
    noted = (replicaset["metadata"].get("annotations") or {}).get(MAX)
    before = int(noted) if noted else allowed
    share = round(desired(replicaset) * allowed / before) - desired(replicaset) if before else 0
    return max(min(share, left, to_add), 0) if to_add > 0 else min(max(share, left, to_add), 0)


def marks(deployment: Obj) -> Mapping[str, str]:
    """The annotations that record the Deployment's size on a ReplicaSet."""
    replicas = desired(deployment)
    return {DESIRED: str(replicas), MAX: str(replicas + bounds(deployment).surge)}
