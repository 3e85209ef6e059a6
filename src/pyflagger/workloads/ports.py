"""The container ports of a target that its Services get from `service.portDiscovery`."""

from __future__ import annotations

from collections.abc import Iterator

from pyflagger.api.canary import Service
from pyflagger.objects import Obj

PROXIES = frozenset({"istio-proxy", "envoy", "linkerd-proxy", "kuma-sidecar", "consul-dataplane"})


def discovered(service: Service, pod: Obj) -> tuple[Obj, ...]:
    """Service ports for container ports that spec.service does not name, unique by name and by (port, protocol)."""
    names = {service.port_name, *(port.name for port in service.ports)}
    taken = {(service.port, "TCP"), *((port.port, "TCP") for port in service.ports)}
    found: list[Obj] = []
    for name, number, protocol in _container_ports(service, pod):
        if (number, protocol) in taken:
            continue
        unique = name if name not in names else f"{name}-{number}"
        names.add(unique)
        taken.add((number, protocol))
        found.append({"name": unique, "port": number, "targetPort": number, "protocol": protocol})
    return tuple(found)


def _container_ports(service: Service, pod: Obj) -> Iterator[tuple[str, int, str]]:
    named = {service.target_port or service.port, *(port.target_port or port.port for port in service.ports)}
    for container in pod.get("containers") or ():
        if container.get("name") in PROXIES:
            continue
        for index, port in enumerate(container.get("ports") or ()):
            number, name = port.get("containerPort"), port.get("name")
            if number is None or named & {number, name}:
                continue
            yield name or f"tcp-{container.get('name')}-{index}", number, port.get("protocol") or "TCP"
