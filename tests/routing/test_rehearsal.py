"""What a release would ask of a route and the route cannot say: found before it, by the provider's own rendering."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from routed import canary, ingress

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Problem
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, ref_of
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.limits import beyond
from pyflagger.routing.registry import PROVIDERS
from pyflagger.routing.rehearsal import after, unsayable

GATEWAY = {"gatewayRefs": [{"name": "gateway"}]}
COOKIE = {"headers": {"cookie": {"regex": "^(.*?;)?(beta=1)(;.*)?$"}}}
PREFIX, SUFFIX = {"headers": {"x": {"prefix": "a"}}}, {"headers": {"x": {"suffix": "a"}}}
QUERY, LABELS = {"queryParams": {"x": {"exact": "a"}}}, {"sourceLabels": {"x": "a"}}
HEADER = {"headers": {"x": {"exact": "a"}}}
OTHER = {"headers": {"y": {"exact": "a"}}}


def live(router: Any, of: Canary) -> dict[Ref, Obj | None]:
    """A cluster with the user's Ingress alone."""
    there = {ref_of(ingress()): ingress()}
    return {ref: there.get(ref) for ref in router.reads(of, RoutingOptions())}


def told(provider: str, of: Canary) -> list[str]:
    """The paths of what cannot be said; nothing that was shown may be changed."""
    router, there = PROVIDERS[provider], live(PROVIDERS[provider], of)
    before = copy.deepcopy(there)
    found = unsayable(router, of, there, RoutingOptions())
    assert there == before
    assert all(problem.path and problem.todo for problem in found)
    return [problem.path for problem in found]


def ab(provider: str, *match: Obj, **service: Any) -> Canary:
    """A/B with these conditions."""
    analysis = {"stepWeight": None, "maxWeight": None, "iterations": 5, "match": list(match)}
    return canary(provider=provider, service={**GATEWAY, **service}, analysis=analysis)


MATCH = "spec.analysis.match[0]"


@pytest.mark.parametrize(
    ("provider", "match", "path"),
    [
        ("nginx", COOKIE, f"{MATCH}.headers.cookie"),
        ("nginx", PREFIX, f"{MATCH}.headers.x"),
        ("nginx", SUFFIX, f"{MATCH}.headers.x"),
        ("nginx", QUERY, f"{MATCH}.queryParams"),
        ("nginx", LABELS, f"{MATCH}.sourceLabels"),
        ("gloo", LABELS, f"{MATCH}.sourceLabels"),
        ("contour", LABELS, f"{MATCH}.sourceLabels"),
        ("istio", SUFFIX, f"{MATCH}.headers.x"),
        ("gatewayapi:v1", PREFIX, f"{MATCH}.headers.x"),
        ("gatewayapi:v1beta1", SUFFIX, f"{MATCH}.headers.x"),
        ("gatewayapi:v1", LABELS, f"{MATCH}.sourceLabels"),
        ("appmesh:v1beta2", QUERY, f"{MATCH}.queryParams"),
    ],
)
def test_a_condition_that_a_provider_cannot_express(provider: str, match: Obj, path: str) -> None:
    """It is found with its path while nothing is released yet."""
    assert told(provider, ab(provider, match)) == [path]


@pytest.mark.parametrize("provider", ["nginx", "gloo", "contour", "istio", "gatewayapi:v1", "appmesh:v1beta2"])
def test_a_condition_that_every_provider_can_express(provider: str) -> None:
    """Nothing is told."""
    assert told(provider, ab(provider, HEADER)) == []


def test_one_header_too_many_for_an_ingress() -> None:
    """Annotations hold one header: the second one is named."""
    assert told("nginx", ab("nginx", HEADER, OTHER)) == ["spec.analysis.match[1].headers.y"]


