"""Providers that copy the user's Ingress: find it, check it, and render the copy.

flagger only reads the user's Ingress.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from pyflagger.api import names
from pyflagger.api.canary import Canary, Service
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj, Ref, Resource, part
from pyflagger.routing import services
from pyflagger.routing.base import Live
from pyflagger.routing.services import Role

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")


def ingress_ref(canary: Canary) -> Ref:
    """The user's Ingress."""
    name = canary.spec.ingress_ref.name if canary.spec.ingress_ref else ""
    return INGRESSES.ref(canary.metadata.namespace, name)


def sources(canary: Canary) -> tuple[Ref, ...]:
    """The user's Ingress, and the Services whose ports the manifest does not name."""
    discovery = canary.spec.service is not None and canary.spec.service.port_discovery
    return ingress_ref(canary), *(
        (services.ref(canary, role) for role in (Role.APEX, Role.CANARY)) if discovery else ()
    )


FURTHER = "{ingress}-{canary}-canary"
"""The name of the copy if another Canary uses the standard name."""


def candidates(canary: Canary, further: str = FURTHER) -> tuple[Ref, Ref]:
    """The possible names of the copy: `INGRESS-canary`, as in the reference, or a name that contains the Canary's."""
    source = ingress_ref(canary)
    name = further.format(ingress=source.name, canary=canary.metadata.name)
    return source._replace(name=f"{source.name}-canary"), source._replace(name=name)


def shadow_ref(canary: Canary, live: Live, further: str = FURTHER) -> Ref:
    """The copy that exists already, else the standard name unless another Canary of this Ingress uses it.

    This reads the owner from the objects, so neither a restart nor the deletion of the other Canary renames the copy.
    """
    usual, other = candidates(canary, further)
    for ref in (usual, other):
        if (found := live.get(ref)) is not None and names.is_owned(canary, found):
            return ref
    taken = live.get(usual)
    return other if taken is not None and names.owning_canary(taken) else usual


def shadow_of(canary: Canary, live: Live, further: str = FURTHER) -> Obj | None:
    """The live copy. None before it exists, and for a Canary without an Ingress."""
    return live.get(shadow_ref(canary, live, further)) if canary.spec.ingress_ref else None


def source_of(canary: Canary, live: Live) -> Obj | Problem:
    """The user's Ingress, if it routes to the apex Service at the right port.

    If only the user's own Service has a port name, the number of that port replaces it, because all Services have it.
    """
    if canary.spec.ingress_ref is None:
        text = "ingress selector is empty"
        return Problem(Fault.MANIFEST, text, "Set spec.ingressRef to your Ingress.", "spec.ingressRef")
    source = live.get(ingress_ref(canary))
    if source is None:
        name, namespace = canary.spec.ingress_ref.name, canary.metadata.namespace
        text = f'ingress {name}.{namespace} get query error: ingresses.networking.k8s.io "{name}" not found'
        return Problem(Fault.MANIFEST, text, f"Create ingress {name}, or correct spec.ingressRef.", "spec.ingressRef")
    if wrong := _generated(source):
        return wrong
    found = _discovered(canary, live)
    source = _numbered(canary, live, source, found or set())
    # During a release, a path whose port the new version lacks fails checks and does not block the Canary.
    return port_mismatch(canary, source, None if canary.status.canary_weight else found) or source


def _generated(source: Obj) -> Problem | None:
    """Reject an Ingress that flagger generated for another Canary: it follows the release of that Canary."""
    owner, name = names.owning_canary(source), source["metadata"]["name"]
    if not owner:
        return None
    text = f"ingress {name} belongs to canary {owner}: flagger generated it"
    return Problem(Fault.MANIFEST, text, "Set spec.ingressRef to your own Ingress.", "spec.ingressRef")


def shadow(
    canary: Canary,
    ref: Ref,
    source: Obj,
    path_to: Callable[[Obj], list[Obj]],
    is_ours: Callable[[str], bool],
    annotations: dict[str, str],
) -> Obj:
    """Render a copy of an Ingress with only the paths to the apex Service, each replaced by `path_to`.

    The copy omits the annotations that `is_ours` selects and adds `annotations`.
    """
    spec = {key: value for key, value in part(source, "spec").items() if key != "defaultBackend"}
    apex = names.apex(canary)
    rules = []
    for rule in spec.get("rules") or ():
        paths = [path for path in (rule.get("http") or {}).get("paths") or () if service_of(path).get("name") == apex]
        if paths:
            shadowed = [ours for path in paths for ours in path_to(path)]
            rules.append({**rule, "http": {**rule["http"], "paths": shadowed}})
    spec["rules"] = rules
    meta = source["metadata"]
    copied = {
        key: value for key, value in (meta.get("annotations") or {}).items() if not is_ours(key) and key != LAST_APPLIED
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": ref.name,
            "namespace": canary.metadata.namespace,
            "labels": dict(meta.get("labels") or {}),
            "annotations": {**copied, **names.TOOLKIT_ANNOTATIONS, **annotations},
            "ownerReferences": [names.owner_reference(canary)],
        },
        "spec": spec,
    }


