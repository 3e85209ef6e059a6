"""Cluster names: which address answers for `podinfo-canary.test:9898`, `flagger-loadtester.test`, or `podinfo.local`.

Read by the resolver that the operator's hooks go through and by the forward proxy for commands in pods. Pure over the
Services, EndpointSlices and Ingresses that it is handed; it opens no connection.
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
"""(kind, namespace) → live objects; an empty namespace means all."""

DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect."""

    host: str
    port: int


class NoSuchService(LookupError):
    """The name belongs to the cluster, but nothing answers for it; the text says why."""


class Names:
    """Resolves names as a pod in some namespace would see them.

    `meshed`: Services answer at their cluster IPs, where the mesh listens, instead of at their endpoints.
    """

    def __init__(
        self, lookup: Lookup, listing: Listing, ingress: Address | None = None, *, meshed: bool = False
    ) -> None:
        self._lookup, self._listing, self._ingress, self._meshed = lookup, listing, ingress, meshed
        self._turn = itertools.count()

    def resolve(self, host: str, port: int, namespace: str = "") -> Address | None:
        """The address for a name, endpoints taken in turn; None when the name is none of the cluster's.

        Raises NoSuchService when the Service has no such port or no ready endpoint.
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
    """(service, namespace) pairs that a host name may mean, in the order of a pod's search domains."""
    labels = host.removesuffix(f".svc.{DOMAIN}").removesuffix(".svc").split(".")
    if len(labels) == 1:
        return [(labels[0], namespace)] if namespace else []
    return [(labels[0], labels[1])] if len(labels) == 2 else []
