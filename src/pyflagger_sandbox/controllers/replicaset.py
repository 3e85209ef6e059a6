"""The ReplicaSet controller: keeps the desired number of pods, and reports how many are ready and available.

Pure: reads a ReplicaSet and its pods. `manager` runs it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyflagger.objects import Create, Delete, Obj, Patch, Write, merge_diff, ref_of

from . import pods as pod_facts
from .cache import View
from .manager import Controller
from .outcome import NOTHING, Outcome, soonest
from .owned import claim, itself, owner_key
from .rollout import desired
from .templates import new_pod

BURST = 500


def reconcile(replicaset: Obj, pods: Sequence[Obj], now: float) -> Outcome:
    """The writes for a ReplicaSet that owns these pods. `now` is in seconds since the epoch."""
    if replicaset["metadata"].get("deletionTimestamp"):
        return NOTHING
    alive = [pod for pod in pods if pod_facts.active(pod)]
    missing = desired(replicaset) - len(alive)
    writes: list[Write] = []
    if missing > 0:
        pod = new_pod(replicaset, replicaset["spec"]["template"])
        writes = [Create(pod)] * min(missing, BURST)
    elif missing < 0:
        writes = [Delete(ref_of(pod)) for pod in pod_facts.to_delete(alive, -missing)]
    status, wait = _status(replicaset, alive, now)
    change = merge_diff(replicaset.get("status") or {}, status)
    if change:
        writes.append(Patch(ref_of(replicaset), {"status": change}, subresource="status"))
    return Outcome(tuple(writes), wait)


def _status(replicaset: Obj, alive: Sequence[Obj], now: float) -> tuple[Obj, float | None]:
    """The status, and the seconds until the next pod counts as available."""
    min_ready = int(replicaset["spec"].get("minReadySeconds") or 0)
    waits = [pod_facts.available_in(pod, min_ready, now) for pod in alive]
    labels = ((replicaset["spec"]["template"].get("metadata") or {}).get("labels") or {}).items()
    figures = {
        "replicas": len(alive),
        "fullyLabeledReplicas": sum(labels <= (pod["metadata"].get("labels") or {}).items() for pod in alive),
        "readyReplicas": sum(wait is not None for wait in waits),
        "availableReplicas": sum(wait == 0 for wait in waits),
        "observedGeneration": replicaset["metadata"].get("generation", 0),
    }
    # The API always shows `replicas`, and omits other zeros.
    status = {name: value for name, value in figures.items() if value or name == "replicas"}
    return status, soonest(*(wait for wait in waits if wait))


def look(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Reconcile one ReplicaSet of a view. Adopts matching pods without an owner."""
    replicaset = view.get("ReplicaSet", namespace, name)
    if replicaset is None:
        return NOTHING
    owned, adoptions = claim(view, replicaset, "Pod")
    return Outcome(tuple(adoptions)) if adoptions else reconcile(replicaset, owned, now)


CONTROLLER = Controller("replicaset", {"ReplicaSet": itself, "Pod": owner_key("ReplicaSet")}, look)
