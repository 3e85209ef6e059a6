"""The scheduler: binds a pod to the node with the fewest pods of all nodes that match its node selector.

Pure; `manager` runs it. It ignores capacity.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.objects import Obj, Patch, ref_of

from .cache import View
from .daemonset import fits
from .manager import Controller
from .outcome import NOTHING, Outcome, Said
from .pods import condition


def look(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Bind one pod of a view, or report why that is impossible."""
    pod = view.get("Pod", namespace, name)
    if pod is None or pod["metadata"].get("deletionTimestamp") or pod["spec"].get("nodeName"):
        return NOTHING
    nodes = [node for node in view.all("Node") if fits(pod, node) and not (node.get("spec") or {}).get("unschedulable")]
    if nodes:
        names = (node["metadata"]["name"] for node in nodes)
        chosen = min(names, key=lambda node: (view.count("Pod", "node", node), node))
        return Outcome((Patch(ref_of(pod), {"spec": {"nodeName": chosen}}),))
    return _unschedulable(pod, len(view.all("Node")))


def _unschedulable(pod: Obj, nodes: int) -> Outcome:
    known = condition(pod, "PodScheduled")
    if known is not None and known["status"] == "False":
        return NOTHING
    message = f"0/{nodes} nodes are available: {nodes} node(s) didn't match Pod's node affinity/selector."
    entry = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = Patch(ref_of(pod), {"status": {"phase": "Pending", "conditions": [entry]}}, subresource="status")
    return Outcome((status,), said=(Said(pod, "Warning", "FailedScheduling", message),))


def _unbound(_: View, pod: Obj) -> Iterable[tuple[str, str]]:
    if pod["spec"].get("nodeName"):
        return ()
    return ((pod["metadata"]["namespace"], pod["metadata"]["name"]),)


def _all_unbound(view: View, _: Obj) -> Iterable[tuple[str, str]]:
    return [(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in view.by("Pod", "node", "")]


CONTROLLER = Controller("scheduler", {"Pod": _unbound, "Node": _all_unbound}, look)