def test_testers_beside_weights() -> None:
    """What pins requests is rehearsed at a weight between."""
    assert told("nginx", canary(analysis={"testers": [PREFIX]})) == ["spec.analysis.testers[0].headers.x"]
    assert told("nginx", canary(analysis={"testers": [HEADER]})) == []


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if not name.endswith(":")])
def test_plain_weights_can_be_said_by_all(provider: str) -> None:
    """Also by those whose route is not there yet: that is told by whoever brings it about."""
    assert told(provider, canary(provider=provider, service=GATEWAY)) == []


def test_what_is_missing_is_not_told_twice() -> None:
    """Without the user's Ingress there is nothing to rehearse with."""
    of = ab("nginx", COOKIE)
    router = PROVIDERS["nginx"]
    nothing: dict[Ref, Obj | None] = dict.fromkeys(router.reads(of, RoutingOptions()))
    assert isinstance(router.reconcile(of, nothing, RoutingOptions()), Problem)
    assert unsayable(router, of, nothing, RoutingOptions()) == ()


def test_a_route_that_is_there_already() -> None:
    """In the middle of a release the same is found: an edit of the manifest then is held, too."""
    of, router = ab("nginx", COOKIE), PROVIDERS["nginx"]
    there = live(router, of)
    writes = router.reconcile(of, there, RoutingOptions())
    assert not isinstance(writes, Problem)
    (found,) = unsayable(router, of, after(there, writes), RoutingOptions())
    assert found.path == f"{MATCH}.headers.cookie"


@pytest.mark.parametrize(
    ("service", "analysis", "path"),
    [
        ({"hosts": ["*"]}, {}, "spec.service.hosts"),
        ({"hosts": ["shop.example.com:8080"]}, {}, "spec.service.hosts"),
        ({"hosts": [f"h{n}.example.com" for n in range(17)]}, {}, "spec.service.hosts"),
        ({"gatewayRefs": [{"name": f"g{n}"} for n in range(33)]}, {}, "spec.service.gatewayRefs"),
        ({"timeout": "1.5s"}, {}, "spec.service.timeout"),
        ({"backendTimeout": "100us"}, {}, "spec.service.backendTimeout"),
        ({}, {"match": [HEADER] * 65}, "spec.analysis.match"),
        ({}, {"match": [{"headers": {f"x-{n}": {"exact": "a"} for n in range(17)}}]}, "spec.analysis.match"),
        ({}, {"match": [{"headers": {"x": {"exact": "a" * 4097}}}]}, "spec.analysis.match"),
        ({}, {"match": [{"headers": {"x": {"exact": ""}}}]}, "spec.analysis.match"),
    ],
)
def test_limits_of_an_http_route(service: Obj, analysis: Obj, path: str) -> None:
    """What the definition of the kind refuses is told by the path in the Canary, once."""
    ruled = {"stepWeight": None, "maxWeight": None, "iterations": 5, **analysis} if analysis else {}
    assert told("gatewayapi:v1", canary(service={**GATEWAY, **service}, analysis=ruled)) == [path]


def test_the_edges_of_an_http_route() -> None:
    """The most that fits is no problem; other kinds have no limits here; what is no list counts as none."""
    service = {"hosts": ["*.example.com", "a.b"], "timeout": "1h30m", "backendTimeout": "500ms"}
    assert told("gatewayapi:v1", ab("gatewayapi:v1", *[HEADER] * 64, **service)) == []
    assert beyond({"kind": "Ingress", "spec": {"rules": 5}}) == ()
    assert beyond({"kind": "HTTPRoute", "spec": {"rules": 5, "hostnames": None}}) == ()
    assert beyond({"kind": "HTTPRoute", "spec": {"rules": [5, {"matches": [5]}]}}) == ()


def test_writes_in_memory() -> None:
    """Created, changed and deleted objects, in an order."""
    one: Obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "n"}, "spec": {"x": 1}}
    ref = ref_of(one)
    assert after({}, (Create(one), Patch(ref, {"spec": {"x": None, "y": 2}})))[ref] == {**one, "spec": {"y": 2}}
    assert after({ref: one}, (Delete(ref),)) == {ref: None}
