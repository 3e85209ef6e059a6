"""A snapshot of a workload: its content, its size, and its readiness with the reason.

`operator.observe` takes one in each observation, and one for each change of a target or primary. Most changes of pods
change no fact, and then no reconciliation is needed.
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
"""The annotation in which the Deployment controller counts rollouts. It adds nothing to the status."""


class Snapshot(NamedTuple):
    """The observed state of an existing target (`role` canary) or primary."""

    content: object
    size: object
    readiness: Readiness


NO_WORKLOAD = Snapshot("", None, READY)
"""The snapshot of a missing workload."""


def snapshot(
    compiled: CompiledCanary, kind: Workload, role: str, obj: Obj, live: Live, now: float, memo: Memo
) -> Snapshot:
    """The snapshot at `now`. A primary with fewer pods than its autoscaler's minimum is not ready."""
    found = kind.readiness(compiled.canary, obj, role, now, live)
    if role == "primary" and found.ready and compiled.primary_autoscaler is not None:
        found = autoscalers.floor(compiled.canary, obj, live[compiled.primary_autoscaler], now)
    return Snapshot(
        memo.of(f"content of {role}", (compiled.target, compiled.primary, obj), lambda: content(compiled, obj)),
        size(obj),
        found,
    )


def version_of(obj: Obj | None) -> object:
    """A value that differs between two states of an object."""
    return obj["metadata"].get("resourceVersion") if obj else ""


def content(compiled: CompiledCanary, workload: Obj | None) -> object:
    """The content of a workload, without its size and without the status, which changes with every pod.

    For a kind with both versions in one object, this includes the status, which names them.
    """
    if workload is None or compiled.primary == compiled.target or "generation" not in workload["metadata"]:
        return version_of(workload)
    meta, spec = workload["metadata"], workload.get("spec") or {}
    names = tuple(name for name in spec if name != "replicas")
    notes = tuple((name, text) for name, text in (meta.get("annotations") or {}).items() if name != ROLLOUTS)
    told = (meta.get(name) for name in ("uid", "labels", "ownerReferences"))
    return names, *map(spec.get, names), notes, *told


def size(workload: Obj | None) -> int | None:
    """The replicas in the spec of a workload, or None."""
    return (workload.get("spec") or {}).get("replicas") if workload else None
