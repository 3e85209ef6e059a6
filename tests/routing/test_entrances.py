"""What visitors come by to a route: when two routes would take each other's visitors, and when they would not."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger.routing.entrances import entrances


def found(kind: str, namespace: str = "test", **spec: Any) -> set[tuple[str, str]]:
    """Of an object."""
    obj: Obj = {"kind": kind, "metadata": {"name": "web", "namespace": namespace}, "spec": spec}
    return set(entrances(obj))


def virtual(
    hosts: list[str], gateways: list[str], *matches: Obj, namespace: str = "test", section: str = "http"
) -> Any:
    """A VirtualService's."""
    rule = {"match": list(matches)} if matches else {}
    return found("VirtualService", namespace, hosts=hosts, gateways=gateways, **{section: [rule]})


SHOP, API, ROOT = ({"uri": {"prefix": path}} for path in ("/shop", "/api", "/"))
ONE = virtual(["shop.example", "web"], ["istio-system/public"])


@pytest.mark.parametrize(
    "other, meet",
    [
        (virtual(["shop.example"], ["public"], namespace="istio-system"), True),
        (virtual(["shop.example"], ["public.istio-system.svc.cluster.local"]), True),
        (virtual(["SHOP.example"], ["more", "istio-system/public"]), True),
        (virtual(["shop.example"], ["istio-system/public"], ROOT), True),
        (virtual(["shop.example"], ["istio-system/public"], SHOP, {}), True),
        (virtual(["shop.example"], ["public"]), False),
        (virtual(["other.example", "web"], ["istio-system/public"]), False),
        (virtual(["shop.example"], ["istio-system/public"], SHOP), False),
        (virtual(["shop.example"], ["mesh"]), False),
    ],
)
def test_one_host_at_one_gateway(other: set[Any], meet: bool) -> None:
    """With the same match: Istio merges rules that differ. A name without dots is a Service's."""
    assert bool(ONE & other) is meet


def test_clients_in_the_mesh_have_one_route_a_host() -> None:
    """Whatever it matches."""
    one, two = (virtual(["shop.example"], ["mesh"], match) for match in (SHOP, API))
    assert one & two == {("Host", "shop.example at the mesh")}
    assert found("VirtualService", http=[{}]) == set(), "a delegate has no hosts"
    assert virtual(["a.example"], ["gw"], {"port": 9000}, section="tcp") == {
        ("Host", 'a.example at gateway test/gw for {"port": 9000}')
    }


PUBLIC = {"name": "public", "namespace": "infra"}


def route(hosts: list[str], *matches: Obj, parent: Obj | None = None, namespace: str = "test") -> Any:
    """An HTTPRoute's."""
    rules = [{"matches": list(matches)}]
    return found("HTTPRoute", namespace, hostnames=hosts, parentRefs=[parent or PUBLIC], rules=rules)


@pytest.mark.parametrize(
    "one, other, meet",
    [
        (route(["a.example"]), route(["a.example"], namespace="else"), True),
        (route([]), route([], {"path": {"type": "PathPrefix", "value": "/"}}), True),
        (route(["a.example"]), route(["b.example"]), False),
        (route(["a.example"]), route(["a.example"], {"path": {"type": "PathPrefix", "value": "/api"}}), False),
        (route(["a.example"]), route(["a.example"], parent={"name": "public"}), False),
        (route(["a.example"]), route(["a.example"], parent={**PUBLIC, "sectionName": "tls"}), False),
        (route(["a.example"]), route(["a.example"], parent={"name": "public"}, namespace="infra"), True),
        (route([]), route(["a.example"]), False),
    ],
)
def test_routes_of_a_gateway(one: set[Any], other: set[Any], meet: bool) -> None:
    """A more specific match or host wins, so only equal ones take each other's visitors."""
    assert bool(one & other) is meet


def test_splits_of_a_mesh() -> None:
    """One a root Service; kinds that the user's own route leads to have nothing to meet at."""
    assert found("TrafficSplit", service="web") == {("Split", "of Service test/web")}
    assert not found("TraefikService") and not found("HTTPProxy", routes=[{}])
