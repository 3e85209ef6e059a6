"""Provider istio: the VirtualService and its rules at each split, the DestinationRules, and what is the user's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshed import AFFINITY, Mesh, status
from routed import canary

from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Fault, Problem, Route
from pyflagger.objects import Obj, Ref
from pyflagger.routing.istio import Istio
from pyflagger.routing.rules import LAST_APPLIED, ORIGINAL

ROUTER = Istio()
API = "networking.istio.io/v1beta1"
OURS = Ref(API, "VirtualService", "test", "web")
INSIDER = {"headers": {"x-canary": {"exact": "insider"}}}


def meshed(status: dict[str, Any] | None = None, **spec: Any) -> Canary:
    """A Canary in the mesh."""
    return canary(status, provider="istio", ingressRef=None, **spec)


def split_up(**more: Any) -> Canary:
    """An A/B test by header."""
    analysis = {"stepWeight": None, "maxWeight": None, "iterations": 5, "match": [INSIDER]}
    return meshed(analysis=analysis, **more)


def kept(**more: Any) -> Canary:
    """Session affinity with both cookies."""
    return meshed(status(), analysis={"sessionAffinity": {**AFFINITY}}, **more)


def mesh(of: Canary | None = None, *objects: Obj) -> Mesh:
    """Routed once."""
    found = Mesh(ROUTER, of or meshed(), *objects)
    found.reconcile()
    return found


def ours(found: Mesh) -> Obj:
    """The spec of our VirtualService."""
    return found.cluster.objects[OURS]["spec"]  # type: ignore[no-any-return]


def weights(rule: Obj) -> list[int]:
    """Those of its destinations."""
    return [each["weight"] for each in rule["route"]]


def test_it_is_made_with_all_traffic_to_the_primary() -> None:
    """With a DestinationRule for each Service, which has the traffic policy."""
    policy = {"tls": {"mode": "ISTIO_MUTUAL"}}
    found = mesh(meshed(service={"trafficPolicy": policy, "timeout": "5s", "retries": {"attempts": 3}}))
    assert found.read() == ALL_PRIMARY
    assert ours(found) == {
        "hosts": ["web"],
        "gateways": ["mesh"],
        "http": [
            {
                "timeout": "5s",
                "retries": {"attempts": 3},
                "route": [
                    {"destination": {"host": "web-primary"}, "weight": 100},
                    {"destination": {"host": "web-canary"}, "weight": 0},
                ],
            }
        ],
    }
    for name in ("web-primary", "web-canary"):
        rule = found.cluster.objects[Ref(API, "DestinationRule", "test", name)]
        assert rule["spec"] == {"host": name, "trafficPolicy": policy}


def test_no_attempts_turn_retries_off() -> None:
    """A VirtualService without attempts gets the mesh's default of two."""
    assert ours(mesh(meshed(service={"retries": {"attempts": 0}})))["http"][0]["retries"] == {"attempts": 0}


def test_new_conditions_in_a_running_ab_test() -> None:
    """The canary keeps all visitors that they select."""
    steps: Obj = {"stepWeight": None, "maxWeight": None, "iterations": 5}
    old, new = ({**steps, "match": [{"headers": {name: {"exact": "1"}}}]} for name in ("x-a", "x-b"))
    service = {"match": [{"uri": {"prefix": "/tasks/"}}]}
    found = mesh(meshed(status(), service=service, analysis=old))
    found.set(100)
    found.respec(meshed, service=service, analysis=new)
    assert found.reconcile() == 1
    rule, rest = ours(found)["http"]
    assert rule["match"] == [{"uri": {"prefix": "/tasks/"}, "headers": {"x-b": {"exact": "1"}}}]
    assert weights(rule) == [0, 100] and weights(rest) == [100]


