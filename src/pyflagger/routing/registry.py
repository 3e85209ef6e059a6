"""The module of each provider name. A name that ends in `:` matches every name with that prefix.

Other packages add routers as entry points. Each names a class that implements `Router` and takes no arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from pyflagger import plugins
from pyflagger.api.facts import Fault, Problem
from pyflagger.routing.apisix import Apisix
from pyflagger.routing.appmesh import AppMesh
from pyflagger.routing.base import Router
from pyflagger.routing.contour import Contour
from pyflagger.routing.gatewayapi import GatewayApi
from pyflagger.routing.gloo import Gloo
from pyflagger.routing.istio import Istio
from pyflagger.routing.knative import Knative
from pyflagger.routing.kubernetes import Kubernetes
from pyflagger.routing.kuma import Kuma
from pyflagger.routing.nginx import Nginx
from pyflagger.routing.skipper import Skipper
from pyflagger.routing.smi import Smi
from pyflagger.routing.traefik import Traefik

GROUP = "pyflagger.routers"
SPLITS = {version: Smi(version) for version in ("v1alpha1", "v1alpha2", "v1alpha3")}
PROVIDERS: dict[str, Router] = {
    "knative": Knative(),
    "kubernetes": Kubernetes(),
    "nginx": Nginx(),
    "skipper": Skipper(),
    "kuma": Kuma(),
    "apisix": Apisix(),
    "gloo": Gloo(),
    "appmesh": AppMesh("v1beta1"),
    "appmesh:v1beta2": AppMesh("v1beta2"),
    "gloo:": Gloo(),
    "contour": Contour(),
    "traefik": Traefik(),
    "linkerd": SPLITS["v1alpha1"],
    "osm": SPLITS["v1alpha2"],
    **{f"smi:{version}{end}": split for version, split in SPLITS.items() for end in ("", ":")},
    "istio": Istio(),
    "gatewayapi:v1": GatewayApi("v1"),
    "gatewayapi:v1beta1": GatewayApi("v1beta1"),
}


def known_providers() -> tuple[str, ...]:
    """All provider names."""
    return tuple(sorted({*PROVIDERS, *plugins.installed(GROUP)}))


def router_for(provider: str) -> Router | Problem:
    """The router of a provider. A Problem lists the known providers, or names the error of a plugin."""
    if (name := _named(provider, PROVIDERS)) is not None:
        return PROVIDERS[name]
    points = plugins.installed(GROUP)
    if (name := _named(provider, points)) is not None:
        router = plugins.load(points[name], "traffic provider", _made)
        return router if isinstance(router, Problem) else _contained(router, name)
    text = f"{provider!r} is not a known traffic provider"
    return Problem(Fault.MANIFEST, text, f"Use one of: {', '.join(known_providers())}.", "spec.provider")


def load_plugins() -> None:
    """Load all plugins of this group, so that no import blocks the event loop later."""
    for name in plugins.installed(GROUP):
        router_for(name)


def _named(provider: str, known: Iterable[str]) -> str | None:
    """The known name that matches a provider exactly or by prefix."""
    for name in known:
        if provider == name or (name.endswith(":") and provider.startswith(name)):
            return name
    return None


@cache
def _contained(router: Router, name: str) -> Router:
    return cast(Router, plugins.Contained(router, f"traffic provider {name}"))


def _made(kind: Any) -> Any:
    router = kind()
    if not isinstance(router, Router):
        raise TypeError("it does not implement Router: see pyflagger.routing.base")
    return router
