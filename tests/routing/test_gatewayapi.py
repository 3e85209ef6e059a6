"""Providers gatewayapi: the HTTPRoute, its rules at each split, and what of it is the user's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshed import AFFINITY, Mesh, status
from routed import canary

from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Fault, Problem, Route
from pyflagger.objects import Obj, Ref
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.gatewayapi import GatewayApi
from pyflagger.routing.registry import router_for
from pyflagger.routing.rules import FIELDS, LAST_APPLIED, ORIGINAL

ROUTER = GatewayApi("v1")
V1 = "gateway.networking.k8s.io/v1"
OURS = Ref(V1, "HTTPRoute", "test", "web")
GATEWAY = {"name": "gw", "namespace": "edge"}
INSIDER = {"headers": {"x-canary": {"exact": "insider"}}}
ROOT = {"path": {"type": "PathPrefix", "value": "/"}}


def gated(status: dict[str, Any] | None = None, **spec: Any) -> Canary:
    """A Canary behind a Gateway."""
    service = {"gatewayRefs": [GATEWAY], **spec.pop("service", {})}
    return canary(status, provider="gatewayapi:v1", ingressRef=None, service=service, **spec)


def split_up(**more: Any) -> Canary:
    """An A/B test by header."""
    analysis = {"stepWeight": None, "maxWeight": None, "iterations": 5, "match": [INSIDER]}
    return gated(analysis=analysis, **more)


def kept(**more: Any) -> Canary:
    """Session affinity with both cookies."""
    return gated(status(), analysis={"sessionAffinity": {**AFFINITY, **more}})


def mesh(of: Canary | None = None, *objects: Obj) -> Mesh:
    """Routed once."""
    found = Mesh(ROUTER, of or gated(), *objects)
    found.reconcile()
    return found


def route_of(found: Mesh) -> Obj:
    """Ours."""
    return found.cluster.objects[OURS]


def rules(found: Mesh) -> list[Obj]:
    """Its rules."""
    return route_of(found)["spec"]["rules"]  # type: ignore[no-any-return]


def weights(rule: Obj) -> list[int]:
    """Those of its backends."""
    return [ref["weight"] for ref in rule["backendRefs"]]


def theirs(*rules: Obj, **meta: Any) -> Obj:
    """An HTTPRoute of the user's."""
    spec = {"parentRefs": [{"name": "gw"}], "rules": list(rules)}
    return {
        "apiVersion": V1,
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "test", "resourceVersion": "1", **meta},
        "spec": spec,
    }


# Making it ----------------------------------------------------------------------------------------------------------


def test_it_is_made_with_all_traffic_to_the_primary() -> None:
    """Parents with the defaults of the CRD, hosts as they are given, the limits of time."""
    found = mesh(gated(service={"hosts": ["web.example"], "timeout": "5s", "backendTimeout": "2s"}))
    assert found.read() == ALL_PRIMARY
    spec = route_of(found)["spec"]
    assert spec["hostnames"] == ["web.example"]
    assert spec["parentRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", **GATEWAY}]
    backend = {"group": "", "kind": "Service", "port": 80}
    assert spec["rules"] == [
        {
            "matches": [ROOT],
            "backendRefs": [
                {**backend, "name": "web-primary", "weight": 100},
                {**backend, "name": "web-canary", "weight": 0},
            ],
            "timeouts": {"request": "5s", "backendRequest": "2s"},
        }
    ]
    assert route_of(found)["metadata"]["ownerReferences"][0]["uid"] == "u1"


def test_no_parent_is_a_problem() -> None:
    """In the reference's words."""
    found = Mesh(ROUTER, gated(service={"gatewayRefs": None})).problem()
    assert found.text == "GatewayRefs must be specified when using Gateway API as a provider."
    assert found.path == "spec.service.gatewayRefs" and found.fault is Fault.MANIFEST


def test_both_versions_are_one_code() -> None:
    """Timeouts, cookies and CORS are not for v1 alone; the object has its version."""
    old = router_for("gatewayapi:v1beta1")
    assert isinstance(old, GatewayApi) and old.capabilities == ROUTER.capabilities
    found = Mesh(old, gated(service={"timeout": "5s", "corsPolicy": {"maxAge": "24h"}}))
    found.reconcile()
    (made,) = found.cluster.objects.values()
    assert made["apiVersion"] == "gateway.networking.k8s.io/v1beta1"
    assert made["spec"]["rules"][0]["timeouts"] and made["spec"]["rules"][0]["filters"][0]["cors"] == {"maxAge": 86400}


