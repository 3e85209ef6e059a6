"""Providers appmesh: nodes, routers and virtual services as each version has them."""

from __future__ import annotations

from typing import Any

import pytest
from splits import Way, find, made, selecting

from pyflagger.objects import Obj

OLD = {"service": {"meshName": "global"}}


def kinds(one: Way) -> dict[str, list[str]]:
    """Names of what was made, by kind."""
    found: dict[str, list[str]] = {}
    for obj in one.cluster.objects.values():
        found.setdefault(obj["kind"], []).append(obj["metadata"]["name"])
    return {kind: sorted(names) for kind, names in found.items()}


def of(one: Way, kind: str, name: str) -> Obj:
    """The spec of one object."""
    (spec,) = [obj["spec"] for ref, obj in one.cluster.objects.items() if (ref.kind, ref.name) == (kind, name)]
    return dict(spec)


def test_v1beta2() -> None:
    """Routers, and virtual services that lead to them; the canary's own is all on the canary."""
    one = made(Way("appmesh:v1beta2"), 30)
    both = ["web", "web-canary"]
    nodes = ["web-canary", "web-primary"]
    assert kinds(one) == {"VirtualNode": nodes, "VirtualRouter": both, "VirtualService": both}
    targets = [
        {"virtualNodeRef": {"name": name}, "weight": weight} for name, weight in zip(nodes, (30, 70), strict=True)
    ]
    assert one.main["spec"] == {
        "listeners": [{"portMapping": {"port": 80, "protocol": "http"}}],
        "routes": [
            {"name": "web", "httpRoute": {"match": {"prefix": "/"}, "action": {"weightedTargets": targets}}},
        ],
    }
    (straight,) = of(one, "VirtualRouter", "web-canary")["routes"]
    assert [each["weight"] for each in straight["httpRoute"]["action"]["weightedTargets"]] == [100, 0]
    assert of(one, "VirtualService", "web") == {"provider": {"virtualRouter": {"virtualRouterRef": {"name": "web"}}}}
    node = of(one, "VirtualNode", "web-primary")
    assert node["listeners"] == [{"portMapping": {"port": 8080, "protocol": "http"}}]
    assert node["serviceDiscovery"] == {"dns": {"hostname": "web-primary.test.svc.cluster.local."}}


def test_v1beta1() -> None:
    """Virtual services with routes of their own, by full names; the apex has a node too."""
    one = made(Way("appmesh", OLD), 30)
    nodes = ["web", "web-canary", "web-primary"]
    assert kinds(one) == {"VirtualNode": nodes, "VirtualService": ["web-canary.test", "web.test"]}
    assert one.main["spec"]["meshName"] == "global" and one.main["spec"]["virtualRouter"]["name"] == "web"
    assert one.backends == [
        {"virtualNodeName": "web-canary", "weight": 30},
        {"virtualNodeName": "web-primary", "weight": 70},
    ]
    assert of(one, "VirtualNode", "web")["serviceDiscovery"] == {"dns": {"hostName": "web-primary.test"}}
    assert Way("appmesh").problem().text == "mesh name cannot be empty"


def test_a_virtual_service_that_was_lost_is_made_again() -> None:
    """Each object by itself, whatever became of the others."""
    one = made(Way("appmesh:v1beta2"), 30)
    for ref in [ref for ref in one.cluster.objects if ref.kind in ("VirtualService", "VirtualNode")]:
        obj = one.cluster.objects.pop(ref)
        assert one.reconcile() == 1 and one.cluster.objects[ref]["spec"] == obj["spec"]


def test_nodes_stand_for_the_pods_of_the_services() -> None:
    """By the selectors that these have, whatever the label."""
    labels = {"app.kubernetes.io/name": "web-primary"}
    one = made(Way("appmesh:v1beta2", objects=(selecting("web-primary", **labels),)))
    assert of(one, "VirtualNode", "web-primary")["podSelector"] == {"matchLabels": labels}


