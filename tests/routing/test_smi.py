"""Providers linkerd, osm and smi: the TrafficSplit as each version of it is spelt."""

from __future__ import annotations

from typing import Any

import pytest
from splits import Way, made

from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.registry import router_for
from pyflagger.routing.smi import GATEWAYS, Smi


@pytest.mark.parametrize(
    "provider, version, weights",
    [
        ("linkerd", "v1alpha1", ["30", "70"]),
        ("smi:v1alpha1", "v1alpha1", ["30", "70"]),
        ("osm", "v1alpha2", [30, 70]),
        ("smi:v1alpha2", "v1alpha2", [30, 70]),
        ("smi:v1alpha3", "v1alpha3", [30, 70]),
    ],
)
def test_the_shape(provider: str, version: str, weights: list[Any]) -> None:
    """The canary first; quantities in the first version, numbers since."""
    split = made(Way(provider), 30).main
    assert (split["apiVersion"], split["kind"]) == (f"split.smi-spec.io/{version}", "TrafficSplit")
    assert (split["metadata"]["name"], split["metadata"]["namespace"]) == ("web", "test")
    names = ("web-canary", "web-primary")
    backends = [{"service": name, "weight": weight} for name, weight in zip(names, weights, strict=True)]
    assert split["spec"] == {"service": "web", "backends": backends}


@pytest.mark.parametrize("name", ["smi:v1alpha1:linkerd", "smi:v1alpha2:istio", "smi:v1alpha3:any"])
def test_any_mesh_may_be_named(name: str) -> None:
    """After the version."""
    router = router_for(name)
    assert isinstance(router, Smi) and router.kinds[0].version == name.split(":")[1]


@pytest.mark.parametrize(
    "hosts, root", [([], "web"), (["shop"], "shop"), (["shop.example.com"], "web"), (["*"], "web")]
)
def test_the_root_is_a_service(hosts: list[str], root: str) -> None:
    """A host of the outside world is none: the apex is split then."""
    assert made(Way("linkerd", {"service": {"hosts": hosts}})).main["spec"]["service"] == root


@pytest.mark.parametrize("mesh, told", [("istio", True), ("linkerd", False)])
def test_gateways_of_istio(mesh: str, told: bool) -> None:
    """For its SMI adapter, in an annotation; also when the operator names the provider."""
    spec = {"service": {"gateways": ["public.istio-system"]}, "provider": f"smi:v1alpha1:{mesh}"}
    annotations = made(Way("smi:v1alpha1", spec)).main["metadata"]["annotations"]
    assert annotations.get(GATEWAYS) == ('["public.istio-system"]' if told else None)
    of_operator = Way(
        "smi:v1alpha1", {**spec, "provider": None}, options=RoutingOptions(mesh_provider=f"smi:v1alpha1:{mesh}")
    )
    assert (GATEWAYS in made(of_operator).main["metadata"]["annotations"]) is told


def test_matches_of_the_user_stay() -> None:
    """Version 3 may narrow a split to some requests: drift elsewhere does not take that away."""
    one = made(Way("smi:v1alpha3"), 10)
    one.main["spec"]["matches"] = [{"kind": "HTTPRouteGroup", "name": "theirs"}]
    one.main["spec"]["service"] = "other"
    assert one.reconcile() == 1
    assert one.main["spec"]["service"] == "web" and one.main["spec"]["matches"][0]["name"] == "theirs"


def test_another_name_of_the_service_is_another_split() -> None:
    """Named as the apex, it splits the apex."""
    one = made(Way("linkerd", {"service": {"name": "shop"}}))
    assert one.main["metadata"]["name"] == one.main["spec"]["service"] == "shop"
    assert [backend["service"] for backend in one.backends] == ["shop-canary", "shop-primary"]