SERVICE: dict[str, Any] = {
    "headers": {"request": {"add": {"b": "2", "a": "1"}, "remove": ["z"]}, "response": {"set": {"c": "3"}}},
    "rewrite": {"uri": "/", "authority": "inner", "type": "ReplacePrefixMatch"},
    "mirror": [{"backendRef": {"name": "log", "port": 80}}],
    "corsPolicy": {"allowOrigin": ["*"], "allowMethods": ["GET"], "allowCredentials": False, "maxAge": "24h"},
}


def test_filters_in_order() -> None:
    """Headers by name; a rewrite of the prefix; the user's mirrors; CORS in seconds."""
    found = mesh(gated(service=SERVICE))
    assert rules(found)[0]["filters"] == [
        {
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {
                "add": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}],
                "remove": ["z"],
            },
        },
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "c", "value": "3"}]}},
        {
            "type": "URLRewrite",
            "urlRewrite": {"hostname": "inner", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
        },
        {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "log", "port": 80}}},
        {"type": "CORS", "cors": {"allowOrigins": ["*"], "allowMethods": ["GET"], "maxAge": 86400}},
    ]
    found.respec(gated)
    found.reconcile()
    assert "filters" not in rules(found)[0], "what the manifest no longer says is gone"


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ({"uri": {"prefix": "/a"}}, {"path": {"type": "PathPrefix", "value": "/a"}}),
        ({"uri": {"regex": "/a.*", "exact": "/b"}}, {"path": {"type": "RegularExpression", "value": "/a.*"}}),
        (
            {"uri": {"exact": "/b"}, "method": {"exact": "GET"}},
            {"path": {"type": "Exact", "value": "/b"}, "method": "GET"},
        ),
        (
            {"headers": {"h": {"regex": "x"}}},
            {**ROOT, "headers": [{"type": "RegularExpression", "name": "h", "value": "x"}]},
        ),
        (
            {"queryParams": {"q": {"exact": "x"}}},
            {**ROOT, "queryParams": [{"type": "Exact", "name": "q", "value": "x"}]},
        ),
    ],
)
def test_matches_of_the_service(entry: Obj, match: Obj) -> None:
    """Each in the words of the Gateway API."""
    assert rules(mesh(gated(service={"match": [entry]})))[0]["matches"] == [match]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"service": {"match": [{"uri": {"suffix": "x"}}]}}, "spec.service.match[0].uri"),
        ({"service": {"match": [{"method": {"regex": "x"}}]}}, "spec.service.match[0].method"),
        ({"service": {"match": [{"headers": {"h": {"prefix": "x"}}}]}}, "spec.service.match[0].headers.h"),
        ({"analysis": {"testers": [{"headers": {"h": {"suffix": "x"}}}]}}, "spec.analysis.testers[0].headers.h"),
        ({"analysis": {"testers": [{"sourceLabels": {"a": "b"}}]}}, "spec.analysis.testers[0].sourceLabels"),
    ],
)
def test_what_cannot_be_said_is_a_problem(spec: Obj, path: str) -> None:
    """Never a rule that matches everybody."""
    found = Mesh(ROUTER, gated(status(canaryWeight=20), **spec)).problem()
    assert found.path == path and found.text.startswith("Invalid request matching selectors: ")


# Weights ------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 100), st.booleans())
def test_weights_are_read_back(weight: int, affinity: bool) -> None:
    """Whatever else is in the rules."""
    found = mesh(kept() if affinity else gated())
    found.set(weight)
    assert weights(rules(found)[-1]) == [100 - weight, weight]


def test_a_b_leads_those_who_match_to_the_canary() -> None:
    """And all others to the primary, at weight 100; for everyone there is one rule."""
    found = mesh(split_up())
    assert len(rules(found)) == 1
    found.set(100)
    pinned, rest = rules(found)
    assert pinned["matches"] == [{**ROOT, "headers": [{"type": "Exact", "name": "x-canary", "value": "insider"}]}]
    assert weights(pinned) == [0, 100]
    assert [(ref["name"], ref["weight"]) for ref in rest["backendRefs"]] == [("web-primary", 100)]
    found.set(100, everyone=True)
    assert [weights(rule) for rule in rules(found)] == [[0, 100]]
    found.set(0)
    assert [weights(rule) for rule in rules(found)] == [[100, 0]]


