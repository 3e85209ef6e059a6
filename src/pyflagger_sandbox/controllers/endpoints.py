"""The EndpointSlice controller: writes the addresses and real ports behind each Service.

Pure: reads a Service, its pods and its slices. Pods with different ports get separate slices. Ports differ by name, or
because they are remapped on a machine with one loopback address.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyflagger.objects import Create, Delete, Obj, Patch, Write, merge_diff, ref_of

from .cache import View
from .manager import Controller
from .outcome import NOTHING, Outcome
from .owned import itself
from .pods import ready
from .templates import owner_reference

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGER = "endpointslice-controller.k8s.io"
PORTS_ANNOTATION = "sandbox.flagger.app/ports"
"""On a pod: a JSON object, container port → the port that really listens. Absent when all are the same."""


def reconcile(service: Obj, pods: Iterable[Obj], slices: Sequence[Obj]) -> Outcome:
    """The writes for a Service that selects these pods and has these slices."""
    if service["metadata"].get("deletionTimestamp") or not (service["spec"].get("selector") or {}):
        return NOTHING
    desired = {piece["metadata"]["name"]: piece for piece in _slices(service, pods)}
    live = {piece["metadata"]["name"]: piece for piece in slices}
    writes: list[Write] = []
    for name, piece in desired.items():
        if name not in live:
            writes.append(Create(piece))
        elif change := merge_diff({"endpoints": live[name].get("endpoints")}, {"endpoints": piece["endpoints"]}):
            writes.append(Patch(ref_of(live[name]), change))
    writes += [Delete(ref_of(live[name])) for name in live.keys() - desired.keys()]
    return Outcome(tuple(writes)) if writes else NOTHING


def _slices(service: Obj, pods: Iterable[Obj]) -> list[Obj]:
    groups: dict[str, list[Obj]] = defaultdict(list)
    for pod in pods:
        status = pod.get("status") or {}
        if status.get("podIP") and status.get("phase") not in ("Succeeded", "Failed"):
            groups[json.dumps(ports_of(service, pod))].append(pod)
    if not groups:
        groups["[]"] = []
    return [_slice(service, json.loads(ports), members) for ports, members in sorted(groups.items())]


def ports_of(service: Obj, pod: Obj) -> list[Obj]:
    """The ports of a Service on one pod. Leaves out names that the pod does not have."""
    real = real_ports(pod)
    found = ((entry, _target(entry, pod)) for entry in service["spec"].get("ports") or ())
    return [
        {"name": entry.get("name") or "", "port": real.get(number, number), "protocol": entry.get("protocol") or "TCP"}
        | ({"appProtocol": entry["appProtocol"]} if entry.get("appProtocol") else {})
        for entry, number in found
        if number is not None
    ]


def _target(entry: Mapping[str, Any], pod: Obj) -> int | None:
    target = entry.get("targetPort") or entry["port"]
    if isinstance(target, int):
        return target
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports") or ())
    return next((int(port["containerPort"]) for port in ports if port.get("name") == target), None)


def real_ports(pod: Obj) -> dict[int, int]:
    """Container port → listening port, for remapped ports."""
    text = (pod["metadata"].get("annotations") or {}).get(PORTS_ANNOTATION)
    return {int(port): int(real) for port, real in json.loads(text).items()} if text else {}


def _slice(service: Obj, ports: list[Obj], pods: Iterable[Obj]) -> Obj:
    meta = service["metadata"]
    suffix = hashlib.sha256(f"{meta['uid']}{json.dumps(ports)}".encode()).hexdigest()[:5]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{meta['name']}-{suffix}",
            "namespace": meta["namespace"],
            "labels": {SERVICE_LABEL: meta["name"], "endpointslice.kubernetes.io/managed-by": MANAGER},
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [_endpoint(service, pod) for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))],
    }


def _endpoint(service: Obj, pod: Obj) -> Obj:
    meta = pod["metadata"]
    leaving, serving = bool(meta.get("deletionTimestamp")), ready(pod)
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": published or (serving and not leaving), "serving": serving, "terminating": leaving},
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
    }


def look(view: View, namespace: str, name: str, now: float) -> Outcome:
    """Reconcile the slices of one Service of a view."""
    service = view.get("Service", namespace, name)
    if service is None:
        return NOTHING
    selector = (service["spec"].get("selector") or {}).items()
    chosen = min(selector, default=None)
    pods = view.by("Pod", "label", (namespace, *chosen)) if chosen else ()
    selected = [pod for pod in pods if selector <= (pod["metadata"].get("labels") or {}).items()]
    return reconcile(service, selected, view.by("EndpointSlice", "owner", service["metadata"]["uid"]))


def _services_of(view: View, pod: Obj) -> Iterable[tuple[str, str]]:
    namespace, labels = pod["metadata"]["namespace"], (pod["metadata"].get("labels") or {}).items()
    for label in labels:
        for service in view.by("Service", "selector", (namespace, *label)):
            if service["spec"]["selector"].items() <= labels:
                yield namespace, service["metadata"]["name"]


def _service_of(_: View, piece: Obj) -> Iterable[tuple[str, str]]:
    meta = piece["metadata"]
    name = (meta.get("labels") or {}).get(SERVICE_LABEL)
    return ((meta["namespace"], name),) if name else ()


CONTROLLER = Controller("endpointslice", {"Service": itself, "Pod": _services_of, "EndpointSlice": _service_of}, look)
