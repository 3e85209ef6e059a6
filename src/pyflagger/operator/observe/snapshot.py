"""What a look sees of a workload: what it is, its size, and of its status only whether, and why not, it is ready.

Worked out by `operator.observe` at each look, and again for each change of a target or primary: most of what pods do
changes no fact, and then there is nothing to look at.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflagger.api.facts import READY, Readiness
from pyflagger.objects import Obj
from pyflagger.operator.observe.compiled import CompiledCanary
from pyflagger.operator.observe.memo import Memo
from pyflagger.workloads import autoscalers
from pyflagger.workloads.base import Live, Workload

ROLLOUTS = "deployment.kubernetes.io/revision"
"""Where the controller of Deployments counts rollouts: an annotation that says no more than the status does."""


class Snapshot(NamedTuple):
    """All that there is to see of a target (`role` canary) or primary that is there."""

    content: object
    size: object
    readiness: Readiness


NO_WORKLOAD = Snapshot("", None, READY)
"""What is not there."""


def snapshot(
    compiled: CompiledCanary, kind: Workload, role: str, obj: Obj, live: Live, now: float, memo: Memo
) -> Snapshot:
    """What is to be seen at `now`; a primary has the least pods that its autoscaler gives it, or it is not ready."""
    found = kind.readiness(compiled.canary, obj, role, now, live)
    if role == "primary" and found.ready and compiled.primary_autoscaler is not None:
        found = autoscalers.floor(compiled.canary, obj, live[compiled.primary_autoscaler], now)
    return Snapshot(
        memo.of(f"content of {role}", (compiled.target, compiled.primary, obj), lambda: content(compiled, obj)),
        size(obj),
        found,
    )


def version_of(obj: Obj | None) -> object:
    """What two states of an object differ in."""
    return obj["metadata"].get("resourceVersion") if obj else ""


def content(compiled: CompiledCanary, workload: Obj | None) -> object:
    """What a workload is, apart from its size and from pods that come and go, which change its status alone.

    A kind that keeps both versions in one object tells in its status which they are.
    """
    if workload is None or compiled.primary == compiled.target or "generation" not in workload["metadata"]:
        return version_of(workload)
    meta, spec = workload["metadata"], workload.get("spec") or {}
    names = tuple(name for name in spec if name != "replicas")
    notes = tuple((name, text) for name, text in (meta.get("annotations") or {}).items() if name != ROLLOUTS)
    told = (meta.get(name) for name in ("uid", "labels", "ownerReferences"))
    return names, *map(spec.get, names), notes, *told


def size(workload: Obj | None) -> int | None:
    """How many pods it is told to run, where its spec says so."""
    return (workload.get("spec") or {}).get("replicas") if workload else None