def test_conditions_are_joined_with_those_of_the_service() -> None:
    """Every pair; the condition wins over a header of the same name, the others stay."""
    service = {
        "match": [
            {"uri": {"prefix": "/a"}, "headers": {"h": {"exact": "1"}, "X-Canary": {"exact": "no"}}},
            {"uri": {"prefix": "/b"}},
        ]
    }
    found = mesh(split_up(service=service))
    found.set(100)
    one, two = rules(found)[0]["matches"]
    assert [(entry["name"], entry["value"]) for entry in one["headers"]] == [("h", "1"), ("x-canary", "insider")]
    assert one["path"]["value"] == "/a" and two["path"]["value"] == "/b" and len(two["headers"]) == 1


def test_testers_are_pinned_beside_weights() -> None:
    """While there is something to see; at 100 everybody sees it."""
    found = mesh(gated(analysis={"testers": [INSIDER]}))
    for weight, count in ((0, 1), (10, 2), (50, 2), (100, 1)):
        found.set(weight)
        assert len(rules(found)) == count
        assert weights(rules(found)[-1]) == [100 - weight, weight]
    found.set(10)
    assert weights(rules(found)[0]) == [0, 100]


def test_a_mirror_has_its_share() -> None:
    """Set on the weighted rule, read back, left alone by repair, gone with the next weight."""
    found = mesh(gated(analysis={"mirror": True, "mirrorWeight": 20}))
    found.set(0, mirrored=True)
    (mirror,) = rules(found)[0]["filters"]
    to = {"group": "", "kind": "Service", "name": "web-canary", "port": 80}
    assert mirror == {"type": "RequestMirror", "requestMirror": {"backendRef": to, "percent": 20}}
    found.set(10)
    assert "filters" not in rules(found)[0]


def test_every_port_has_the_weight() -> None:
    """A route a port, whose parents have listeners of that number."""
    found = mesh(gated(service={"ports": [{"name": "grpc", "port": 9090}]}))
    assert found.set(30) == 2
    further = found.cluster.objects[Ref(V1, "HTTPRoute", "test", "web-grpc")]["spec"]
    assert weights(further["rules"][0]) == [70, 30]
    assert further["rules"][0]["backendRefs"][0]["port"] == 9090
    assert [ref["port"] for ref in further["parentRefs"]] == [9090]
    assert "port" not in route_of(found)["spec"]["parentRefs"][0]


# Session affinity ---------------------------------------------------------------------------------------------------


def cookie(rule: Obj) -> list[str]:
    """The Set-Cookie of each backend of a rule."""
    return [
        header["value"]
        for ref in rule["backendRefs"]
        for found in ref.get("filters", ())
        for header in found["responseHeaderModifier"]["add"]
    ]


def test_visitors_stay_where_they_are() -> None:
    """Those of the canary for the release, those of the primary for an interval; then the cookie is taken away."""
    found = mesh(kept(path="/", secure=True))
    assert len(rules(found)) == 1, "no cookie, nothing to clean up"
    found.set(10)
    sticky, stays, rest = rules(found)
    assert (weights(sticky), weights(stays), weights(rest)) == ([0, 100], [100, 0], [90, 10])
    first, one = found.canary.status.session_affinity_cookie, found.canary.status.primary_session_affinity_cookie
    assert cookie(rest) == [f"{one}; Max-Age=10; Path=/; Secure", f"{first}; Max-Age=86400; Path=/; Secure"]
    (header,) = sticky["matches"][0]["headers"]
    assert header["name"] == "Cookie" and first.split("=")[1] in header["value"]
    assert sticky["matches"][0]["path"] == ROOT["path"] and not cookie(sticky)
    found.set(50)
    assert found.canary.status.session_affinity_cookie == first
    assert found.canary.status.primary_session_affinity_cookie != one, "those who stayed are drawn again"
    found.set(0)
    gone, rest = rules(found)
    (change,) = gone["filters"]
    assert change["responseHeaderModifier"]["add"][0]["value"] == f"{first}; Max-Age=-1; Path=/; Secure"
    assert "filters" not in rest and not cookie(rest) and found.canary.status.previous_session_affinity_cookie == first


def test_affinity_and_a_b_do_not_go_together() -> None:
    """Each says who sees the canary."""
    analysis = {"iterations": 3, "match": [INSIDER], "sessionAffinity": AFFINITY}
    assert Mesh(ROUTER, gated(analysis=analysis)).problem().path == "spec.analysis.sessionAffinity"


