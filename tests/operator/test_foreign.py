"""Objects of other owners by names that flagger derives: which block, which are taken over, what no write reaches."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api import names
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.selectors import Selector
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, ref_of
from pyflagger.operator.observe.compiled import CompiledCanary, compile_canary, settings_of
from pyflagger.operator.observe.foreign import bind, foreigners, refusal, unbound
from pyflagger.operator.options import Options
from pyflagger.routing import services
from pyflagger.routing.services import Role

SETTINGS = settings_of(Options())
APP = Selector("app", {"app": "web"}, {"app": "web-primary"})
UID = "11111111-2222-3333-4444-555555555555"
TRAEFIK, SPLITS = ("traefik.io/v1alpha1", "TraefikService"), ("split.smi-spec.io/v1alpha3", "TrafficSplit")
ISTIO, GATEWAY = "networking.istio.io/v1beta1", "gateway.networking.k8s.io/v1"


def plan_of(provider: str = "nginx", **spec: Any) -> CompiledCanary:
    """The plan of Canary `web` in namespace `old`."""
    base = {
        "provider": provider,
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80, "meshName": "mesh", "gatewayRefs": [{"name": "gate"}]},
        "analysis": {"interval": "10s", "threshold": 1, "stepWeights": [50]},
    }
    ingress = {"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "site"}}
    meta = {"name": "web", "namespace": "old", "uid": UID}
    made = {**base, **(ingress if provider in ("nginx", "skipper") else {}), **spec}
    return compile_canary(
        {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": meta, "spec": made}, None, SETTINGS
    )


def thing(api_version: str, kind: str, name: str, owner: str = "", **more: Any) -> Obj:
    """An object; `owner` names the Canary that controls it."""
    meta: Obj = {"name": name, "namespace": "old", "resourceVersion": "7", **more}
    if owner:
        meta["ownerReferences"] = [
            {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": owner, "uid": "dead", "controller": True}
        ]
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": {"theirs": 1}}


def ingress(name: str, service: str = "web", **more: Any) -> Obj:
    """An Ingress that leads to a Service."""
    made = thing("networking.k8s.io/v1", "Ingress", name, **more)
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}
    return {**made, "spec": {"rules": [{"host": "web.local", "http": {"paths": [path]}}]}}


def found(compiled: CompiledCanary, *objs: Obj) -> list[str]:
    """The texts of what is in the way when these objects are there."""
    live = {ref_of(obj): obj for obj in objs}

    def rendered(ref: Ref, get: Any) -> Any:
        role = next((role for role in Role if services.ref(compiled.canary, role) == ref), None)
        if role is not None:
            return services.reconcile(compiled.canary, role, APP, (), get(ref))
        assert compiled.router is not None
        seen = {ref: get(ref) for ref in compiled.router.reads(compiled.canary, SETTINGS.routing)}
        return compiled.router.reconcile(compiled.canary, seen, SETTINGS.routing)

    return [problem.text for problem in foreigners(compiled, live.get, rendered)]


CASES = [
    ("nginx", thing("v1", "Service", "web-canary")),
    ("nginx", thing("v1", "Service", "web-primary")),
    ("nginx", ingress("site-canary", "web-canary")),
    ("skipper", ingress("site-canary", "web-canary")),
    ("istio", thing(ISTIO, "DestinationRule", "web-canary")),
    ("istio", thing(ISTIO, "DestinationRule", "web-primary")),
    ("traefik", thing(*TRAEFIK, "web")),
    ("smi:v1alpha3", thing(*SPLITS, "web")),
    ("contour", thing("projectcontour.io/v1", "HTTPProxy", "web")),
    ("gloo", thing("gateway.solo.io/v1", "RouteTable", "web")),
    ("gloo", thing("gloo.solo.io/v1", "Upstream", "old-web-canaryupstream-80")),
    ("appmesh:v1beta2", thing("appmesh.k8s.aws/v1beta2", "VirtualNode", "web-canary")),
    ("appmesh:v1beta2", thing("appmesh.k8s.aws/v1beta2", "VirtualRouter", "web")),
    ("appmesh", thing("appmesh.k8s.aws/v1beta1", "VirtualService", "web.old")),
]


@pytest.mark.parametrize(("provider", "obj"), CASES, ids=[f"{case[0]}-{case[1]['kind']}" for case in CASES])
def test_what_somebody_else_has_blocks(provider: str, obj: Obj) -> None:
    """By whichever name and kind, and whoever owns it; what belongs to the Canary does not."""
    compiled, source = plan_of(provider), ingress("site")
    text = f"{obj['kind'].lower()} {obj['metadata']['name']}.old exists and does not belong to this canary"
    assert [each.startswith(text) for each in found(compiled, source, obj)] == [True]
    other = {
        **obj,
        "metadata": {**obj["metadata"], **thing("", "", "", "shop")["metadata"], "name": obj["metadata"]["name"]},
    }
    if obj["kind"] != "Ingress":
        assert [each.startswith(text) and "Canary shop" in each for each in found(compiled, source, other)] == [True]
    own = {
        **other,
        "metadata": {**other["metadata"], **thing("", "", "", "web")["metadata"], "name": obj["metadata"]["name"]},
    }
    assert found(compiled, source, own) == []


def test_what_is_only_read_or_taken_over_does_not_block() -> None:
    """The user's Ingress, the apex Service, and a route by its name or that `routeRef` names."""
    assert found(plan_of(), ingress("site"), thing("v1", "Service", "web")) == []
    assert found(plan_of("istio"), thing(ISTIO, "VirtualService", "web")) == []
    assert found(plan_of("gatewayapi:v1"), thing(GATEWAY, "HTTPRoute", "web")) == []
    named = {"apiVersion": TRAEFIK[0], "kind": TRAEFIK[1], "name": "mine"}
    assert found(plan_of("traefik", routeRef=named), thing(*TRAEFIK, "mine")) == []