def test_what_the_controller_of_the_mesh_fills_in_stays() -> None:
    """Else the two would write against each other."""
    one = made(Way("appmesh:v1beta2"), 10)
    one.main["spec"] |= {"awsName": "web_test", "meshRef": {"name": "global", "uid": "x"}}
    assert one.reconcile() == 0 and one.set(20) == 1
    assert one.main["spec"]["awsName"] == "web_test" and one.main["spec"]["meshRef"]["uid"] == "x"


@pytest.mark.parametrize("provider, each", [("appmesh", {"perRetryTimeoutMillis": 1000}), ("appmesh:v1beta2", None)])
def test_policies(provider: str, each: dict[str, Any] | None) -> None:
    """Retries, timeouts, backends and what the gateway reads."""
    spec = {
        "meshName": "global",
        "timeout": "15s",
        "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "gateway-error, stream-error"},
        "hosts": ["a.example", "b.example"],
        "backends": ["other.test", "arn:aws:x"],
    }
    one = made(Way(provider, {"service": spec}))
    (route,) = one.main["spec"]["routes"]
    http = route["http" if each else "httpRoute"]
    timeout = each or {"perRetryTimeout": {"unit": "ms", "value": 1000}}
    assert http["retryPolicy"] == {**timeout, "maxRetries": 3, "httpRetryEvents": ["gateway-error", "stream-error"]}
    (virtual,) = [
        obj
        for obj in one.cluster.objects.values()
        if obj["kind"] == "VirtualService" and "canary" not in obj["metadata"]["name"]
    ]
    said = {key.partition("/")[2]: text for key, text in virtual["metadata"]["annotations"].items() if "gateway" in key}
    assert said == {"expose": "true", "domain": "a.example,b.example,", "timeout": "15s", "retries": "3"}
    backends = [entry["virtualService"] for entry in of(one, "VirtualNode", "web-primary")["backends"]]
    plain = [{"virtualServiceName": name} for name in ("other.test", "arn:aws:x")]
    assert backends == (
        plain if each else [{"virtualServiceRef": {"name": "other.test"}}, {"virtualServiceARN": "arn:aws:x"}]
    )


def test_grpc_has_routes_of_its_own() -> None:
    """An HTTP route on a gRPC listener is refused by the mesh."""
    one = made(Way("appmesh:v1beta2", {"service": {"portName": "grpc"}}), 30)
    (route,) = one.main["spec"]["routes"]
    assert "httpRoute" not in route and "prefix" not in route["grpcRoute"]["match"]
    assert one.read() is not None and one.reconcile() == 0


def test_ab_by_priority() -> None:
    """The rules of the entries before the one for everybody."""
    match = [{"headers": {"x": {"suffix": "y"}}}]
    analysis = {"stepWeight": None, "maxWeight": None, "iterations": 2, "match": match}
    one = made(Way("appmesh:v1beta2", {"analysis": analysis}), 100)
    ruled, everybody = one.main["spec"]["routes"]
    assert ruled["httpRoute"]["match"] == {"prefix": "/", "headers": [{"name": "x", "match": {"suffix": "y"}}]}
    assert (ruled["priority"], everybody["priority"]) == (10, 20) and ruled["name"] != everybody["name"]
    assert [each["weight"] for each in everybody["httpRoute"]["action"]["weightedTargets"]] == [0, 100]


@pytest.mark.parametrize("provider", ["appmesh", "appmesh:v1beta2"])
def test_retries_in_words_of_app_mesh(provider: str) -> None:
    """Connections have a list of their own; words of Envoy are told with those there are."""
    service = {"meshName": "global", "retries": {"attempts": 2, "retryOn": "server-error,connection-error"}}
    one = made(Way(provider, {"service": service}))
    found = find(one.main, "retryPolicy")[0]
    assert (found["httpRetryEvents"], found["tcpRetryEvents"]) == (["server-error"], ["connection-error"])
    wrong = Way(provider, {"service": {**service, "retries": {"attempts": 2, "retryOn": "5xx,server-error"}}}).problem()
    assert wrong.path == "spec.service.retries.retryOn" and "5xx" in wrong.text and "gateway-error" in wrong.todo
