"""Canaries that claim one target: who has it, and what is not the same target."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.facts import Fault
from pyflagger.objects import Key, Obj
from pyflagger.operator.observe.rivals import Rivals

OLD, NEW = Key("test", "old"), Key("test", "new")


def claim(name: str, born: int, api_version: str, kind: str = "Service") -> Obj:
    """A Canary that wants `shop`."""
    meta = {"name": name, "namespace": "test", "creationTimestamp": f"2026-01-0{born}T00:00:00Z"}
    return {"metadata": meta, "spec": {"targetRef": {"apiVersion": api_version, "kind": kind, "name": "shop"}}}


@pytest.mark.parametrize("first", [OLD, NEW])
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_older_one_has_it(first: Key, version: str) -> None:
    """Whichever is seen first, and whichever version of the group it names."""
    claims = {OLD: claim("old", 1, "serving.knative.dev/v1"), NEW: claim("new", 2, f"serving.knative.dev/{version}")}
    rivals = Rivals()
    assert rivals.put(first, claims.pop(first)) == frozenset()
    ((second, raw),) = claims.items()
    assert rivals.put(second, raw) == {first}
    assert rivals.problem(OLD) is None
    told = rivals.problem(NEW)
    assert told is not None and told.fault is Fault.MANIFEST and "canary old" in told.text
    assert rivals.drop(OLD) == {NEW} and rivals.problem(NEW) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("v1", "Service"), ("serving.knative.dev/v1", "Service")),
        (("apps/v1", "Deployment"), ("apps/v1", "DaemonSet")),
    ],
)
def test_another_group_or_kind_is_another_target(one: tuple[str, str], other: tuple[str, str]) -> None:
    """A Service and a Knative Service may have one name; nobody waits for the other."""
    rivals = Rivals()
    assert rivals.put(OLD, claim("old", 1, *one)) == frozenset() == rivals.put(NEW, claim("new", 2, *other))
    assert rivals.problem(OLD) is None is rivals.problem(NEW)


def test_a_claim_without_a_target() -> None:
    """Of what is no reference nothing is known; nothing breaks."""
    rivals = Rivals()
    rivals.put(OLD, {"metadata": {"name": "old"}, "spec": {"targetRef": "shop"}})
    assert rivals.problem(OLD) is None and rivals.problem(NEW) is None


def whole(name: str, born: int = 1, namespace: str = "mall", **spec: Any) -> Obj:
    """A Canary that makes sense."""
    base = {
        "provider": "nginx",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "mall"},
        "service": {"port": 80, "gatewayRefs": [{"name": "gate"}]},
        "analysis": {"interval": "10s", "threshold": 1, "stepWeights": [50]},
    }
    meta = {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-0{born}T00:00:00Z", "uid": name}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": meta, "spec": {**base, **spec}}


def met(one: Obj, two: Obj) -> str:
    """What the second is told; empty when both go on. The first is told nothing."""
    rivals, keys = Rivals(), [Key(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in (one, two)]
    for key, obj in zip(keys, (one, two), strict=True):
        rivals.put(key, obj)
    assert rivals.problem(keys[0]) is None
    told = rivals.problem(keys[1])
    return told.text if told else ""


def route(kind: str, name: str, version: str = "traefik.io/v1alpha1") -> Obj:
    """A reference to a route."""
    return {"apiVersion": version, "kind": kind, "name": name}


GATEWAY = {"gatewayRefs": [{"name": "gate"}]}
ADMIN = {"port": 80, **GATEWAY, "ports": [{"name": "admin", "port": 81}]}
JUDGED = {
    "interval": "10s",
    "threshold": 1,
    "stepWeights": [50],
    "metrics": [{"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}],
}
MEET: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "one Ingress": ({}, {}, ""),
    "one MetricTemplate": ({"analysis": JUDGED}, {"analysis": JUDGED}, ""),
    "one Service": (
        {"service": {"name": "shop", "port": 80}},
        {"service": {"name": "shop", "port": 80}},
        "service shop, service shop-primary, service shop-canary already belong",
    ),
    "apex and derived": (
        {},
        {"service": {"name": "front-primary", "port": 80}},
        "service front-primary already belongs",
    ),
    "one adopted route": (
        {"provider": "traefik", "routeRef": route("TraefikService", "web")},
        {"provider": "traefik", "routeRef": route("TraefikService", "web")},
        "traefikservice web already belongs to canary front",
    ),
    "one copied route": (
        {"provider": "apisix", "routeRef": route("ApisixRoute", "web", "apisix.apache.org/v2")},
        {"provider": "apisix", "routeRef": route("ApisixRoute", "web", "apisix.apache.org/v2")},
        "",
    ),
    "one Upstream": (
        {"provider": "gloo", "upstreamRef": route("Upstream", "web", "gloo.solo.io/v1")},
        {"provider": "gloo", "upstreamRef": route("Upstream", "web", "gloo.solo.io/v1")},
        "",
    ),
    "a route of a port": (
        {"provider": "gatewayapi:v1", "service": ADMIN},
        {"provider": "gatewayapi:v1", "service": {"name": "front-admin", "port": 80, **GATEWAY}},
        "httproute front-admin already belongs",
    ),
    "two providers": ({"provider": "kubernetes"}, {"provider": "istio"}, ""),
}


@pytest.mark.parametrize("case", MEET)
def test_what_two_canaries_claim(case: str) -> None:
    """What both would write; what both only read, or have each for itself, they share."""
    one, two, text = MEET[case]
    assert met(whole("front", 1, **one), whole("orders", 2, **two)).startswith(text)
    assert bool(text) == bool(met(whole("front", 1, **one), whole("orders", 2, **two)))


def test_namespaces() -> None:
    """Names are a namespace's own, but for Kuma's routes, which are the cluster's."""
    same = {"service": {"name": "shop", "port": 80}}
    assert met(whole("front", 1, "a", **same), whole("orders", 2, "b", **same)) == ""
    kuma = {"provider": "kuma", **same}
    text = met(whole("front", 1, "a", **kuma), whole("orders", 2, "b", **kuma))
    assert text == "trafficroute shop already belongs to canary front.a, which is older"


