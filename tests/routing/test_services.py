"""The three Services: apex, primary and canary; made, mended, shared with the user, and given back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from routed import Cluster, canary

from pyflagger.api.facts import Fault, Problem
from pyflagger.api.selectors import Selector
from pyflagger.objects import Obj
from pyflagger.routing import services
from pyflagger.routing.services import LAST_APPLIED, Role

APP = Selector("app", {"app": "web"}, {"app": "web-primary"})


def made(role: Role = Role.APEX, ports: tuple[Obj, ...] = (), to_canary: bool = False, **service: Any) -> Obj:
    """A Service as it is made."""
    cluster = Cluster()
    of = canary(service=service)
    assert cluster.write(services.reconcile(of, role, APP, ports, None, to_canary=to_canary)) == 1
    return cluster.objects[services.ref(of, role)]


def mended(live: Obj, role: Role = Role.APEX, ports: tuple[Obj, ...] = (), **service: Any) -> tuple[Obj, int]:
    """A live Service after a look, and how many writes that took."""
    cluster, of = Cluster(live), canary(service=service)
    ref = services.ref(of, role)
    count = cluster.write(services.reconcile(of, role, APP, ports, live))
    assert cluster.write(services.reconcile(of, role, APP, ports, cluster.objects[ref])) == 0, "once is enough"
    return cluster.objects[ref], count


@pytest.mark.parametrize(
    "role, name, selects",
    [
        (Role.APEX, "web", "web-primary"),
        (Role.PRIMARY, "web-primary", "web-primary"),
        (Role.CANARY, "web-canary", "web"),
    ],
)
def test_names_and_selectors(role: Role, name: str, selects: str) -> None:
    """Users call the apex and get the primary."""
    service = made(role)
    assert service["metadata"]["name"] == name
    assert service["spec"]["selector"] == {"app": selects}
    assert service["metadata"]["labels"] == {"app": name}
    assert service["spec"]["type"] == "ClusterIP" and "clusterIP" not in service["spec"]
    assert service["metadata"]["ownerReferences"][0]["kind"] == "Canary"
    assert service["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/reconcile"] == "disabled"


PORTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}),
    "no target port": (
        {"targetPort": None},
        {"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"},
    ),
    "a named target port": (
        {"targetPort": "web"},
        {"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"},
    ),
    "a name": ({"portName": "grpc"}, {"name": "grpc", "port": 80, "targetPort": 8080, "protocol": "TCP"}),
    "a protocol": (
        {"appProtocol": "kubernetes.io/h2c"},
        {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
    ),
}


@pytest.mark.parametrize("case", PORTS)
def test_the_main_port(case: str) -> None:
    """As the Canary says."""
    spec, wanted = PORTS[case]
    assert made(**spec)["spec"]["ports"] == [wanted]


def test_discovered_ports_follow() -> None:
    """After the main one."""
    extra = {"name": "metrics", "port": 9090, "targetPort": 9090, "protocol": "TCP"}
    assert [port["name"] for port in made(ports=(extra,))["spec"]["ports"]] == ["http", "metrics"]


def test_headless_and_traffic_distribution() -> None:
    """When asked for."""
    assert made(headless=True)["spec"]["clusterIP"] == "None"
    assert made(trafficDistribution="PreferClose")["spec"]["trafficDistribution"] == "PreferClose"


@pytest.mark.parametrize("role", Role)
def test_metadata_of_each_role(role: Role) -> None:
    """The Canary's own labels and annotations for this one, and for no other."""
    custom = {"labels": {"tier": "x"}, "annotations": {"note": "y"}}
    assert made(role, **{role.value: custom})["metadata"]["labels"]["tier"] == "x"
    assert made(role, **{role.value: custom})["metadata"]["annotations"]["note"] == "y"
    other = Role.APEX if role is not Role.APEX else Role.CANARY
    assert "tier" not in made(other, **{role.value: custom})["metadata"]["labels"]


def test_no_service_in_the_manifest() -> None:
    """A problem with its path."""
    found = services.reconcile(canary().model_copy(update={"spec": _without_service()}), Role.APEX, APP, (), None)
    assert isinstance(found, Problem) and found.path == "spec.service" and found.fault is Fault.MANIFEST


def _without_service() -> Any:
    return canary().spec.model_copy(update={"service": None})


# Mending ------------------------------------------------------------------------------------------------------------


def test_nothing_to_mend() -> None:
    """What a server adds is none of our business."""
    live = made()
    live["spec"] |= {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "sessionAffinity": "None"}
    _, writes = mended(live)
    assert writes == 0


