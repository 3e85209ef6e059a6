"""Our own routers pass the kit that plugins are held to."""

from __future__ import annotations

import pytest
from routed import ingress

from pyflagger.routing.kubernetes import Kubernetes
from pyflagger.routing.nginx import Nginx
from pyflagger.testing import Scene, check_router

INGRESS = {"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"}}


@pytest.mark.parametrize(
    "make, scene",
    [(Kubernetes, Scene()), (Nginx, Scene(INGRESS, (ingress(),)))],
    ids=["kubernetes", "nginx"],
)
def test_it_conforms(make: type, scene: Scene) -> None:
    """Every check that applies to what it can do."""
    assert len(check_router(make, scene)) >= 7