# Drift --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [gated, split_up, kept])
def test_what_others_added_survives_a_release(of: Any) -> None:
    """Filters, rules, fields, labels and annotations, at every split."""
    found, theirs = mesh(of()), {"type": "ExtensionRef", "extensionRef": {"group": "x", "kind": "Y", "name": "z"}}
    extra = {"matches": [{"path": {"type": "PathPrefix", "value": "/docs"}}], "backendRefs": [{"name": "docs"}]}
    live = route_of(found)
    mine = [{**rule, "filters": [theirs], "sessionPersistence": {"sessionName": "s"}} for rule in rules(found)]
    found.edit(live, metadata={"labels": {"a": "b"}, "annotations": {"c": "d"}}, spec={"rules": [extra, *mine], "x": 1})
    for weight in (10, 100, 0):
        if of is split_up and weight == 10:
            continue
        found.set(weight)
        assert rules(found)[0] == extra
        for rule in rules(found)[1:]:
            assert theirs in rule["filters"] and rule["sessionPersistence"] == {"sessionName": "s"}
        meta = route_of(found)["metadata"]
        assert meta["labels"]["a"] == "b" and meta["annotations"]["c"] == "d" and route_of(found)["spec"]["x"] == 1


@pytest.mark.parametrize("of", [gated, kept])
def test_drift_is_mended_at_the_weights_that_are_there(of: Any) -> None:
    """Hosts of somebody else go, a deleted sticky rule comes back, and nobody is moved."""
    found = mesh(of())
    found.set(30)
    before = json.dumps(rules(found))
    found.edit(route_of(found), spec={"hostnames": ["evil.example"], "rules": rules(found)[-1:]})
    found.reconcile()
    assert json.dumps(rules(found)) == before and found.read() == Route(70, 30)
    assert "hostnames" not in route_of(found)["spec"]


@pytest.mark.parametrize("pair", [(0, 0), (50, 60), (100, 1), (-1, 101), (True, 99)])
def test_weights_that_are_no_split_are_an_error(pair: tuple[int, int]) -> None:
    """Never 0/0, from which a step would lead to everybody."""
    found = mesh()
    refs = [{**ref, "weight": weight} for ref, weight in zip(rules(found)[0]["backendRefs"], pair, strict=True)]
    found.edit(route_of(found), spec={"rules": [{**rules(found)[0], "backendRefs": refs}]})
    told = found.read()
    assert isinstance(told, Problem) and told.fault is Fault.CLUSTER and "do not add up to 100" in told.text


def test_a_deleted_route_is_made_with_the_weight_of_then() -> None:
    """So that nobody is moved."""
    found = mesh(gated(status(canaryWeight=40)))
    assert found.read() == Route(60, 40)


def test_a_rule_that_lost_the_canary_gets_it_back() -> None:
    """At the weight that the release had reached."""
    found = mesh(gated(status(canaryWeight=20)))
    (rule,) = rules(found)
    found.edit(route_of(found), spec={"rules": [{**rule, "backendRefs": rule["backendRefs"][:1]}]})
    assert found.read() is None
    found.reconcile()
    assert found.read() == Route(80, 20) and len(rules(found)) == 1


# Readiness ----------------------------------------------------------------------------------------------------------


def parent(status: str = "True", generation: int = 2, **ref: Any) -> Obj:
    """What a controller says of a parent."""
    condition = {"type": "Accepted", "status": status, "observedGeneration": generation, "reason": "R", "message": "m"}
    return {"parentRef": {**GATEWAY, **ref}, "conditions": [condition]}


@pytest.mark.parametrize(
    ("parents", "told"),
    [
        ([parent()], False),
        ([parent(), parent("False", sectionName="other")], False),
        ([parent("False")], True),
        ([parent(generation=1)], True),
        ([parent(sectionName="other")], True),
        ([], True),
    ],
)
def test_waits_for_each_parent_to_accept_the_current_generation(parents: list[Obj], told: bool) -> None:
    """A parent that has said nothing of it is not ready."""
    found = mesh()
    found.edit(route_of(found), metadata={"generation": 2}, status={"parents": parents})
    text = ROUTER.waiting(found.canary, found.live, RoutingOptions())
    assert bool(text) is told
    assert not told or text.startswith("HTTPRoute web: parent Gateway gw is not ready")