@pytest.mark.parametrize(
    ("service", "hosts", "gateways"),
    [
        ({}, ["web"], ["mesh"]),
        ({"hosts": ["a.example"], "gateways": ["gw"]}, ["a.example", "web"], ["gw"]),
        ({"hosts": ["*"]}, ["*"], ["mesh"]),
        ({"hosts": ["web"]}, ["web"], ["mesh"]),
        ({"delegation": True}, None, None),
    ],
)
def test_hosts_and_gateways(service: Obj, hosts: Any, gateways: Any) -> None:
    """The apex is called by its name; a delegate has neither."""
    spec = ours(mesh(meshed(service=service)))
    assert (spec.get("hosts"), spec.get("gateways")) == (hosts, gateways)


def test_a_delegate_with_hosts_is_a_problem() -> None:
    """Those of the root hold."""
    found = Mesh(ROUTER, meshed(service={"delegation": True, "hosts": ["x"]})).problem()
    assert "cannot have hosts and gateways when delegation enabled" in found.text


def test_the_port_is_named_where_it_is_not_known() -> None:
    """Behind a gateway that is not the mesh, with discovery."""
    found = mesh(meshed(service={"gateways": ["gw"], "portDiscovery": True}))
    assert ours(found)["http"][0]["route"][0]["destination"] == {"host": "web-primary", "port": {"number": 80}}


@settings(deadline=None)
@given(st.integers(0, 100), st.sampled_from([meshed, kept]), st.sampled_from(["", "TCP"]))
def test_weights_are_read_back(weight: int, of: Any, protocol: str) -> None:
    """Whatever else is in the rules."""
    found = mesh(meshed(service={"appProtocol": protocol}) if protocol else of())
    found.set(weight)
    (section,) = {"http", "tcp"} & ours(found).keys()
    assert section == ("tcp" if protocol else "http") and weights(ours(found)[section][-1]) == [100 - weight, weight]


def test_tcp_by_ports() -> None:
    """And what needs a look into requests is refused there."""
    found = mesh(meshed(service={"appProtocol": "tcp", "match": [{"port": 9000}]}))
    assert ours(found)["tcp"][0]["match"] == [{"port": 9000}]
    for field in ({"testers": [INSIDER]}, {"mirror": True}, {"sessionAffinity": AFFINITY}):
        told = Mesh(ROUTER, meshed(service={"appProtocol": "tcp"}, analysis=field)).problem()
        assert "cannot be used with appProtocol tcp" in told.text


def test_a_b_is_joined_with_the_match_of_the_service() -> None:
    """Every pair, headers of both; the rest has the primary alone, at 100."""
    service = {"match": [{"uri": {"prefix": "/a"}, "headers": {"h": {"exact": "1"}}}, {"uri": {"prefix": "/b"}}]}
    found = mesh(split_up(service=service))
    found.set(100)
    pinned, rest = ours(found)["http"]
    assert pinned["match"] == [
        {"uri": {"prefix": "/a"}, "headers": {"h": {"exact": "1"}, "x-canary": {"exact": "insider"}}},
        {"uri": {"prefix": "/b"}, "headers": {"x-canary": {"exact": "insider"}}},
    ]
    assert weights(pinned) == [0, 100] and weights(rest) == [100] and rest["match"] == service["match"]
    found.set(100, everyone=True)
    assert [weights(rule) for rule in ours(found)["http"]] == [[0, 100]]
    found.set(0)
    assert [weights(rule) for rule in ours(found)["http"]] == [[100, 0]]


def test_a_suffix_is_refused() -> None:
    """It would be taken for a match of anything."""
    analysis = {"testers": [{"headers": {"h": {"suffix": "x"}}}]}
    under_way = status(canaryWeight=20)
    assert Mesh(ROUTER, meshed(under_way, analysis=analysis)).problem().path == "spec.analysis.testers[0].headers.h"


def test_testers_are_pinned_beside_weights() -> None:
    """While there is something to see."""
    found = mesh(meshed(analysis={"testers": [INSIDER]}))
    for weight, count in ((0, 1), (10, 2), (50, 2), (100, 1)):
        found.set(weight)
        assert len(ours(found)["http"]) == count