DRIFT: dict[str, Any] = {
    "another selector": lambda o: o["spec"].update(selector={"app": "x"}),
    "a selector too much": lambda o: o["spec"]["selector"].update(version="2"),
    "another label to select by": lambda o: o["spec"].update(selector={"name": "web"}),
    "another port": lambda o: o["spec"]["ports"][0].update(port=81),
    "another target port": lambda o: o["spec"]["ports"][0].update(targetPort=1),
    "another name of a port": lambda o: o["spec"]["ports"][0].update(name="x"),
    "a port too much": lambda o: o["spec"]["ports"].append({"name": "y", "port": 9}),
    "a label changed": lambda o: o["metadata"]["labels"].update(app="x"),
    "a label too much": lambda o: o["metadata"]["labels"].update(more="x"),
    "an annotation taken away": lambda o: o["metadata"].update(annotations={}),
    "a distribution": lambda o: o["spec"].update(trafficDistribution="PreferClose"),
}


@pytest.mark.parametrize("what", DRIFT)
def test_drift_is_mended(what: str) -> None:
    """In one write."""
    live = made()
    DRIFT[what](live)
    after, writes = mended(live)
    assert writes == 1
    wanted = made()
    for part in ("spec", "metadata"):
        assert {**after[part], "resourceVersion": ""} == {**wanted[part], "resourceVersion": ""}


def test_ports_in_another_order_are_the_same() -> None:
    """No write for that."""
    extra = {"name": "metrics", "port": 9090, "targetPort": 9090, "protocol": "TCP"}
    live = made(ports=(extra,))
    live["spec"]["ports"].reverse()
    del live["spec"]["ports"][0]["protocol"]
    assert mended(live, ports=(extra,))[1] == 0


def test_node_ports_are_kept() -> None:
    """They belong to the server; a change of the rest must not give them away."""
    live = made()
    live["spec"]["ports"][0]["nodePort"] = 30080
    after, _ = mended(live, targetPort=9000)
    assert after["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": 9000, "protocol": "TCP", "nodePort": 30080}
    ]


def test_listed_keys_of_others_stay() -> None:
    """`unmanagedMetadata` names what somebody else keeps."""
    live = made()
    live["metadata"]["labels"]["team"] = "a"
    live["metadata"]["annotations"]["mesh/weight"] = "5"
    unmanaged = {"labels": ["team"], "annotations": ["mesh/weight"]}
    after, writes = mended(live, unmanagedMetadata=unmanaged)
    assert writes == 0 and after["metadata"]["labels"]["team"] == "a"
    after, writes = mended(live, unmanagedMetadata={"labels": ["team"]})
    assert writes == 1 and "mesh/weight" not in after["metadata"]["annotations"]


# The user's own -----------------------------------------------------------------------------------------------------


def users(selector: dict[str, str] | None = None, **meta: Any) -> Obj:
    """A Service that was there before the Canary."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "test", "resourceVersion": "1", "labels": {"own": "x"}, **meta},
        "spec": {
            "type": "LoadBalancer",
            "selector": selector or {"app": "web"},
            "ports": [{"name": "http", "port": 80}],
        },
    }


def test_the_users_service_is_taken_over_but_not_renamed() -> None:
    """It is pointed at the primary; its labels, type and owner stay the user's."""
    after, writes = mended(users())
    assert writes == 1
    assert after["spec"]["selector"] == {"app": "web-primary"} and after["spec"]["type"] == "LoadBalancer"
    assert after["metadata"]["labels"] == {"own": "x"} and "ownerReferences" not in after["metadata"]
    assert after["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/reconcile"] == "disabled"


def applied(selector: Any) -> dict[str, Any]:
    """The annotation of `kubectl apply`."""
    return {"annotations": {LAST_APPLIED: json.dumps({"spec": {"selector": selector}})}}


BACK: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "as it was applied": (applied({"app": "web", "tier": "front"}), {"app": "web", "tier": "front"}),
    "nothing known of it": ({}, {"app": "web"}),
    "an annotation that is no JSON": ({"annotations": {LAST_APPLIED: "{"}}, {"app": "web"}),
    "an annotation without a selector": ({"annotations": {LAST_APPLIED: "{}"}}, {"app": "web"}),
    "a selector that is none": (applied("web"), {"app": "web"}),
    "an empty selector": (applied({}), {"app": "web"}),
}