@pytest.mark.parametrize(
    ("provider", "obj"), [("traefik", thing(*TRAEFIK, "web")), ("smi:v1alpha3", thing(*SPLITS, "web"))]
)
def test_a_route_of_the_users_own_can_be_named(provider: str, obj: Obj) -> None:
    """The way out where weights alone can be set: its other backends stay."""
    (told,) = foreigners(plan_of(provider), {ref_of(obj): obj}.get, lambda ref, get: (Patch(ref, {}),))
    assert told.todo.endswith("Or name it in spec.routeRef: flagger then sets only its weights.")


def test_what_is_taken_over_is_never_another_canarys() -> None:
    """Neither the apex Service nor a route: that canary would write it, too."""
    for provider, obj in (
        ("nginx", thing("v1", "Service", "web", "shop")),
        ("istio", thing(ISTIO, "VirtualService", "web", "shop")),
        ("gatewayapi:v1", thing(GATEWAY, "HTTPRoute", "web", "shop")),
    ):
        assert len(found(plan_of(provider), ingress("site"), obj)) == 1


def test_a_route_of_a_further_port_is_no_route_of_the_apexs_name() -> None:
    """Only what the docs name is taken over."""
    service = {"port": 80, "gatewayRefs": [{"name": "gate"}], "ports": [{"name": "admin", "port": 81}]}
    compiled = plan_of("gatewayapi:v1", service=service)
    assert len(found(compiled, thing(GATEWAY, "HTTPRoute", "web-admin"))) == 1


def test_kuma_tells_its_own_routes_by_a_mark() -> None:
    """A TrafficRoute has no namespace and no owner; an unmarked one that splits between our Services is ours."""
    compiled = plan_of("kuma")
    assert compiled.router is not None
    (made,) = compiled.router.reconcile(compiled.canary, dict.fromkeys(compiled.others), SETTINGS.routing)  # type: ignore[misc]
    assert isinstance(made, Create) and names.is_owned(compiled.canary, made.obj)
    meta = {**made.obj["metadata"], "annotations": {}}
    assert found(compiled, {**made.obj, "metadata": meta}) == []
    theirs = {
        **made.obj,
        "metadata": meta,
        "spec": {"conf": {"split": [{"weight": 1, "destination": {"version": "1"}}]}},
    }
    assert len(found(compiled, theirs)) == 1
    other = {**made.obj, "metadata": {**meta, "annotations": {names.OWNER: "web.elsewhere"}}}
    assert "Canary web.elsewhere" in found(compiled, other)[0]
    assert compiled.router.finalize(compiled.canary, {ref_of(other): other}, SETTINGS.routing) == ()


@pytest.mark.parametrize(
    ("more", "owner"),
    [
        ({}, "it names no owner"),
        ({"labels": {"app.kubernetes.io/managed-by": "Terraform"}}, "app.kubernetes.io/managed-by Terraform"),
        ({"annotations": {"meta.helm.sh/release-name": "beta"}}, "Helm release beta of namespace old"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:/Service"}}, "Argo CD tracking ID shop:/Service"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux Kustomization apps"),
        ({"ownerReferences": [{"kind": "Kafka", "name": "k", "controller": True}]}, "Kafka k"),
        ({"ownerReferences": [{"kind": "Kafka", "name": "k"}]}, "Kafka k"),
    ],
)
def test_the_text_names_the_owner(more: Obj, owner: str) -> None:
    """As far as the object says it."""
    assert f"({owner})" in found(plan_of(), thing("v1", "Service", "web-canary", **more))[0]