@pytest.mark.parametrize("share", [0, 10, 50])
def test_a_mirror_has_its_share(share: int) -> None:
    """On the weighted rule, gone with the next weight; none is all."""
    found = mesh(meshed(analysis={"mirror": True, "mirrorWeight": share}))
    found.set(0, mirrored=True)
    rule = ours(found)["http"][-1]
    assert rule["mirror"] == {"host": "web-canary"}
    assert rule.get("mirrorPercentage") == ({"value": float(share)} if share else None)
    found.set(10)
    assert not {"mirror", "mirrorPercentage"} & ours(found)["http"][-1].keys()


def test_every_port_has_the_weight_in_one_write() -> None:
    """Each port's rules mean that port alone."""
    found = mesh(
        meshed(service={"ports": [{"name": "grpc", "port": 9090}, {"name": "db", "port": 5432, "appProtocol": "tcp"}]})
    )
    assert found.set(30) == 1
    spec = ours(found)
    assert [rule["match"] for rule in spec["http"]] == [[{"port": 9090}], [{"port": 80}]]
    assert spec["tcp"][0]["match"] == [{"port": 5432}]
    for rule in (*spec["http"], *spec["tcp"]):
        assert weights(rule) == [70, 30]
        assert rule["route"][0]["destination"]["port"]["number"] == rule["match"][0]["port"]


def test_visitors_stay_where_they_are() -> None:
    """The cookie that is taken away is not taken from everybody, even with headers of the Service's own."""
    found = mesh(kept(service={"headers": {"response": {"add": {"x": "y"}}}}))
    assert len(ours(found)["http"]) == 1
    found.set(10)
    sticky, stays, rest = ours(found)["http"]
    assert (weights(sticky), weights(stays), weights(rest)) == ([0, 100], [100, 0], [90, 10])
    first = found.canary.status.session_affinity_cookie
    assert rest["route"][1]["headers"]["response"]["add"]["Set-Cookie"] == f"{first}; Max-Age=86400"
    assert first.split("=")[1] in sticky["match"][0]["headers"]["Cookie"]["regex"]
    found.set(0)
    gone, rest = ours(found)["http"]
    assert gone["headers"]["response"]["add"] == {"x": "y", "Set-Cookie": f"{first}; Max-Age=-1"}
    assert rest["headers"]["response"]["add"] == {"x": "y"} and "headers" not in rest["route"][1]


