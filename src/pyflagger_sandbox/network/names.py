"""Resolves cluster names, such as `podinfo-canary.test:9898`, `flagger-loadtester.test` or `podinfo.local`.

The operator's webhooks and the forward proxy for commands in pods use it. It reads only the Services, EndpointSlices
and Ingresses that callers pass, and opens no connection.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

Obj: TypeAlias = dict[str, Any]
Lookup: TypeAlias = Callable[[str, str, str], Obj | None]
"""(kind, namespace, name) → the live object."""

Listing: TypeAlias = Callable[[str, str], Iterable[Obj]]
"""(kind, namespace) → live objects. An empty namespace means all."""

DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class Address:
    """The address to connect to."""

    host: str
    port: int


class NoSuchService(LookupError):
    """The name belongs to the cluster, but has no endpoint. The text says why."""


class Names:
    """Resolves names as a pod in a namespace does.

    `meshed`: resolves Services to their cluster IPs, where the mesh listens, and not to their endpoints.
    """

    def __init__(
        self, lookup: Lookup, listing: Listing, ingress: Address | None = None, *, meshed: bool = False
    ) -> None:
        self._lookup, self._listing, self._ingress, self._meshed = lookup, listing, ingress, meshed
        self._turn = itertools.count()

    def resolve(self, host: str, port: int, namespace: str = "") -> Address | None:
        """The address of a name, one endpoint after the other; None if the name does not belong to the cluster.

        Raises NoSuchService if the Service does not have the port or has no ready endpoint.
        """
        parts = _service_of(host.rstrip(".").lower(), namespace)
        for name, space in parts:
            service = self._lookup("Service", space, name)
            if service is not None:
                return self._endpoint(service, port)
        if self._ingress is not None and self._is_ingress_host(host):
            return self._ingress
        return None

    def _endpoint(self, service: Obj, port: int) -> Address:
        name, space = service["metadata"]["name"], service["metadata"]["namespace"]
        ports = service["spec"].get("ports") or []
        chosen = next((entry for entry in ports if entry["port"] == port), None)
        if chosen is None:
            known = ", ".join(str(entry["port"]) for entry in ports)
            raise NoSuchService(f"service {name}.{space} has no port {port} (it has {known})")
        if self._meshed and service["spec"].get("clusterIP") not in (None, "", "None"):
            return Address(service["spec"]["clusterIP"], port)
        ready = list(self._ready(space, name, chosen.get("name") or ""))
        if not ready:
            raise NoSuchService(f"service {name}.{space} has no ready endpoint")
        return ready[next(self._turn) % len(ready)]

    def _ready(self, namespace: str, service: str, port_name: str) -> Iterable[Address]:
        for piece in self._listing("EndpointSlice", namespace):
            if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != service:
                continue
            ports = [entry["port"] for entry in piece.get("ports") or () if (entry.get("name") or "") == port_name]
            for endpoint in piece.get("endpoints") or ():
                if ports and (endpoint.get("conditions") or {}).get("ready"):
                    yield Address(endpoint["addresses"][0], ports[0])

    def _is_ingress_host(self, host: str) -> bool:
        return any(
            rule.get("host") == host
            for ingress in self._listing("Ingress", "")
            for rule in ingress["spec"].get("rules") or ()
        )


def _service_of(host: str, namespace: str) -> list[tuple[str, str]]:
    """The (service, namespace) pairs that a host name may mean, in the order of a pod's search domains."""
    labels = host.removesuffix(f".svc.{DOMAIN}").removesuffix(".svc").split(".")
    if len(labels) == 1:
        return [(labels[0], namespace)] if namespace else []
    return [(labels[0], labels[1])] if len(labels) == 2 else []