def test_the_way_out_is_an_annotation_where_nobody_controls_the_object() -> None:
    """Such as after a restore without owner references: then it is the Canary's, and nothing blocks."""
    compiled, left = plan_of(), thing("v1", "Service", "web-canary")
    (told,) = foreigners(compiled, {ref_of(left): left}.get, lambda ref, get: (Patch(ref, {}),))
    assert "kubectl -n old annotate service web-canary flagger.app/canary=web.old --overwrite" in told.todo
    left["metadata"]["annotations"] = {names.OWNER: "web.old"}
    assert found(compiled, left) == []
    held = thing("v1", "Service", "web-canary", "shop", annotations={names.OWNER: "web.old"})
    assert len(found(compiled, held)) == 1, "an annotation takes nothing from a controller"


def test_owner_references_of_an_earlier_canary_are_renewed() -> None:
    """The name decides whose an object is; the uid, whether the garbage collector thinks so, too."""
    compiled = plan_of()
    assert compiled.primary is not None
    mate = {"apiVersion": "v1", "kind": "ConfigMap", "name": "mate", "uid": "m"}
    old, new = thing("v1", "Service", "web-canary", "web"), thing("v1", "Service", "web-primary", "web")
    old["metadata"]["ownerReferences"].append(mate)
    new["metadata"]["ownerReferences"][0]["uid"] = UID
    handed = thing("apps/v1", "Deployment", "web-primary", annotations={names.OWNER: "web.old"})
    going = thing("networking.k8s.io/v1", "Ingress", "site-canary", "web", deletionTimestamp="2026-01-01T00:00:00Z")
    others = thing("v1", "Service", "web"), ingress("site"), thing("apps/v1", "Deployment", "web")
    live = {ref_of(obj): obj for obj in (old, new, handed, going, *others)}
    assert unbound(compiled, live.get) == (ref_of(handed), ref_of(old))
    assert found(compiled, old, new, *others) == [], "owned all the same"
    write = bind(compiled, old)
    ours = names.owner_reference(compiled.canary)
    assert write == Patch(ref_of(old), {"metadata": {"ownerReferences": [mate, ours]}}, "7")
    assert bind(compiled, handed).body == {"metadata": {"ownerReferences": [ours]}}


# The last check -----------------------------------------------------------------------------------------------------


def refused(compiled: CompiledCanary, obj: Obj, *, delete: bool = False) -> Problem | None:
    """Whether a write to a live object gets through."""
    return refusal(compiled, Delete(ref_of(obj)) if delete else Patch(ref_of(obj), {}), obj)


def test_no_write_reaches_what_is_not_the_canarys() -> None:
    """Whatever a renderer says: it is our fault, and nothing is written."""
    compiled = plan_of()
    for obj in (thing("v1", "Service", "other"), ingress("site"), thing("apps/v1", "Deployment", "web-primary")):
        for delete in (False, True):
            told = refused(compiled, obj, delete=delete)
            assert told is not None and told.fault is Fault.US and "it names no owner" in told.text
    config = thing("v1", "ConfigMap", "settings")
    assert refused(compiled, config) and refused(compiled, config, delete=True)


def test_writes_that_get_through() -> None:
    """To the Canary, its target and autoscaler, what is its own, and what is taken over; only its own is deleted."""
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}
    compiled = plan_of(autoscalerRef=scaler)
    known = (
        thing("flagger.app/v1beta1", "Canary", "web"),
        thing("apps/v1", "Deployment", "web"),
        thing("autoscaling/v2", "HorizontalPodAutoscaler", "web"),
        thing("v1", "Service", "web"),
    )
    for obj in known:
        assert refused(compiled, obj) is None and refused(compiled, obj, delete=True) is not None
    for obj in (thing("v1", "Service", "web-canary", "web"), thing("v1", "ConfigMap", "settings-primary", "web")):
        assert refused(compiled, obj) is None is refused(compiled, obj, delete=True)
    assert refusal(compiled, Patch(Ref("v1", "Service", "old", "gone"), {}), None) is None


def test_a_shared_copy_may_be_written_by_each_canary_that_has_it() -> None:
    """A ConfigMap may have several owners and no controller."""
    shared = thing("v1", "ConfigMap", "settings-primary")
    shared["metadata"]["ownerReferences"] = [
        {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": name} for name in ("shop", "web")
    ]
    assert refused(plan_of(), shared) is None