@pytest.mark.parametrize("of", [meshed, split_up, kept])
def test_what_others_added_survives_a_release(of: Any) -> None:
    """Rules, fields, labels and annotations, at every split."""
    found = mesh(of())
    extra = {"match": [{"uri": {"prefix": "/docs"}}], "route": [{"destination": {"host": "docs"}}]}
    mine = [{**rule, "fault": {"abort": {}}, "retries": {"attempts": 9}} for rule in ours(found)["http"]]
    meta = {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    found.edit(found.cluster.objects[OURS], metadata=meta, spec={"http": [extra, *mine], "exportTo": ["."]})
    for weight in (100, 0) if of is split_up else (10, 100, 0):
        found.set(weight)
        first, *rest = ours(found)["http"]
        assert first == extra and ours(found)["exportTo"] == ["."]
        assert all(rule["fault"] and rule["retries"] == {"attempts": 9} for rule in rest)
        now = found.cluster.objects[OURS]["metadata"]
        assert now["labels"]["a"] == "b" and now["annotations"]["c"] == "d"


@pytest.mark.parametrize("of", [meshed, kept])
def test_drift_is_mended_at_the_weights_that_are_there(of: Any) -> None:
    """A gateway of somebody else goes, a deleted sticky rule comes back, and nobody is moved."""
    found = mesh(of())
    found.set(30)
    before = json.dumps(ours(found), sort_keys=True)
    found.edit(found.cluster.objects[OURS], spec={"gateways": ["mesh", "evil"], "http": ours(found)["http"][-1:]})
    found.reconcile()
    assert json.dumps(ours(found), sort_keys=True) == before and found.read() == Route(70, 30)


def test_what_the_manifest_no_longer_says_is_gone() -> None:
    """Though fields of others stay."""
    found = mesh(meshed(service={"timeout": "5s"}))
    found.respec(meshed)
    found.reconcile()
    assert "timeout" not in ours(found)["http"][0]


@pytest.mark.parametrize("pair", [(0, 0), (50, 60), (-1, 101)])
def test_weights_that_are_no_split_are_an_error(pair: tuple[int, int]) -> None:
    """Never 0/0."""
    found = mesh()
    route = [{**each, "weight": weight} for each, weight in zip(ours(found)["http"][0]["route"], pair, strict=True)]
    found.edit(found.cluster.objects[OURS], spec={"http": [{"route": route}]})
    told = found.read()
    assert isinstance(told, Problem) and told.fault is Fault.CLUSTER


def theirs(*rules: Obj, **meta: Any) -> Obj:
    """A VirtualService of the user's."""
    spec = {"hosts": ["a.example"], "gateways": ["gw"], "http": list(rules)}
    head = {"name": "web", "namespace": "test", "resourceVersion": "1", **meta}
    return {"apiVersion": API, "kind": "VirtualService", "metadata": head, "spec": spec}


TO_APEX = {"route": [{"destination": {"host": "web"}}], "retries": {"attempts": 3}}


def test_a_virtual_service_of_the_apexs_name_is_taken_over_and_given_back() -> None:
    """Its spec is stored once, whatever is edited later."""
    before = theirs(TO_APEX)
    found = mesh(meshed(), before)
    assert found.read() == ALL_PRIMARY and ours(found)["http"][0]["retries"] == {"attempts": 3}
    stored = found.cluster.objects[OURS]["metadata"]["annotations"][ORIGINAL]
    found.set(20)
    found.respec(meshed, service={"hosts": ["x.example"]})
    found.reconcile()
    assert found.cluster.objects[OURS]["metadata"]["annotations"][ORIGINAL] == stored
    found.finalize()
    assert ours(found) == before["spec"] and found.finalize() == 0


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"spec": 1})])
def test_what_was_stored_and_cannot_be_read_changes_nothing(text: str) -> None:
    """Deletion is not held up by it."""
    found = Mesh(
        ROUTER, meshed(), theirs(TO_APEX, annotations={ORIGINAL: text if text == "{" else "", LAST_APPLIED: text})
    )
    assert found.finalize() == 0


@pytest.mark.parametrize("service", [{"gateways": ["gw"]}, {"hosts": ["a.example"]}, {"delegation": True}])
def test_ours_that_gateways_use_is_left_to_the_user(service: Obj) -> None:
    """In the middle of a release it leads to the apex Service, and nobody collects it."""
    found = mesh(meshed(service={"timeout": "5s", **service}))
    found.set(20)
    assert found.finalize() == 1
    (rule,) = ours(found)["http"]
    assert [each["destination"]["host"] for each in rule["route"]] == ["web"] and "weight" not in rule["route"][0]
    assert rule["timeout"] == "5s" and not found.cluster.objects[OURS]["metadata"].get("ownerReferences")
    assert found.finalize() == 0


def test_ours_for_the_mesh_alone_goes() -> None:
    """Clients find the apex Service without it."""
    found = mesh()
    assert found.finalize() == 1 and OURS not in found.cluster.objects


def test_one_that_was_never_taken_over_is_not_touched() -> None:
    """Whatever kubectl says of it; one that leads to the primary was taken over before anything was stored."""
    applied = {LAST_APPLIED: json.dumps({"spec": {"http": [TO_APEX]}})}
    assert Mesh(ROUTER, meshed(), theirs(TO_APEX, annotations=applied)).finalize() == 0
    found = Mesh(ROUTER, meshed(), theirs({"route": [{"destination": {"host": "web-primary"}}]}, annotations=applied))
    assert found.finalize() == 1 and ours(found) == {"http": [TO_APEX]}


