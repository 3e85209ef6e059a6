"""Twins of controllers that other projects bring: KEDA's, as far as releases meet them; and the kinds they need."""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.objects import Obj, Patch, ref_of
from pyflagger.sandbox.controllers.cache import View
from pyflagger.sandbox.controllers.client import RESOURCES, Resource
from pyflagger.sandbox.controllers.manager import Controller
from pyflagger.sandbox.controllers.outcome import NOTHING, Outcome
from pyflagger.sandbox.controllers.owned import itself

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(group: str, version: str, kind: str, plural: str) -> Obj:
    """A kind whose spec and status are open."""
    schema = {"type": "object", "properties": {"spec": OPEN, "status": OPEN}}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [served | {"subresources": {"status": {}}}],
        },
    }


SCALED_OBJECTS = definition("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
RESOURCES["ScaledObject"] = Resource("keda.sh/v1alpha1", "scaledobjects")


def scale(view: View, namespace: str, name: str, now: float) -> Outcome:
    """A paused one sets its number; an active one keeps its workload within bounds."""
    scaler = view.get("ScaledObject", namespace, name)
    workload = scaler and view.get("Deployment", namespace, scaler["spec"]["scaleTargetRef"]["name"])
    if scaler is None or workload is None:
        return NOTHING
    fixed = (scaler["metadata"].get("annotations") or {}).get("autoscaling.keda.sh/paused-replicas")
    there, least = workload["spec"].get("replicas", 1), scaler["spec"].get("minReplicaCount") or 0
    wanted = int(fixed) if fixed else min(max(there, least, 1), scaler["spec"].get("maxReplicaCount") or 100)
    if wanted == there:
        return NOTHING
    return Outcome((Patch(ref_of(workload), {"spec": {"replicas": wanted}}, subresource="scale"),))


def _scalers(view: View, workload: Obj) -> Iterable[tuple[str, str]]:
    meta = workload["metadata"]
    for scaler in view.by("ScaledObject", "namespace", meta["namespace"]):
        if scaler["spec"]["scaleTargetRef"]["name"] == meta["name"]:
            yield meta["namespace"], scaler["metadata"]["name"]


KEDA = Controller("keda", {"ScaledObject": itself, "Deployment": _scalers}, scale)