@pytest.mark.parametrize(
    ("controllers", "able"),
    [
        ([], True),
        (["projectcontour.io/gateway-controller"], True),
        (["traefik.io/gateway-controller"], False),
        (["projectcontour.io/gateway-controller", "traefik.io/gateway-controller"], False),
    ],
)
def test_no_mirrors_for_a_controller_that_breaks_on_them(controllers: list[str], able: bool) -> None:
    """Each parent gets every request, so one without mirrors is enough; all else can be asked for as before."""
    found = mesh()
    found.edit(route_of(found), status={"parents": [{**parent(), "controllerName": name} for name in controllers]})
    told = ROUTER.able(found.canary, found.live, RoutingOptions())
    assert (told.mirror, told.mirror_steps) == (able, able)
    assert replace(told, mirror=True, mirror_steps=True) == ROUTER.capabilities


# Others' routes -----------------------------------------------------------------------------------------------------

TO_APEX = {"matches": [ROOT], "backendRefs": [{"name": "web", "port": 80}], "timeouts": {"request": "9s"}}


def test_a_route_of_the_apexs_name_is_taken_over_and_given_back() -> None:
    """Its rules are stored once, whatever is edited later; fields of the user's stay in ours."""
    before = theirs(TO_APEX)
    found = mesh(gated(), before)
    assert found.read() == ALL_PRIMARY and rules(found)[0]["timeouts"] == {"request": "9s"}
    stored = route_of(found)["metadata"]["annotations"][ORIGINAL]
    found.set(20)
    found.respec(gated, service={"hosts": ["x.example"]})
    found.reconcile()
    assert route_of(found)["metadata"]["annotations"][ORIGINAL] == stored
    found.finalize()
    assert route_of(found)["spec"] == before["spec"]
    assert not {ORIGINAL, FIELDS} & route_of(found)["metadata"]["annotations"].keys()
    assert found.finalize() == 0


def test_ours_is_left_to_the_user() -> None:
    """Visitors come by it: in the middle of a release it leads to the apex Service, and nobody collects it."""
    found = mesh(gated(service={"timeout": "5s"}))
    found.set(20)
    assert ORIGINAL not in route_of(found)["metadata"]["annotations"] and found.finalize() == 1
    (rule,) = rules(found)
    assert rule["backendRefs"] == [{"group": "", "kind": "Service", "name": "web", "port": 80}]
    assert rule["timeouts"] == {"request": "5s"} and rule["matches"] == [ROOT]
    assert not route_of(found)["metadata"].get("ownerReferences") and found.finalize() == 0


def test_ours_for_a_mesh_goes() -> None:
    """The Service that is its parent leads to the pods without it."""
    found = mesh(gated(service={"gatewayRefs": [{"group": "core", "kind": "Service", "name": "web"}]}))
    assert found.finalize() == 1 and not found.cluster.objects


def test_a_route_that_was_never_taken_over_is_not_touched() -> None:
    """Whatever kubectl says of it."""
    before = theirs(TO_APEX, annotations={LAST_APPLIED: json.dumps({"spec": {"rules": []}})})
    found = Mesh(ROUTER, gated(), before)
    assert found.finalize() == 0


def test_hosts_parents_and_other_rules_of_the_user_stay() -> None:
    """Nobody who came by them is turned away; ours replace the rule for everybody, which comes where it was."""
    old = {"matches": [{"path": {"type": "PathPrefix", "value": "/old"}}], "backendRefs": [{"name": "web", "port": 80}]}
    api = {"matches": [{"path": {"type": "PathPrefix", "value": "/api"}}], "backendRefs": [{"name": "api", "port": 80}]}
    before = theirs(old, api, TO_APEX)
    before["spec"] |= {"hostnames": ["a.example"], "parentRefs": [{"name": "other", "namespace": "infra"}]}
    found = mesh(gated(service={"hosts": ["b.example"]}), before)
    found.set(20)
    spec = route_of(found)["spec"]
    assert spec["hostnames"] == ["a.example", "b.example"]
    assert [ref["name"] for ref in spec["parentRefs"]] == ["other", GATEWAY["name"]]
    assert spec["rules"][:2] == [old, api] and len(spec["rules"]) == 3 and found.read() == Route(80, 20)
    found.finalize()
    assert route_of(found)["spec"] == before["spec"]


def to(name: str, weight: int | None = None, **more: Any) -> Obj:
    """A backend of the user's."""
    return {"name": name, "port": 80, **({} if weight is None else {"weight": weight}), **more}


