"""Rules for the objects that flagger generates: an API server rejects a name, port or label of the wrong form.

`api.names` derives the names. The code that reads the live target checks its selector and its containers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyflagger.api import names, shapes
from pyflagger.api.canary import Canary, Service
from pyflagger.api.facts import Problem
from pyflagger.api.rule import Context, wrong

HASHED_MAX = shapes.SUBDOMAIN_MAX - len("-0123456789")
"""The maximum length of a primary Deployment's name: its controller appends a hash to name the ReplicaSets."""

SHADOWED = ("nginx", "skipper")
"""Providers that create an Ingress next to the user's Ingress."""

DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")


def _services(context: Context) -> Iterator[Problem]:
    """Check the names of the Services of apex, primary and canary."""
    canary = context.canary
    service = canary.spec.service
    if service is None or names.is_knative(canary):
        return
    path = "spec.service.name" if service.name else "spec.targetRef.name"
    todo = f"Shorten or correct {path}." if service.name else "Set spec.service.name to a valid name."
    if not service.name and len(names.primary(canary)) > HASHED_MAX:
        return  # a shorter name of the Services would not help, and `_copies` reports the problem
    for name in (names.primary_service(canary), names.canary_service(canary), names.apex(canary)):
        if (what := shapes.service_name(name)) and len(name) > shapes.LABEL_MAX:
            yield _too_long(path, name, shapes.LABEL_MAX, f"{todo} Leave room for the suffix -primary.")
            return
        if what:
            yield wrong(path, f"results in the Service name {name!r}, which {what}", todo)
            return


def _copies(context: Context) -> Iterator[Problem]:
    """Check the names of the other generated objects."""
    canary = context.canary
    spec = canary.spec
    hashed = spec.target_ref.kind == "Deployment" and len(names.primary(canary)) <= shapes.SUBDOMAIN_MAX
    derived: list[tuple[Callable[[Canary], str], int, str]] = [
        (names.primary, HASHED_MAX if hashed else shapes.SUBDOMAIN_MAX, "spec.targetRef.name"),
        (names.primary_autoscaler, _autoscaler_max(canary), "spec.autoscalerRef.name"),
    ]
    route = spec.route_ref.name if spec.route_ref else ""
    if context.provider.startswith("apisix") and route:
        copy = f"{route}-{names.apex(canary)}-canary"
        derived.append((lambda _: copy, shapes.SUBDOMAIN_MAX, "spec.routeRef.name"))
    if context.provider in SHADOWED and spec.ingress_ref is not None:
        derived.append((lambda each: f"{names.ingress(each)}-canary", shapes.SUBDOMAIN_MAX, "spec.ingressRef.name"))
    for name_of, most, path in derived:
        name = name_of(canary)
        if len(name) > most:
            yield _too_long(path, name, most)
        elif name and (what := shapes.subdomain(name)):
            yield wrong(path, f"results in the name {name!r}, which {what}")


def _autoscaler_max(canary: Canary) -> int:
    """KEDA labels a ScaledObject with its own name."""
    ref = canary.spec.autoscaler_ref
    return shapes.LABEL_MAX if ref and ref.kind == "ScaledObject" else shapes.SUBDOMAIN_MAX


def _too_long(path: str, name: str, most: int, todo: str = "") -> Problem:
    text = f"is too long: the derived name {name[:40]}… has {len(name)} characters, the limit is {most}"
    return wrong(path, text, todo)


def _ports(context: Context) -> Iterator[Problem]:
    """Check names, target ports and application protocols of the Services' ports."""
    service = context.canary.spec.service
    if service is None:
        return
    if service.port_name and (what := shapes.dns_label(service.port_name)):
        yield wrong("spec.service.portName", f"is {service.port_name!r}, which {what}")
    for index, port in enumerate(service.ports):
        if what := shapes.dns_label(port.name):
            yield wrong(f"spec.service.ports[{index}].name", f"is {port.name!r}, which {what}")
    each = [("spec.service", service.target_port, service.app_protocol)]
    each += [(f"spec.service.ports[{i}]", port.target_port, port.app_protocol) for i, port in enumerate(service.ports)]
    for path, target_port, protocol in each:
        yield from _target_port(f"{path}.targetPort", target_port)
        if protocol and (what := shapes.qualified_name(protocol)):
            yield wrong(f"{path}.appProtocol", f"is {protocol!r}, which {what}")
    known = ", ".join(DISTRIBUTIONS)
    if service.traffic_distribution not in ("", *DISTRIBUTIONS):
        text = f"is {service.traffic_distribution!r}, which is not supported"
        yield wrong("spec.service.trafficDistribution", text, f"Use one of: {known}.")


def _target_port(path: str, port: int | str | None) -> Iterator[Problem]:
    """Empty and 0 mean the port itself."""
    if not isinstance(port, str) or port in ("", "0"):
        return
    if port.isascii() and port.isdigit():
        yield wrong(path, f"is the string {port!r}, which is not a port name", f"Write {port} without quotes.")
    elif what := shapes.port_name(port):
        yield wrong(path, f"is {port!r}, which {what}")


def _metadata(context: Context) -> Iterator[Problem]:
    """Check labels and annotations of the generated Services."""
    service = context.canary.spec.service or Service(port=1)
    for role in ("apex", "primary", "canary"):
        custom = getattr(service, role)
        if custom is None:
            continue
        for field, entries in (("labels", custom.labels), ("annotations", custom.annotations)):
            if (size := shapes.size_of(entries)) > shapes.ANNOTATIONS_MAX and field == "annotations":
                path = f"spec.service.{role}.annotations"
                yield wrong(path, f"has {size} bytes, the limit is {shapes.ANNOTATIONS_MAX}", "Shorten them.")
            for key, value in entries.items():
                path = f"spec.service.{role}.{field}.{key}"
                if what := shapes.qualified_name(key):
                    yield wrong(path, f"has an invalid key, which {what}")
                if field == "labels" and (what := shapes.label_value(value)):
                    yield wrong(path, f"is {value!r}, which {what}")


def _autoscaler(context: Context) -> Iterator[Problem]:
    """Reject bounds that every autoscaler rejects."""
    ref = context.canary.spec.autoscaler_ref
    bounds = ref.primary_scaler_replicas if ref else None
    if bounds and bounds.min_replicas and bounds.max_replicas and bounds.min_replicas > bounds.max_replicas:
        path = "spec.autoscalerRef.primaryScalerReplicas"
        yield wrong(path, f"has minReplicas {bounds.min_replicas} greater than maxReplicas {bounds.max_replicas}")


RULES: tuple[Callable[[Context], Iterator[Problem]], ...] = (
    _services,
    _copies,
    _ports,
    _metadata,
    _autoscaler,
)
