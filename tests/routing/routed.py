"""Canaries and Ingresses for the tests of routing."""

from __future__ import annotations

import copy
from typing import Any

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem, Route
from pyflagger.api.parse import parse_canary
from pyflagger.objects import Obj, Ref, merge_apply
from pyflagger.routing.base import RoutingOptions
from pyflagger.testing import Cluster

__all__ = ["Cluster", "Routed", "backend", "canary", "ingress", "split_by"]


class Routed:
    """A cluster in which a canary is routed, and what a router sees and does there."""

    router: Any
    canary: Canary
    cluster: Cluster
    options: RoutingOptions

    @property
    def live(self) -> dict[Ref, Obj | None]:
        """What the router sees."""
        return self.cluster.live(self.router.reads(self.canary, self.options))

    def reconcile(self) -> int:
        """Bring it into shape; how many writes that took. What the router was shown must be as it was."""
        before = copy.deepcopy(self.live)
        writes = self.router.reconcile(self.canary, self.live, self.options)
        assert self.live == before
        return self.cluster.write(writes)

    def read(self) -> Route | Problem | None:
        """The split as it is."""
        found: Route | Problem | None = self.router.read(self.canary, self.live, self.options)
        return found


def canary(status: dict[str, Any] | None = None, **spec: Any) -> Canary:
    """A Canary `web.test` on nginx with a merge patch on its spec."""
    base = {
        "provider": "nginx",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"},
        "service": {"port": 80, "targetPort": 8080},
        "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50},
    }
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "web", "namespace": "test", "uid": "u1"},
            "spec": merge_apply(base, spec),
            "status": status or {},
        }
    )


def split_by(*match: dict[str, Any], **more: Any) -> Canary:
    """A/B with these match conditions."""
    return canary(analysis={"stepWeight": None, "maxWeight": None, "iterations": 5, "match": list(match)}, **more)


def backend(name: str, port: Any = 80) -> dict[str, Any]:
    """Where a path of an Ingress leads."""
    return {"service": {"name": name, "port": {"number": port} if isinstance(port, int) else {"name": port}}}


def ingress(*backends: tuple[str, str, Any], **meta: Any) -> Obj:
    """The user's Ingress: (path, service, port) each; one rule for `web.example`."""
    paths = [
        {"path": path, "pathType": "Prefix", "backend": backend(name, port)}
        for path, name, port in backends or (("/", "web", 80),)
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "test", "resourceVersion": "1", **meta},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": "web.example", "http": {"paths": paths}}]},
    }
