"""Fields that routes get unchanged: each value that no route can have is named with its path, and newer fields pass."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities
from pyflagger.api.parse import parse_canary
from pyflagger.api.verbatim import misshapen
from pyflagger.objects import Obj

ADOPTING = Capabilities(adopt=True)
POLICY = "trafficPolicy"


def canary(service: Obj, **spec: Any) -> Canary:
    """A Canary with these fields of its Service."""
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1}
    body = {"targetRef": ref, "service": {"port": 80, **service}, **spec}
    return parse_canary({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata, "spec": body})


def paths(provider: str, field: str, value: Any) -> list[str]:
    """The paths of the problems, below the field."""
    found = list(misshapen(canary({field: value}), provider, ADOPTING))
    assert all(problem.text.startswith(problem.path) and problem.todo for problem in found)
    return [problem.path.removeprefix(f"spec.service.{field}") for problem in found]


@pytest.mark.parametrize("provider", ["istio", "gatewayapi:v1"])
@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("match", [{"uri": "/"}], "[0].uri"),
        ("match", [{"uri": {"exact": 1}}], "[0].uri.exact"),
        ("match", [{}, {"uri": {"exact": "a", "prefix": "b"}}], "[1].uri"),
        ("match", [{"headers": ["x"]}], "[0].headers"),
        ("match", [{"headers": {"x": "y"}}], "[0].headers.x"),
        ("match", [{"gateways": "mesh"}], "[0].gateways"),
        ("match", [{"port": "80"}], "[0].port"),
        ("match", [{"port": True}], "[0].port"),
        ("match", [{"ignoreUriCase": "yes"}], "[0].ignoreUriCase"),
        ("headers", {"request": []}, ".request"),
        ("headers", {"request": {"set": {"x": 1}}}, ".request.set.x"),
        ("headers", {"response": {"remove": "x"}}, ".response.remove"),
        ("headers", {"response": {"remove": ["x", 1]}}, ".response.remove[1]"),
        ("corsPolicy", {"allowMethods": "GET"}, ".allowMethods"),
        ("corsPolicy", {"allowOrigins": ["x"]}, ".allowOrigins[0]"),
        ("corsPolicy", {"allowCredentials": "true"}, ".allowCredentials"),
        ("corsPolicy", {"maxAge": 5}, ".maxAge"),
        ("corsPolicy", {"unmatchedPreflights": "NEVER"}, ".unmatchedPreflights"),
    ],
)
def test_values_of_the_wrong_type(provider: str, field: str, value: Any, path: str) -> None:
    """A router cannot render them: they made it fail with an error of Python."""
    assert paths(provider, field, value) == [path]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"tls": {"mode": "NONE"}}, ".tls.mode"),
        ({"loadBalancer": {"simple": "FASTEST"}}, ".loadBalancer.simple"),
        ({"loadBalancer": {"simple": "RANDOM", "consistentHash": {"useSourceIp": True}}}, ".loadBalancer"),
        (
            {"loadBalancer": {"consistentHash": {"httpCookie": {"ttl": "0s"}}}},
            ".loadBalancer.consistentHash.httpCookie",
        ),
        ({"connectionPool": {"http": {"maxRetries": 1.5}}}, ".connectionPool.http.maxRetries"),
        ({"connectionPool": {"tcp": {"connectTimeout": "30"}}}, ".connectionPool.tcp.connectTimeout"),
        ({"connectionPool": {"tcp": {"connectTimeout": 30}}}, ".connectionPool.tcp.connectTimeout"),
        ({"outlierDetection": {"interval": "0s"}}, ".outlierDetection.interval"),
        ({"portLevelSettings": [{"tls": {"mode": "NONE"}}]}, ".portLevelSettings[0].tls.mode"),
    ],
)
def test_traffic_policies_that_istio_does_not_accept(value: Obj, path: str) -> None:
    """Enumerations, durations, whole numbers and alternatives."""
    assert paths("istio", POLICY, value) == [path]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([{}], "[0]"),
        ([{"backendRef": 5}], "[0].backendRef"),
        ([{"backendRef": {"name": "Copies_"}}], "[0].backendRef.name"),
        ([{"backendRef": {"name": "copies", "port": "http"}}], "[0].backendRef.port"),
        ([{"backendRef": {"name": "copies", "group": "a b"}}], "[0].backendRef.group"),
        ([{"backendRef": {"name": "copies", "group": ""}, "percent": 101}], "[0].percent"),
        ([{"backendRef": {"name": "copies"}, "percent": 1, "fraction": {"numerator": 1}}], "[0]"),
        ([{"backendRef": {"name": "copies"}, "fraction": {"denominator": 3}}], "[0].fraction"),
    ],
)
def test_mirrors_that_a_gateway_does_not_accept(value: list[Obj], path: str) -> None:
    """Names, ports and shares."""
    assert paths("gatewayapi:v1beta1", "mirror", value) == [path]


@pytest.mark.parametrize(
    ("provider", "service"),
    [
        ("istio", {POLICY: {"tls": {"mode": "ISTIO_MUTUAL"}, "newer": 1}}),
        ("istio", {POLICY: {"connectionPool": {"http": {"maxRetries": 3.0, "h2UpgradePolicy": "UPGRADE"}}}}),
        ("istio", {POLICY: {"loadBalancer": {"simple": None, "consistentHash": {"httpCookie": {"name": "a"}}}}}),
        ("istio", {"match": [{"uri": {"prefix": "/"}, "newer": {"a": 1}}], "corsPolicy": {"allowOrigin": ["a"]}}),
        ("istio", {"headers": {"request": {"add": {"x": "1"}, "remove": ["y"]}, "response": None}}),
        ("gatewayapi:v1", {"mirror": [{"backendRef": {"name": "copies", "port": 80}, "percent": 100}]}),
        ("gatewayapi:v1", {POLICY: {"tls": {"mode": "NONE"}}}),
        ("nginx", {"match": [{"uri": "/"}], "corsPolicy": {"maxAge": 5}}),
    ],
)
def test_values_that_pass(provider: str, service: Obj) -> None:
    """Fields that the shapes do not know, and fields that the provider does not use."""
    assert list(misshapen(canary(service), provider, ADOPTING)) == []


def test_an_adopted_route_gets_none_of_them() -> None:
    """Only weights are written there."""
    ref = {"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "name": "theirs"}
    of = canary({"match": [{"uri": "/"}]}, routeRef=ref)
    assert list(misshapen(of, "istio", ADOPTING)) == []
    assert len(list(misshapen(of, "istio", Capabilities()))) == 1
