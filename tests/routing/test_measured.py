"""The built-in checks ask for the canary by the name that its router gives it, also when `service.name` is set."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pyflagger.metrics.builtin import dialect_for, named_for
from pyflagger.metrics.dialect import Dialect
from pyflagger.metrics.evaluate import variables_for
from pyflagger.metrics.template import render
from pyflagger.objects import Obj
from pyflagger.routing.registry import PROVIDERS
from pyflagger.testing import Scene
from pyflagger.testing.scene import RouterRun


def route(apex: str) -> Obj:
    """The user's ApisixRoute."""
    return {
        "apiVersion": "apisix.apache.org/v2",
        "kind": "ApisixRoute",
        "metadata": {"name": "edge", "namespace": "test"},
        "spec": {"http": [{"name": "all", "backends": [{"serviceName": apex, "servicePort": 80}]}]},
    }


METRICS = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]


def apisix(obj: Obj) -> list[str]:
    """The label `route` of APISIX: namespace, ApisixRoute and rule."""
    meta = obj["metadata"]
    return [f"{meta['namespace']}_{meta['name']}_{rule['name']}" for rule in obj["spec"]["http"]]


def gloo(obj: Obj) -> list[str]:
    """The label `envoy_cluster_name` of Gloo: Upstream and namespace."""
    meta = obj["metadata"]
    return [f"{meta['name']}_{meta['namespace']}"] if obj["kind"] == "Upstream" else []


def kuma(obj: Obj) -> list[str]:
    """The label `service` of Kuma."""
    split = obj["spec"]["conf"].get("split", ()) if obj["kind"] == "TrafficRoute" else ()
    return [part["destination"]["kuma.io/service"] for part in split]


def traefik(obj: Obj) -> list[str]:
    """The label `service` of Traefik: namespace, Service and port."""
    services = obj["spec"]["weighted"]["services"] if obj["kind"] == "TraefikService" else ()
    return [f"{part['namespace']}-{part['name']}-{part['port']}@kubernetescrd" for part in services]


REF = {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "edge"}
CASES: dict[str, tuple[str, Callable[[Obj], list[str]], dict[str, Any]]] = {
    "apisix": ("route", apisix, {"routeRef": REF}),
    "gloo": ("envoy_cluster_name", gloo, {}),
    "kuma": ("service", kuma, {}),
    "traefik": ("service", traefik, {}),
}
"""The label, its values for an object, and the spec that the router needs, by provider."""


@pytest.mark.parametrize("name", ["shop-web", ""])
@pytest.mark.parametrize("provider", CASES)
def test_the_canary_is_measured_and_nothing_else(provider: str, name: str) -> None:
    """The matcher finds exactly one of the names that the router writes, and none of a Service with a longer name."""
    label, labels, spec = CASES[provider]
    apex = name or "web"
    service = {"port": 80, **({"name": name} if name else {})}
    whole = {"analysis": {"metrics": METRICS}, "service": service, "provider": provider, **spec}
    scene = Scene(whole, (route(apex),) if provider == "apisix" else ())
    road = RouterRun(PROVIDERS[provider], scene, scene.canary())
    road.reconcile()
    road.set(30)
    found = {value for obj in road.ours.values() for value in labels(obj)}
    canary = road.canary
    assert canary.spec.analysis is not None
    dialect = dialect_for(provider, "")
    assert isinstance(dialect, Dialect)
    query = render(dialect.success, named_for(dialect, variables_for(canary, canary.spec.analysis.metrics[0]), "http"))
    pattern = re.search(rf'{label}=~"([^"]+)"', query)
    assert pattern is not None
    matched = [value for value in found if re.fullmatch(pattern[1], value)]
    assert len(matched) == 1 and "primary" not in matched[0]
    assert not re.fullmatch(pattern[1], matched[0].replace(apex, f"{apex}-2"))