@pytest.mark.parametrize("case", BACK)
def test_it_is_given_back(case: str) -> None:
    """With the selector of its own manifest, or else the target's pods."""
    meta, wanted = BACK[case]
    live = users({"app": "web-primary"}, **meta)
    cluster = Cluster(live)
    assert cluster.write(services.finalize_apex(canary(), APP, live)) == 1
    after = cluster.objects[services.ref(canary(), Role.APEX)]
    assert after["spec"]["selector"] == wanted
    assert services.finalize_apex(canary(), APP, after) == ()


def test_ours_is_handed_over() -> None:
    """Visitors come by it: it leads to the target's pods and belongs to nobody; one that is gone is gone."""
    live = made()
    live["metadata"]["ownerReferences"].append({"kind": "Team", "name": "a", "uid": "u7"})
    cluster = Cluster(live)
    assert cluster.write(services.finalize_apex(canary(), APP, live)) == 1
    after = cluster.objects[services.ref(canary(), Role.APEX)]
    assert after["metadata"]["ownerReferences"] == [{"kind": "Team", "name": "a", "uid": "u7"}]
    assert after["spec"] == {**live["spec"], "selector": {"app": "web"}}
    assert "kustomize.toolkit.fluxcd.io/reconcile" not in after["metadata"]["annotations"]
    assert services.finalize_apex(canary(), APP, after) == ()
    assert services.finalize_apex(canary(), APP, None) == ()


@pytest.mark.parametrize("selector, runs", [(None, False), (APP, False)])
def test_ours_goes_with_its_target(selector: Selector | None, runs: bool) -> None:
    """A Service without pods serves nobody."""
    assert services.finalize_apex(canary(), selector, made(), runs=runs) == ()


# Turning the apex ---------------------------------------------------------------------------------------------------


def test_turned_to_the_canary() -> None:
    """After a failed promotion, where traffic cannot be split."""
    assert services.serves_canary(made(to_canary=True), APP)
    assert not services.serves_canary(made(), APP)
    assert not services.serves_canary(None, APP)
    assert services.serves_canary(made(Role.CANARY), APP)


EAST = Selector("app", {"app": "web", "of": "east"}, {"app": "web-primary"}, {"of": "east"})


@pytest.mark.parametrize(
    "role, wanted",
    [
        (Role.APEX, {"app": "web-primary", "of": "east"}),
        (Role.PRIMARY, {"app": "web-primary", "of": "east"}),
        (Role.CANARY, {"app": "web", "of": "east"}),
    ],
)
def test_services_select_by_every_label(role: Role, wanted: dict[str, str]) -> None:
    """Those of an earlier version, which selected by one, join once all pods have the others."""
    cluster, of = Cluster(), canary()
    short = made(role)
    short["spec"]["selector"] = {"app": wanted["app"]}
    rolling = replace(EAST, rolled=False)
    kept = services.reconcile(of, role, rolling, (), short)
    assert (kept == ()) is (role is not Role.CANARY)
    cluster = Cluster(short)
    cluster.write(services.reconcile(of, role, EAST, (), short))
    after = cluster.objects[services.ref(of, role)]
    assert after["spec"]["selector"] == wanted and after["metadata"]["labels"]["app"] == after["metadata"]["name"]
    assert services.reconcile(of, role, rolling, (), after) == ()


@pytest.mark.parametrize(
    "selects, turned",
    [
        ({"app": "web", "of": "east"}, True),
        ({"app": "web"}, True),
        ({"app": "web-primary"}, False),
        ({"app": "web", "of": "west"}, False),
        ({"of": "east"}, False),
        ({}, False),
    ],
)
def test_turned_by_an_earlier_version(selects: dict[str, str], turned: bool) -> None:
    """An apex that was turned to the canary with one label is still known to be."""
    assert services.serves_canary({"spec": {"selector": selects}}, EAST) is turned


def test_further_ports_are_on_all_three() -> None:
    """Whoever calls a further port of any of them is answered as on the main one."""
    further = [{"name": "grpc", "port": 9000, "targetPort": "rpc", "appProtocol": "grpc"}, {"name": "raw", "port": 7}]
    for role in Role:
        cluster, of = Cluster(), canary(service={"ports": further})
        cluster.write(services.reconcile(of, role, APP, (), None))
        rest = cluster.objects[services.ref(of, role)]["spec"]["ports"][1:]
        assert rest == [
            {"name": "grpc", "port": 9000, "targetPort": "rpc", "protocol": "TCP", "appProtocol": "grpc"},
            {"name": "raw", "port": 7, "targetPort": 7, "protocol": "TCP"},
        ]