TLS = [{"match": [{"port": 443, "sniHosts": ["a.example"]}], "route": [{"destination": {"host": "web"}}]}]
TCP = [{"match": [{"port": 9000}], "route": [{"destination": {"host": "web", "port": {"number": 9000}}}]}]


def test_what_is_the_users_stays_while_it_is_taken_over() -> None:
    """Hosts, gateways, TLS, TCP, and rules that ours do not replace: nobody who came by them is turned away."""
    old = {"match": [{"uri": {"prefix": "/old"}}], "rewrite": {"uri": "/"}, "route": [{"destination": {"host": "web"}}]}
    api = {"match": [{"uri": {"prefix": "/api"}}], "route": [{"destination": {"host": "api"}}]}
    before = theirs(old, api, TO_APEX)
    before["spec"] |= {"tls": TLS, "tcp": TCP, "exportTo": ["."]}
    found = mesh(meshed(), before)
    found.set(20)
    spec = ours(found)
    assert spec["hosts"] == ["a.example", "web"] and spec["gateways"] == ["gw"]
    assert spec["tls"] == TLS and spec["tcp"] == TCP and spec["exportTo"] == ["."]
    assert spec["http"][:2] == [old, api] and len(spec["http"]) == 3 and found.read() == Route(80, 20)
    found.finalize()
    assert ours(found) == before["spec"]


@pytest.mark.parametrize(
    "before, service, hosts, gateways",
    [
        ({"hosts": ["*"], "gateways": ["gw"]}, {}, ["*"], ["gw"]),
        (
            {"hosts": ["a.example"], "gateways": ["gw"]},
            {"gateways": ["mesh", "gw"]},
            ["a.example", "web"],
            ["gw", "mesh"],
        ),
        ({"hosts": ["web"], "gateways": None}, {}, ["web"], ["mesh"]),
        ({"hosts": ["web"], "gateways": None}, {"gateways": ["gw"]}, ["web"], ["mesh", "gw"]),
    ],
)
def test_hosts_and_gateways_are_those_of_both(before: Obj, service: Obj, hosts: list[str], gateways: list[str]) -> None:
    """A wildcard is not bound to the mesh, where Istio does not allow it."""
    one = theirs(TO_APEX)
    one["spec"] = {key: value for key, value in {**one["spec"], **before}.items() if value is not None}
    spec = ours(mesh(meshed(service=service), one))
    assert (spec["hosts"], spec["gateways"]) == (hosts, gateways)


def destination(host: str, weight: int | None = None, **more: Any) -> Obj:
    """Of a rule."""
    return {"destination": {"host": host}, **({} if weight is None else {"weight": weight}), **more}


THIRD = {"route": [destination("web", 80), destination("legacy", 20, headers={"request": {"set": {"a": "b"}}})]}


@pytest.mark.parametrize("of", [meshed, kept])
def test_a_third_destination_of_the_users_keeps_its_part(of: Any) -> None:
    """Ours share what the apex had, in one sum of 100; whatever anybody edits, and with every rule of ours."""
    before = theirs(THIRD)
    found = mesh(of(), before)
    for weight, wanted in ((0, [80, 0, 20]), (10, [72, 8, 20]), (33, [54, 26, 20]), (50, [40, 40, 20])):
        found.set(weight)
        assert weights(ours(found)["http"][-1]) == wanted
        assert all(sum(weights(rule)) == 100 and rule["route"][-1] == THIRD["route"][1] for rule in ours(found)["http"])
    found.edit(found.cluster.objects[OURS], spec={"http": [THIRD]})
    found.reconcile()
    assert weights(ours(found)["http"][-1])[-1] == 20
    found.finalize()
    assert ours(found) == before["spec"] and not found.cluster.objects[OURS]["metadata"]["annotations"]