@pytest.mark.parametrize("of", [gated, kept])
@pytest.mark.parametrize(
    "apex, third, parts",
    [
        (80, 20, {0: [80, 0, 20], 25: [60, 20, 20], 33: [54, 26, 20]}),
        (None, None, {0: [100, 0, 100], 33: [67, 33, 100]}),
        (9, 1, {0: [900, 0, 100], 10: [810, 90, 100]}),
        (0, 1, {0: [0, 0, 1], 50: [0, 0, 1]}),
    ],
)
def test_a_third_backend_of_the_users_keeps_its_part(of: Any, apex: Any, third: Any, parts: dict[int, Any]) -> None:
    """Ours share what the apex had; it comes back to the letter."""
    named = {"name": "legacy", "namespace": "other", "port": 81}
    before = theirs({"backendRefs": [to("web", apex), {**named, **({} if third is None else {"weight": third})}]})
    found = mesh(of(), before)
    for weight, wanted in parts.items():
        found.set(weight)
        assert weights(rules(found)[-1]) == wanted
        assert all(named.items() <= rule["backendRefs"][-1].items() for rule in rules(found))
    found.finalize()
    assert route_of(found)["spec"] == before["spec"] and not route_of(found)["metadata"]["annotations"]


def test_a_third_backend_in_an_ab_test() -> None:
    """Those who match may meet it as well, as they did before; everybody else never meets the canary."""
    found = mesh(split_up(), theirs({"backendRefs": [to("web", 80), to("legacy", 20)]}))
    found.set(100)
    assert [weights(rule) for rule in rules(found)] == [[0, 80, 20], [80, 20]]
    found.set(100, everyone=True)
    assert [weights(rule) for rule in rules(found)] == [[0, 80, 20]]


def test_filters_of_the_users_backend_stay() -> None:
    """With those that take its place; a backend of another kind or namespace is none of ours."""
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]
    others = [to("web", 1, namespace="other"), to("web", 1, group="example.net", kind="Pool")]
    found = mesh(gated(), theirs({"backendRefs": [to("web", 8, filters=filters), *others]}))
    primary, new, *rest = rules(found)[0]["backendRefs"]
    assert primary["filters"] == new["filters"] == filters and (primary["weight"], new["weight"]) == (200, 0)
    assert rest == [{**each, "weight": 25} for each in others]


SHOP = [{"path": {"type": "PathPrefix", "value": "/shop"}}]


@pytest.mark.parametrize("of", [gated, kept, split_up])
def test_a_canary_without_matches_has_those_of_the_users_rule(of: Any) -> None:
    """Or it would take the visitors of other rules and routes."""
    portal = {"backendRefs": [to("portal")]}
    before = theirs({"matches": SHOP, "backendRefs": [to("web")]}, portal)
    found = mesh(of(), before)
    for weight in (100, 0, 100):
        found.set(weight)
        *mine, last = rules(found)
        assert last == portal and all(match["path"] == SHOP[0]["path"] for rule in mine for match in rule["matches"])
    found.respec(gated, service={"match": [{"uri": {"prefix": "/new"}}]})
    found.reconcile()
    assert rules(found)[0]["matches"][0]["path"]["value"] == "/new"
    found.finalize()
    assert route_of(found)["spec"] == before["spec"]


def test_a_rollback_without_a_route_is_nothing_to_do() -> None:
    """And a promotion is the only other thing that needs one."""
    assert ROUTER.set(gated(), {OURS: None}, ALL_PRIMARY, RoutingOptions()) == ()
    assert ROUTER.set(gated(), {OURS: None}, ALL_CANARY, RoutingOptions()) != ()


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ({"allowOrigins": [{"exact": "https://a.example"}, {"regex": "https://.*"}]}, "allowOrigins[1]"),
        ({"allowOrigins": [{"prefix": "https://a"}]}, "allowOrigins[0]"),
        ({"allowOrigin": ["*"], "maxAge": "a day"}, "maxAge"),
    ],
)
def test_a_cors_policy_without_words_for_it_is_told(policy: dict[str, Any], path: str) -> None:
    """An origin that is left out would lock its users out without a word; the route stays as it is."""
    found = mesh(gated(service={"corsPolicy": {"allowOrigins": [{"exact": "https://a.example"}]}}))
    assert {"allowOrigins": ["https://a.example"]} in [each.get("cors") for each in rules(found)[0]["filters"]]
    found.respec(gated, service={"corsPolicy": policy})
    told = found.problem()
    assert told.fault is Fault.MANIFEST and told.path == f"spec.service.corsPolicy.{path}" and told.todo
