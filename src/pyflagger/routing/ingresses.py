"""The Ingresses of providers that shadow the user's: which one is meant, whether it fits, and a copy of it.

Used by the modules that read an Ingress of the user's; it is never changed.
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
    """What shows where the user's Ingress leads: itself, and the Services whose ports the manifest does not say."""
    discovery = canary.spec.service is not None and canary.spec.service.port_discovery
    return ingress_ref(canary), *(
        (services.ref(canary, role) for role in (Role.APEX, Role.CANARY)) if discovery else ()
    )


FURTHER = "{ingress}-{canary}-canary"
"""The name of ours where another Canary has the usual one."""


def candidates(canary: Canary, further: str = FURTHER) -> tuple[Ref, Ref]:
    """The names that ours can have: `INGRESS-canary`, as in the reference, or one with the Canary's name in it."""
    source = ingress_ref(canary)
    name = further.format(ingress=source.name, canary=canary.metadata.name)
    return source._replace(name=f"{source.name}-canary"), source._replace(name=name)


def shadow_ref(canary: Canary, live: Live, further: str = FURTHER) -> Ref:
    """Ours: the one that we have already; else the usual name, unless another Canary of this Ingress has that.

    The objects themselves say whose they are, so that neither a restart nor the end of the other Canary renames ours.
    """
    usual, other = candidates(canary, further)
    for ref in (usual, other):
        if (found := live.get(ref)) is not None and names.is_owned(canary, found):
            return ref
    taken = live.get(usual)
    return other if taken is not None and names.owning_canary(taken) else usual


def shadow_of(canary: Canary, live: Live, further: str = FURTHER) -> Obj | None:
    """Our Ingress as it is; None before there is one, and for a Canary without an Ingress."""
    return live.get(shadow_ref(canary, live, further)) if canary.spec.ingress_ref else None


def source_of(canary: Canary, live: Live) -> Obj | Problem:
    """The user's Ingress, when it sends to the apex Service at the right port.

    A port's name that only the user's own Service has is replaced by the port's number, which all Services have.
    """
    if canary.spec.ingress_ref is None:
        text = "ingress selector is empty"
        return Problem(Fault.MANIFEST, text, "Name your Ingress in spec.ingressRef.", "spec.ingressRef")
    source = live.get(ingress_ref(canary))
    if source is None:
        name, namespace = canary.spec.ingress_ref.name, canary.metadata.namespace
        text = f'ingress {name}.{namespace} get query error: ingresses.networking.k8s.io "{name}" not found'
        return Problem(Fault.MANIFEST, text, f"Create ingress {name}, or correct spec.ingressRef.", "spec.ingressRef")
    if wrong := _generated(source):
        return wrong
    found = _discovered(canary, live)
    source = _numbered(canary, live, source, found or set())
    # During a release a path that the new version has no port for is judged, not stopped.
    return port_mismatch(canary, source, None if canary.status.canary_weight else found) or source


def _generated(source: Obj) -> Problem | None:
    """An Ingress that flagger made for a Canary follows its release: it is no way in for another one."""
    owner, name = names.owning_canary(source), source["metadata"]["name"]
    if not owner:
        return None
    text = f"ingress {name} belongs to canary {owner}, which flagger made it for"
    return Problem(Fault.MANIFEST, text, "Name an Ingress of your own in spec.ingressRef.", "spec.ingressRef")


def shadow(
    canary: Canary,
    ref: Ref,
    source: Obj,
    path_to: Callable[[Obj], list[Obj]],
    is_ours: Callable[[str], bool],
    annotations: dict[str, str],
) -> Obj:
    """Our copy of an Ingress, with only the paths that lead to the apex Service, each replaced by `path_to`.

    Annotations that `is_ours` are not the user's to give; `annotations` are laid over the rest.
    """
    spec = copy.deepcopy(source.get("spec") or {})
    spec.pop("defaultBackend", None)
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
    """What differs in spec, labels and annotations, as a merge patch; what others added to the metadata stays."""
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
    """A path that leads to another Service."""
    backend = path["backend"]
    return {**path, "backend": {**backend, "service": {**backend["service"], "name": service}}}


def service_of(path: Obj) -> Obj:
    """The Service backend of a path; empty when it leads elsewhere."""
    return part(part(path, "backend"), "service")


def _backends(source: Obj) -> Iterator[tuple[str, Obj]]:
    """(where visitors come in, the Service backend) of each path."""
    for rule in (source.get("spec") or {}).get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            yield f"{rule.get('host') or ''}{path.get('path') or '/'}", service_of(path)


def service_ports(service: Service) -> set[int | str]:
    """Numbers and names of the ports that the generated Services have by the manifest."""
    further = {word for port in service.ports for word in (port.name, port.port)}
    return {service.port, service.port_name, *further}


def _discovered(canary: Canary, live: Live) -> set[int | str] | None:
    """Numbers and names of the ports that the canary's Service has; None before there is one."""
    service = live.get(services.ref(canary, Role.CANARY))
    if service is None:
        return None
    return {word for port in _ports(service) for word in (port["port"], port.get("name") or "")}


def _numbered(canary: Canary, live: Live, source: Obj, discovered: set[int | str]) -> Obj:
    """The Ingress with numbers of the apex Service's ports for names that the canary's Service does not have."""
    apex, service = live.get(services.ref(canary, Role.APEX)), canary.spec.service
    if apex is None or service is None:
        return source
    known = service_ports(service) | discovered
    numbers = {port["name"]: port["port"] for port in _ports(apex) if port.get("name") and port["name"] not in known}
    made = copy.deepcopy(source)
    for _, backend in _backends(made):
        number = numbers.get(part(backend, "port").get("name"))
        if backend.get("name") == names.apex(canary) and number in known:
            backend["port"] = {"number": number}
    return made


def _ports(service: Obj) -> list[Obj]:
    return part(service, "spec").get("ports") or []


def port_mismatch(canary: Canary, source: Obj, discovered: set[int | str] | None = None) -> Problem | None:
    """An Ingress that does not reach the apex Service, or by some path not one of its ports.

    `discovered` are ports of the containers that join the Services; None while they are not known.
    """
    apex, name = names.apex(canary), source["metadata"]["name"]
    ports = [(path, service.get("port") or {}) for path, service in _backends(source) if service.get("name") == apex]
    if not ports:
        text = f"backend {apex} not found in ingress {name}"
        todo = f"Let ingress {name} send to service {apex}, or correct spec.service.name."
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
    """A backend's port that the apex Service would not have. `alone`: no path leads to another one."""
    field, has = ("portName", service.port_name) if isinstance(port, str) else ("port", service.port)
    text = (
        f"ingress {ingress} sends to port {port} of service {apex}, but spec.service.{field} is {has}: "
        f"visitors of {path} get 503 and the checks find no values"
    )
    more = f"spec.service.{field} to {port}" if alone else f"add port {port} to spec.service.ports"
    todo = f"Set the backend's port in ingress {ingress} to {has}, or {'' if not alone else 'set '}{more}."
    return Problem(Fault.MANIFEST, text, todo, f"spec.service.{field}")
