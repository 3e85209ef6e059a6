"""Rules about what is made of a Canary: an API server would refuse a name, port or label that has the wrong shape.

The names are those of `api.names`. What only a live target shows (its selector, its containers) is checked where that
is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyflagger.api import names, shapes
from pyflagger.api.canary import Canary, Service
from pyflagger.api.facts import Problem
from pyflagger.api.rule import Context, wrong

HASHED_MAX = shapes.SUBDOMAIN_MAX - len("-0123456789")
"""What the name of a primary Deployment may have: its controller appends a hash to name the ReplicaSets."""

SHADOWED = ("nginx", "skipper")
"""Providers that write an Ingress beside the user's."""

DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")


def _services(context: Context) -> Iterator[Problem]:
    """The apex Service, and those of primary and canary."""
    canary = context.canary
    service = canary.spec.service
    if service is None or names.is_knative(canary):
        return
    path = "spec.service.name" if service.name else "spec.targetRef.name"
    todo = f"Shorten or correct {path}." if service.name else "Set spec.service.name to a name of this form."
    if not service.name and len(names.primary(canary)) > HASHED_MAX:
        return  # no shorter name of the Services would help: `_copies` has said what is wrong
    for name in (names.primary_service(canary), names.canary_service(canary), names.apex(canary)):
        if (what := shapes.service_name(name)) and len(name) > shapes.LABEL_MAX:
            yield _too_long(path, name, shapes.LABEL_MAX, f"{todo} Services need room for -primary.")
            return
        if what:
            yield wrong(path, f"gives a Service the name {name!r}: it {what}", todo)
            return


def _copies(context: Context) -> Iterator[Problem]:
    """Other objects that get a suffix."""
    canary = context.canary
    spec = canary.spec
    hashed = spec.target_ref.kind == "Deployment" and len(names.primary(canary)) <= shapes.SUBDOMAIN_MAX
    derived: list[tuple[Callable[[Canary], str], int, str]] = [
        (names.primary, HASHED_MAX if hashed else shapes.SUBDOMAIN_MAX, "spec.targetRef.name"),
        (names.primary_autoscaler, shapes.SUBDOMAIN_MAX, "spec.autoscalerRef.name"),
    ]
    if context.provider in SHADOWED and spec.ingress_ref is not None:
        derived.append((lambda each: f"{names.ingress(each)}-canary", shapes.SUBDOMAIN_MAX, "spec.ingressRef.name"))
    for name_of, most, path in derived:
        name = name_of(canary)
        if len(name) > most:
            yield _too_long(path, name, most)
        elif name and (what := shapes.subdomain(name)):
            yield wrong(path, f"gives the name {name!r}: it {what}")


def _too_long(path: str, name: str, most: int, todo: str = "") -> Problem:
    return wrong(path, f"is too long: the derived name {name[:40]}… has {len(name)} characters of {most}", todo)


def _ports(context: Context) -> Iterator[Problem]:
    """Names, target ports and application protocols of the Services' ports."""
    service = context.canary.spec.service
    if service is None:
        return
    if service.port_name and (what := shapes.dns_label(service.port_name)):
        yield wrong("spec.service.portName", f"is {service.port_name!r}: it {what}")
    for index, port in enumerate(service.ports):
        if what := shapes.dns_label(port.name):
            yield wrong(f"spec.service.ports[{index}].name", f"is {port.name!r}: it {what}")
    each = [("spec.service", service.target_port, service.app_protocol)]
    each += [(f"spec.service.ports[{i}]", port.target_port, port.app_protocol) for i, port in enumerate(service.ports)]
    for path, target_port, protocol in each:
        yield from _target_port(f"{path}.targetPort", target_port)
        if protocol and (what := shapes.qualified_name(protocol)):
            yield wrong(f"{path}.appProtocol", f"is {protocol!r}: it {what}")
    known = ", ".join(DISTRIBUTIONS)
    if service.traffic_distribution not in ("", *DISTRIBUTIONS):
        yield wrong("spec.service.trafficDistribution", f"is {service.traffic_distribution!r}", f"Use one of: {known}.")


def _target_port(path: str, port: int | str | None) -> Iterator[Problem]:
    """Empty and 0 mean the port itself."""
    if not isinstance(port, str) or port in ("", "0"):
        return
    if port.isascii() and port.isdigit():
        yield wrong(path, f"is the text {port!r}, which is no name of a port", f"Write {port} without quotes.")
    elif what := shapes.port_name(port):
        yield wrong(path, f"is {port!r}: it {what}")


def _metadata(context: Context) -> Iterator[Problem]:
    """Labels and annotations of the generated Services."""
    service = context.canary.spec.service or Service(port=1)
    for role in ("apex", "primary", "canary"):
        custom = getattr(service, role)
        if custom is None:
            continue
        for field, entries in (("labels", custom.labels), ("annotations", custom.annotations)):
            for key, value in entries.items():
                path = f"spec.service.{role}.{field}.{key}"
                if what := shapes.qualified_name(key):
                    yield wrong(path, f"has a key that no object takes: it {what}")
                if field == "labels" and (what := shapes.label_value(value)):
                    yield wrong(path, f"is {value!r}: it {what}")


def _autoscaler(context: Context) -> Iterator[Problem]:
    """Bounds that no autoscaler takes."""
    ref = context.canary.spec.autoscaler_ref
    bounds = ref.primary_scaler_replicas if ref else None
    if bounds and bounds.min_replicas and bounds.max_replicas and bounds.min_replicas > bounds.max_replicas:
        path = "spec.autoscalerRef.primaryScalerReplicas"
        yield wrong(path, f"has minReplicas {bounds.min_replicas} over maxReplicas {bounds.max_replicas}")


RULES: tuple[Callable[[Context], Iterator[Problem]], ...] = (
    _services,
    _copies,
    _ports,
    _metadata,
    _autoscaler,
)
