"""What the ingress can be told in beside Ingresses: Traefik's own kinds, or those of the Gateway API.

For each family its kinds, with schemas as open as an ingress needs, the flags that make Traefik read them, and the
objects that a cluster's owner would have put there. Used by `sandbox.cluster`; the field names are those of Traefik's
and the Gateway API's references.
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
    """One way to say routes. `provider` is Traefik's name for what reads it."""

    provider: str
    kinds: tuple[Obj, ...]

    def flags(self, url: str, token_file: str) -> list[str]:
        """Traefik's flags to read it from an API server."""
        stem = f"--providers.{self.provider}"
        return [
            f"{stem}=true",
            f"{stem}.endpoint={url}",
            f"{stem}.token={token_file}",
            f"{stem}.throttleDuration=100ms",
        ]

    def objects(self, web_port: int) -> tuple[Obj, ...]:
        """What is there before anybody's routes: a Gateway on the ingress's port, that takes routes of everybody."""
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
    """A kind that may hold anything, in these versions; the first is stored."""
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
"""By the traffic provider's name, up to a colon."""

KEDA = tuple(
    definition("keda.sh", kind, f"{kind.lower()}s", ("v1alpha1",), cluster=kind.startswith("Cluster"), short=short)
    for kind, short in (
        ("ScaledObject", ("so",)),
        ("ScaledJob", ("sj",)),
        ("TriggerAuthentication", ("ta", "triggerauth")),
        ("ClusterTriggerAuthentication", ("cta", "clustertriggerauth")),
    )
)
"""KEDA's kinds, for releases beside it; nobody here scales by them."""