def test_a_third_destination_in_an_ab_test() -> None:
    """Those who match may meet it as well, as they did before; everybody else never meets the canary."""
    found = mesh(split_up(), theirs(THIRD))
    found.set(100)
    pinned, rest = ours(found)["http"]
    assert (weights(pinned), weights(rest)) == ([0, 80, 20], [80, 20])
    found.set(100, everyone=True)
    assert [weights(rule) for rule in ours(found)["http"]] == [[0, 80, 20]]
    found.set(0)
    assert [weights(rule) for rule in ours(found)["http"]] == [[80, 0, 20]]


def test_a_third_destination_in_an_object_of_ours_is_drift() -> None:
    """It is told nowhere what it should get."""
    found = mesh()
    found.edit(found.cluster.objects[OURS], spec={"http": [{"route": [*ours(found)["http"][0]["route"], {**THIRD}]}]})
    found.reconcile()
    assert weights(ours(found)["http"][0]) == [100, 0]


def test_headers_of_the_users_destination_stay() -> None:
    """With those that take its place."""
    rule = {"route": [destination("web.test.svc.cluster.local", headers={"response": {"set": {"a": "b"}}})]}
    found = mesh(meshed(), theirs(rule))
    assert [each["headers"] for each in ours(found)["http"][0]["route"]] == [{"response": {"set": {"a": "b"}}}] * 2


def test_a_service_of_another_namespace_is_none_of_ours() -> None:
    """Though it has the name of the apex."""
    rule = {"route": [destination("web.other"), destination("web.other.svc.cluster.local")]}
    found = mesh(meshed(), theirs(rule, TO_APEX))
    assert ours(found)["http"][0] == rule and len(ours(found)["http"]) == 2


SHOP = [{"uri": {"prefix": "/shop"}}]
PORTAL = {"route": [{"destination": {"host": "portal"}}]}


@pytest.mark.parametrize("of", [meshed, kept, split_up])
def test_a_canary_without_matches_has_those_of_the_users_rule(of: Any) -> None:
    """Or the visitors of the rules after it would come to the canary's app."""
    before = theirs({"match": SHOP, **TO_APEX}, PORTAL)
    found = mesh(of(), before)
    for weight in (100, 0, 100):
        found.set(weight)
        *mine, last = ours(found)["http"]
        assert last == PORTAL
        assert all(entry["uri"] == SHOP[0]["uri"] for rule in mine for entry in rule["match"])
    found.respec(of, service={"match": [{"uri": {"prefix": "/new"}}]})
    found.reconcile()
    assert "/new" in str(ours(found)["http"][0]["match"])
    found.finalize()
    assert ours(found) == before["spec"]


def test_matches_of_a_rule_below_http_stay() -> None:
    """A port of the user's is no other port."""
    before = theirs()
    before["spec"] = {"hosts": ["a.example"], "tcp": [*TCP, {"match": [{"port": 1}], "route": [destination("b")]}]}
    found = mesh(meshed(service={"appProtocol": "tcp"}), before)
    found.set(20)
    assert [rule["match"] for rule in ours(found)["tcp"]] == [[{"port": 9000}], [{"port": 1}]]


def test_an_adopted_virtual_service_may_use_full_names() -> None:
    """Of Services, in rules for HTTP and for TCP."""
    hosts = ("web.test.svc.cluster.local", "web-canary.test.svc.cluster.local")
    route = [{"destination": {"host": host}, "weight": weight} for host, weight in zip(hosts, (100, 0), strict=True)]
    before = theirs({"route": route}, TO_APEX, name="mine")
    before["spec"]["tcp"] = [{"match": [{"port": 90}], "route": route}]
    found = mesh(meshed(routeRef={"apiVersion": API, "kind": "VirtualService", "name": "mine"}), before)
    found.set(30)
    spec = found.cluster.objects[Ref(API, "VirtualService", "test", "mine")]["spec"]
    assert weights(spec["http"][0]) == weights(spec["tcp"][0]) == [70, 30] and spec["http"][1] == TO_APEX
    found.finalize()
    assert found.cluster.objects[Ref(API, "VirtualService", "test", "mine")]["spec"] == before["spec"]
