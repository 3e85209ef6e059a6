"""Kinds of routes that the ingress reads besides Ingresses: Traefik's own kinds, or those of the Gateway API.

Each family has its kinds with open schemas, the flags that make Traefik read them, and the objects that a cluster
administrator creates. `pyflagger_sandbox.cluster` uses it. The field names come from the references of Traefik and the
Gateway API.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyflagger.objects import Obj

_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TRAEFIK, _GATEWAY = "traefik.io", "gateway.networking.k8s.io"
_CONTROLLER = "traefik.io/gateway-controller"


@dataclass(frozen=True, slots=True)
class Family:
    """One family of routes. `provider` is Traefik's name of its provider."""

    provider: str
    kinds: tuple[Obj, ...]

    def flags(self, url: str, token_file: str) -> list[str]:
        """Traefik's flags to read the family from an API server."""
        stem = f"--providers.{self.provider}"
        return [
            f"{stem}=true",
            f"{stem}.endpoint={url}",
            f"{stem}.token={token_file}",
            f"{stem}.throttleDuration=100ms",
        ]

    def objects(self, web_port: int) -> tuple[Obj, ...]:
        """The objects that exist before the users' routes: a Gateway on the ingress's port that accepts routes from all
        namespaces.
        """
        if self is not GATEWAY_API:
            return ()
        listener = {
            "name": "web",
            "protocol": "HTTP",
            "port": web_port,
            "allowedRoutes": {"namespaces": {"from": "All"}},
        }
        api = f"{_GATEWAY}/v1"
        return (
            {
                "apiVersion": api,
                "kind": "GatewayClass",
                "metadata": {"name": "traefik"},
                "spec": {"controllerName": _CONTROLLER},
            },
            {
                "apiVersion": api,
                "kind": "Gateway",
                "metadata": {"name": "ingress", "namespace": "default"},
                "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
            },
        )


def definition(
    group: str, kind: str, plural: str, versions: Iterable[str], *, cluster: bool = False, short: Sequence[str] = ()
) -> Obj:
    """A definition with an open schema in these versions. The first one is the storage version."""
    served: list[Any] = [
        {
            "name": name,
            "served": True,
            "storage": at == 0,
            "schema": {"openAPIV3Schema": _OPEN},
            "subresources": {"status": {}},
        }
        for at, name in enumerate(versions)
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster" if cluster else "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": list(short),
            },
            "versions": served,
        },
    }


TRAEFIK = Family(
    "kubernetesCRD",
    tuple(
        definition(_TRAEFIK, kind, f"{kind.lower()}s", ("v1alpha1",))
        for kind in (
            "IngressRoute",
            "IngressRouteTCP",
            "IngressRouteUDP",
            "Middleware",
            "MiddlewareTCP",
            "ServersTransport",
            "ServersTransportTCP",
            "TLSOption",
            "TLSStore",
            "TraefikService",
        )
    ),
)

GATEWAY_API = Family(
    "kubernetesGateway",
    (
        definition(_GATEWAY, "GatewayClass", "gatewayclasses", ("v1", "v1beta1"), cluster=True),
        definition(_GATEWAY, "Gateway", "gateways", ("v1", "v1beta1")),
        definition(_GATEWAY, "HTTPRoute", "httproutes", ("v1", "v1beta1")),
        definition(_GATEWAY, "GRPCRoute", "grpcroutes", ("v1",)),
        definition(_GATEWAY, "ReferenceGrant", "referencegrants", ("v1", "v1beta1")),
        definition(_GATEWAY, "BackendTLSPolicy", "backendtlspolicies", ("v1", "v1alpha3")),
        definition(_GATEWAY, "ListenerSet", "listenersets", ("v1",)),
        definition(_GATEWAY, "TLSRoute", "tlsroutes", ("v1", "v1alpha2")),
    ),
)

FAMILIES = {"traefik": TRAEFIK, "gatewayapi": GATEWAY_API}
"""Families by the name of the traffic provider, up to a colon."""

KEDA = tuple(
    definition("keda.sh", kind, f"{kind.lower()}s", ("v1alpha1",), cluster=kind.startswith("Cluster"), short=short)
    for kind, short in (
        ("ScaledObject", ("so",)),
        ("ScaledJob", ("sj",)),
        ("TriggerAuthentication", ("ta", "triggerauth")),
        ("ClusterTriggerAuthentication", ("cta", "clustertriggerauth")),
    )
)
"""KEDA's kinds, for releases with autoscaling. The sandbox does not scale by them."""
