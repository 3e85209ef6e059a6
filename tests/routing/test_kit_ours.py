"""Our own routers pass the kit that plugins are held to."""

from __future__ import annotations

import pytest
from routed import ingress

from pyflagger.routing.kubernetes import Kubernetes
from pyflagger.routing.nginx import Nginx
from pyflagger.routing.registry import PROVIDERS
from pyflagger.testing import CHECKS, Scene, check_router

INGRESS = {"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"}}


GATEWAY = {"service": {"gatewayRefs": [{"name": "gw"}]}}


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "gatewayapi:v1beta1", "istio"])
def test_meshes_conform(provider: str) -> None:
    """They can do everything that is checked."""
    made = check_router(lambda: PROVIDERS[provider], Scene({"provider": provider, **GATEWAY}))
    assert len(made) == len(CHECKS)


@pytest.mark.parametrize(
    "make, scene",
    [(Kubernetes, Scene()), (Nginx, Scene(INGRESS, (ingress(),)))],
    ids=["kubernetes", "nginx"],
)
def test_it_conforms(make: type, scene: Scene) -> None:
    """Every check that applies to what it can do."""
    assert len(check_router(make, scene)) >= 7
