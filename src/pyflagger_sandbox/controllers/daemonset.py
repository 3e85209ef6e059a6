"""The DaemonSet controller: runs a pod on every node that matches the template's node selector.

Pure: reads a DaemonSet, its pods and the nodes. `manager` runs it. It creates pods that are already bound to a node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pyflagger.objects import Create, Delete, Obj, Patch, Write, merge_diff, ref_of

from . import pods as pod_facts
from .cache import View
from .manager import Controller
from .outcome import NOTHING, Outcome, soonest
from .owned import claim, itself, owner_key
from .rollout import resolve
from .templates import new_pod, template_hash

HASH_LABEL = "controller-revision-hash"


def reconcile(daemonset: Obj, pods: Sequence[Obj], nodes: Sequence[Obj], now: float) -> Outcome:
    """The writes for a DaemonSet that owns these pods. `now` is in seconds since the epoch."""
    if daemonset["metadata"].get("deletionTimestamp"):
        return NOTHING
    wanted = sorted(node["metadata"]["name"] for node in nodes if fits(daemonset["spec"]["template"], node))
    placed = _by_node(pods)
    writes: list[Write] = [Create(_pod(daemonset, node)) for node in wanted if node not in placed]
    surplus = [pod for node, there in placed.items() for pod in (there if node not in wanted else there[1:])]
    kept = {node: there[0] for node, there in placed.items() if node in wanted}
    surplus += _outdated(daemonset, kept, len(wanted), now)
    writes += [Delete(ref_of(pod)) for pod in surplus if pod_facts.active(pod)]
    status, wait = _status(daemonset, kept, len(wanted), len(placed.keys() - set(wanted)), now)
    change = merge_diff(daemonset.get("status") or {}, status)
    if change:
        writes.append(Patch(ref_of(daemonset), {"status": change}, subresource="status"))
    return Outcome(tuple(writes), wait)


def fits(template: Obj, node: Obj) -> bool:
    """Whether the node has every label of the template's node selector."""
    selector = (template.get("spec") or {}).get("nodeSelector") or {}
    return bool(selector.items() <= (node["metadata"].get("labels") or {}).items())


def _by_node(pods: Iterable[Obj]) -> dict[str, list[Obj]]:
    """Pods by node, current ones first. A terminating pod blocks its node until it is gone."""
    placed: dict[str, list[Obj]] = defaultdict(list)
    for pod in sorted(pods, key=lambda pod: (not pod_facts.active(pod), pod["metadata"]["name"])):
        placed[pod["spec"].get("nodeName", "")].append(pod)
    return dict(placed)


def _pod(daemonset: Obj, node: str) -> Obj:
    template = daemonset["spec"]["template"]
    return new_pod(daemonset, template, node=node, labels={HASH_LABEL: template_hash(template)})


def _updated(daemonset: Obj, pod: Obj) -> bool:
    mark = (pod["metadata"].get("labels") or {}).get(HASH_LABEL)
    return bool(mark == template_hash(daemonset["spec"]["template"]))


def _outdated(daemonset: Obj, kept: dict[str, Obj], wanted: int, now: float) -> list[Obj]:
    """Old pods to replace now: all unavailable ones, and others while enough stay available."""
    strategy = daemonset["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return []
    allowed = resolve((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), wanted, up=True)
    useful = {node: _available(daemonset, pod, now) == 0 and pod_facts.active(pod) for node, pod in kept.items()}
    old = [node for node, pod in sorted(kept.items()) if not _updated(daemonset, pod) and pod_facts.active(pod)]
    room = max(0, allowed - (wanted - sum(useful.values())))
    useless = [node for node in old if not useful[node]]
    return [kept[node] for node in useless + [node for node in old if useful[node]][:room]]


def _available(daemonset: Obj, pod: Obj, now: float) -> float | None:
    return pod_facts.available_in(pod, int(daemonset["spec"].get("minReadySeconds") or 0), now)


def _status(daemonset: Obj, kept: dict[str, Obj], wanted: int, misplaced: int, now: float) -> tuple[Obj, float | None]:
    waits = [_available(daemonset, pod, now) for pod in kept.values()]
    available = sum(wait == 0 for wait in waits)
    always = {
        "currentNumberScheduled": len(kept),
        "desiredNumberScheduled": wanted,
        "numberMisscheduled": misplaced,
        "numberReady": sum(wait is not None for wait in waits),
    }
    sparse = {
        "updatedNumberScheduled": sum(_updated(daemonset, pod) for pod in kept.values()),
        "numberAvailable": available,
        "numberUnavailable": wanted - available,
        "observedGeneration": daemonset["metadata"].get("generation", 0),
    }
    return always | {name: value for name, value in sparse.items() if value}, soonest(*(wait for wait in waits if wait))


def look(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Reconcile one DaemonSet of a view. Adopts matching pods without an owner."""
    daemonset = view.get("DaemonSet", namespace, name)
    if daemonset is None:
        return NOTHING
    owned, adoptions = claim(view, daemonset, "Pod")
    return Outcome(tuple(adoptions)) if adoptions else reconcile(daemonset, owned, view.all("Node"), now)


def _every(view: View, _: Obj) -> Iterable[tuple[str, str]]:
    return [(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in view.all("DaemonSet")]


CONTROLLER = Controller("daemonset", {"DaemonSet": itself, "Pod": owner_key("DaemonSet"), "Node": _every}, look)