def changes(ours: Obj, wanted: Obj) -> Obj:
    """A merge patch of spec, labels and annotations. Metadata that others added stays."""
    body: Obj = {}
    live_spec = {key: value for key, value in (ours.get("spec") or {}).items() if value}
    if live_spec != {key: value for key, value in wanted["spec"].items() if value}:
        removed = {key: None for key in live_spec if key not in wanted["spec"]}
        body["spec"] = {**removed, **wanted["spec"]}
    for field in ("labels", "annotations"):
        now = ours["metadata"].get(field) or {}
        diff = {key: value for key, value in wanted["metadata"][field].items() if now.get(key) != value}
        if diff:
            body.setdefault("metadata", {})[field] = diff
    return body


def led_to(path: Obj, service: str) -> Obj:
    """The path with another Service as its backend."""
    backend = path["backend"]
    return {**path, "backend": {**backend, "service": {**backend["service"], "name": service}}}


def service_of(path: Obj) -> Obj:
    """The Service backend of a path, or empty if the backend is not a Service."""
    return part(part(path, "backend"), "service")


def _backends(source: Obj) -> Iterator[tuple[str, Obj]]:
    """(host and path, Service backend) of each path."""
    for rule in (source.get("spec") or {}).get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            yield f"{rule.get('host') or ''}{path.get('path') or '/'}", service_of(path)


def service_ports(service: Service) -> set[int | str]:
    """Numbers and names of the generated Services' ports in the manifest."""
    further = {word for port in service.ports for word in (port.name, port.port)}
    return {service.port, service.port_name, *further}


def _discovered(canary: Canary, live: Live) -> set[int | str] | None:
    """Numbers and names of the canary Service's ports. None before the Service exists."""
    service = live.get(services.ref(canary, Role.CANARY))
    if service is None:
        return None
    return {word for port in _ports(service) for word in (port["port"], port.get("name") or "")}


def _numbered(canary: Canary, live: Live, source: Obj, discovered: set[int | str]) -> Obj:
    """The Ingress with port numbers of the apex Service, instead of names that the canary's Service lacks."""
    apex, service = live.get(services.ref(canary, Role.APEX)), canary.spec.service
    if apex is None or service is None:
        return source
    known = service_ports(service) | discovered
    numbers = {port["name"]: port["port"] for port in _ports(apex) if port.get("name") and port["name"] not in known}
    if not numbers:
        return source
    made = copy.deepcopy(source)
    for _, backend in _backends(made):
        number = numbers.get(part(backend, "port").get("name"))
        if backend.get("name") == names.apex(canary) and number in known:
            backend["port"] = {"number": number}
    return made


def _ports(service: Obj) -> list[Obj]:
    return part(service, "spec").get("ports") or []


def port_mismatch(canary: Canary, source: Obj, discovered: set[int | str] | None = None) -> Problem | None:
    """Report an Ingress without a path to the apex Service, or with a path to a port that the Service lacks.

    `discovered` has the container ports that the Services get. None while they are unknown.
    """
    apex, name = names.apex(canary), source["metadata"]["name"]
    ports = [(path, service.get("port") or {}) for path, service in _backends(source) if service.get("name") == apex]
    if not ports:
        text = f"backend {apex} not found in ingress {name}"
        todo = f"Add a path with backend {apex} to ingress {name}, or correct spec.service.name."
        return Problem(Fault.MANIFEST, text, todo, "spec.ingressRef")
    service = canary.spec.service
    if service is None or (service.port_discovery and discovered is None):
        return None
    known = service_ports(service) | (discovered or set())
    asked = [(path, port.get("number") or port.get("name") or "") for path, port in ports]
    wrong = next(((path, port) for path, port in asked if port not in known), None)
    return (
        None if wrong is None else _wrong_port(service, apex, name, *wrong, all(port == wrong[1] for _, port in asked))
    )


def _wrong_port(service: Service, apex: str, ingress: str, path: str, port: int | str, alone: bool) -> Problem:
    """Report a port that the apex Service will lack. `alone`: all paths use this port."""
    field, has = ("portName", service.port_name) if isinstance(port, str) else ("port", service.port)
    text = (
        f"ingress {ingress} sends to port {port} of service {apex}, but spec.service.{field} is {has}: "
        f"visitors of {path} get 503 and the checks find no values"
    )
    more = f"spec.service.{field} to {port}" if alone else f"add port {port} to spec.service.ports"
    todo = f"Set the backend's port in ingress {ingress} to {has}, or {'' if not alone else 'set '}{more}."
    return Problem(Fault.MANIFEST, text, todo, f"spec.service.{field}")