def test_a_canary_that_has_problems_keeps_what_it_had() -> None:
    """An edit that makes no sense frees nothing; a Canary that never made sense has its target alone."""
    same = {"service": {"name": "shop", "port": 80}}
    front, orders = Key("mall", "front"), Key("mall", "orders")
    for first, blocked in (
        (whole("front", 1, **same), True),
        (whole("front", 1, **same, analysis={"threshold": -1}), False),
    ):
        rivals = Rivals()
        rivals.put(front, first)
        rivals.put(orders, whole("orders", 2, **same))
        rivals.put(front, whole("front", 1, **same, analysis={"threshold": -1}))
        assert bool(rivals.problem(orders)) is blocked
    assert rivals.put(front, whole("front", 1, **same)) == {orders}
    assert rivals.problem(orders) is not None


MEETING: dict[str, tuple[Obj, Obj, str]] = {
    "one host at a gateway": (
        {"provider": "istio", "service": {"port": 80, "hosts": ["a.example"], "gateways": ["infra/public"]}},
        {},
        "host a.example at gateway infra/public already belongs to canary front.mall, which is older",
    ),
    "one host of a Gateway": (
        {
            "provider": "gatewayapi:v1",
            "service": {"port": 80, "hosts": ["a.example"], "gatewayRefs": [{"name": "public", "namespace": "infra"}]},
        },
        {},
        "route of host a.example at Gateway infra/public already belongs to canary front.mall, which is older",
    ),
    "another path": (
        {"provider": "istio", "service": {"port": 80, "hosts": ["a.example"], "gateways": ["infra/public"]}},
        {"match": [{"uri": {"prefix": "/orders"}}]},
        "",
    ),
    "another host": (
        {"provider": "istio", "service": {"port": 80, "hosts": ["a.example"], "gateways": ["infra/public"]}},
        {"hosts": ["b.example"]},
        "",
    ),
    "the hosts of their Services": ({"provider": "istio", "service": {"port": 80}}, {}, ""),
}


@pytest.mark.parametrize("meeting", MEETING)
def test_visitors_of_one_host(meeting: str) -> None:
    """Canaries of any namespaces whose routes would take each other's; the elder hears nothing."""
    spec, differs, text = MEETING[meeting]
    rivals, one, two = Rivals(), Key("mall", "front"), Key("town", "orders")
    rivals.put(one, whole("front", 1, **spec))
    other = {**spec, "service": {**spec["service"], **differs}}
    assert rivals.put(two, whole("orders", 2, "town", **other)) == ({one} if text else frozenset())
    told = rivals.problem(two)
    assert rivals.problem(one) is None and (told.text if told else "") == text
    if told:
        assert told.path == "spec.service.hosts" and "spec.service.match differs" in told.todo
        assert rivals.drop(one) == {two} and rivals.problem(two) is None
