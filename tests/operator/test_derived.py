"""Facts from live objects: computed again only if an input changed, and at rest once the writes are carried out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from pyflagger.api import names
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Fault, Problem
from pyflagger.api.selectors import Selector
from pyflagger.core.decision import Part
from pyflagger.core.situation import Generated
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, merge_apply, part, ref_of
from pyflagger.operator.observe.compiled import CompiledCanary, compile_canary, settings_of
from pyflagger.operator.observe.derived import (
    Derived,
    Surroundings,
    apex_back,
    derive,
    discovered,
    missing_target,
    primary_of,
    routes_back,
)
from pyflagger.operator.observe.memo import Memo
from pyflagger.operator.observe.snapshot import content
from pyflagger.operator.options import Options
from pyflagger.routing.services import Role
from pyflagger.workloads.configs import NOTHING
from stage.manifests import canary, deployment, ingress

SETTINGS = settings_of(Options())
WEB, PRIMARY = (Ref("apps/v1", "Deployment", "mall", name) for name in ("web", "web-primary"))
APEX = Ref("v1", "Service", "mall", "web")
OWNER = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "web", "uid": "u", "controller": True}
GONE = "2026-01-01T00:00:00Z"


def placed(obj: Obj, **meta: Any) -> Obj:
    """The object as the API server has it."""
    made = {"namespace": "mall", "resourceVersion": "1", "generation": 1}
    return {**obj, "metadata": {**obj["metadata"], **made, **meta}}


def primary(*owners: Obj) -> Obj:
    """The primary of `web`."""
    obj = placed(deployment("web"), name="web-primary", ownerReferences=list(owners))
    labels = {"app": "web-primary"}
    obj["spec"] = {**obj["spec"], "selector": {"matchLabels": labels}}
    obj["spec"]["template"] = {**obj["spec"]["template"], "metadata": {"labels": labels}}
    return obj


class Place:
    """The live objects of Canary `web`, and what was derived from them so far."""

    def __init__(self, *objs: Obj, provider: str = "kubernetes", **spec: Any) -> None:
        self.live = {ref_of(obj): obj for obj in objs}
        self.memo = Memo()
        self.spec: Obj = {"provider": provider, **spec}
        self.meta: Obj = {}
        self.status: Obj = {}

    @property
    def compiled(self) -> CompiledCanary:
        """The Canary as it is now."""
        raw = placed(canary("web", **self.spec), uid="u", **self.meta)
        return compile_canary({**raw, "status": self.status}, None, SETTINGS)

    def derive(self) -> Derived:
        """Observe."""
        compiled, get = self.compiled, self.live.get
        theirs, ours = (content(compiled, get(ref)) for ref in (compiled.target, compiled.primary))
        around = Surroundings(compiled, get, NOTHING, frozenset(), {}, SETTINGS, theirs, ours)
        return derive(around, self.memo)

    def change(self, ref: Ref, patch: Obj) -> None:
        """Change a live object, which gets another version and, with another spec, another generation."""
        before = self.live[ref]
        after = merge_apply(before, patch)
        version, generation = (before["metadata"][key] for key in ("resourceVersion", "generation"))
        more = {"resourceVersion": str(int(version) + 1), "generation": generation + ("spec" in patch)}
        self.live[ref] = {**after, "metadata": {**after["metadata"], **more}}

    def carry_out(self) -> None:
        """Carry out the writes of the Services and of the routes."""
        for writes in self.derive().made.values():
            assert not isinstance(writes, Problem)
            for write in copy.deepcopy(writes):
                assert not isinstance(write, Delete)
                if isinstance(write, Create):
                    self.live[ref_of(write.obj)] = placed(write.obj)
                else:
                    self.change(write.ref, write.body)


def initialized(**spec: Any) -> Place:
    """A canary with its primary and Services."""
    place = Place(placed(deployment("web")), primary(OWNER), placed(ingress("web")), **spec)
    place.status = {"phase": "Initialized"}
    place.carry_out()
    return place


KEPT: dict[str, Callable[[Place], object]] = {
    "nothing": lambda place: None,
    "pods of the target": lambda place: place.change(WEB, {"status": {"readyReplicas": 1}}),
    "pods of the primary": lambda place: place.change(PRIMARY, {"status": {"readyReplicas": 1}}),
    "the Canary's conditions": lambda place: place.status.update(iterations=3, failedChecks=1),
    "another object": lambda place: place.live.update({Ref("v1", "Service", "mall", "x"): placed(deployment("x"))}),
}
CHANGED: dict[str, Callable[[Place], object]] = {
    "the target": lambda place: place.change(WEB, {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}),
    "the target's size": lambda place: place.change(WEB, {"spec": {"replicas": 5}}),
    "the primary": lambda place: place.change(PRIMARY, {"spec": {"minReadySeconds": 5}}),
    "a deletion": lambda place: place.live.pop(PRIMARY),
    "a Service": lambda place: place.change(APEX, {"spec": {"ports": []}}),
    "the spec": lambda place: place.spec.update(progressDeadlineSeconds=7),
    "the weight": lambda place: place.status.update(canaryWeight=30),
    "the phase": lambda place: place.status.update(phase="Progressing"),
    "the finalizers": lambda place: place.meta.update(finalizers=["flagger.app/finalizer"]),
    "the end of the Canary": lambda place: place.meta.update(deletionTimestamp=GONE),
}


@pytest.mark.parametrize("case", [*KEPT, *CHANGED])
def test_facts_are_computed_again_if_an_input_changed(case: str) -> None:
    """Most events change no input. One that is overlooked would leave old facts for good."""
    place = initialized()
    before = place.derive()
    (KEPT | CHANGED)[case](place)
    assert (place.derive() is before) is (case in KEPT)


PROVIDERS = ("kubernetes", "nginx", "istio", "traefik", "smi:v1alpha1", "contour", "kuma")
SERVED = [Part.CANARY_SERVICE, Part.PRIMARY_SERVICE, Part.APEX_SERVICE]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_writes_that_are_carried_out_leave_nothing_to_write(provider: str) -> None:
    """For each part: a write that is wanted again each time would never end."""
    place = Place(placed(deployment("web")), primary(OWNER), placed(ingress("web")), provider=provider)
    place.status = {"phase": "Initialized"}
    new = place.derive()
    routed = provider != "kubernetes"
    assert set(new.generated.wanted) == {*SERVED, *([Part.ROUTING] if routed else [])}
    assert new.generated.apex_service == "drift" and new.generated.routing == ("drift" if routed else "ok")
    place.carry_out()
    rest = place.derive()
    assert not any(rest.made.values()) and rest.generated == Generated()
    assert rest.route == ALL_PRIMARY


def test_a_digest_tells_wanted_writes_apart_and_not_versions() -> None:
    """A controller that undoes a write gets the same write again: this shows the fight for an object."""
    place = initialized()
    digests = []
    for port in ({"port": 81}, {"port": 81}, {"port": 80, "name": "undone"}):
        place.change(APEX, {"spec": {"ports": [port]}})
        digests.append(place.derive().generated.wanted)
    place.spec["service"] = {"port": 90, "targetPort": 8080}
    assert digests[0] == digests[1] == digests[2] and set(digests[0]) == {Part.APEX_SERVICE}
    assert place.derive().generated.wanted[Part.APEX_SERVICE] != digests[0][Part.APEX_SERVICE]


@pytest.mark.parametrize(
    ("kind", "version", "text"),
    [
        ("Deployment", "apps/v1", 'deployment web.mall get query error: deployments.apps "web" not found'),
        ("Service", "v1", 'service web.mall get query error: services "web" not found'),
    ],
)
def test_without_a_target_nothing_is_written(kind: str, version: str, text: str) -> None:
    """The text is the reference's, and it is the problem of the selector, too."""
    place = Place(targetRef={"apiVersion": version, "kind": kind, "name": "web"})
    found = place.derive()
    problem = missing_target(place.compiled)
    assert (problem.text, problem.fault, problem.path) == (text, Fault.MANIFEST, "spec.targetRef")
    assert found.selector == problem and found.made == {} and found.foreign == ()


OTHER = {**OWNER, "name": "shop", "uid": "s"}


@pytest.mark.parametrize(
    ("objs", "found"),
    [([], None), ([primary(OWNER)], PRIMARY), ([primary(OTHER)], Problem), ([primary()], Problem)],
    ids=["missing", "its own", "another canary's", "nobody's"],
)
def test_an_object_of_the_primarys_name_is_only_its_own(objs: list[Obj], found: Any) -> None:
    """Another owner's is a problem, and flagger neither takes its pods for the primary's nor writes to it."""
    place = Place(placed(deployment("web")), *objs)
    shown = primary_of(place.compiled, place.live.get)
    assert (type(shown) if isinstance(shown, Problem) else shown and ref_of(shown)) == found
    generated = place.derive().generated.primary_workload
    assert generated == ("missing" if found is None else "ok" if found == PRIMARY else shown)


def test_ports_are_those_of_the_pods_that_a_service_selects() -> None:
    """The canary's of the target, the others of the primary, and of the target until there is one."""
    service = {"port": 80, "targetPort": 8080, "portDiscovery": True}
    place = Place(placed(deployment("web")), primary(OWNER), service=service)
    place.change(WEB, ported(80, 8080, 7))
    place.change(PRIMARY, ported(80, 8080, 9))

    def ports() -> dict[str, list[int]]:
        return {role: [port["port"] for port in discovered(place.compiled, role, place.live.get)] for role in Role}

    assert ports() == {Role.APEX: [9], Role.PRIMARY: [9], Role.CANARY: [7]}
    del place.live[PRIMARY]
    assert ports() == {Role.APEX: [7], Role.PRIMARY: [7], Role.CANARY: [7]}


def ported(*ports: int) -> Obj:
    """The patch that makes a workload listen at these ports."""
    container = {"name": "web", "ports": [{"name": f"p{port}", "containerPort": port} for port in ports]}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


FINALIZER = [names.FINALIZER]


@pytest.mark.parametrize(
    ("revert", "meta", "wanted"),
    [
        (False, {}, "ok"),
        (True, {}, "drift"),
        (True, {"finalizers": FINALIZER}, "ok"),
        (False, {"finalizers": FINALIZER}, "drift"),
        (True, {"deletionTimestamp": GONE}, "ok"),
        (False, {"deletionTimestamp": GONE, "finalizers": FINALIZER}, "ok"),
    ],
)
def test_the_finalizer_follows_the_spec(revert: bool, meta: Obj, wanted: str) -> None:
    """Until the Canary is being deleted: the API server refuses a new finalizer then. This needs no target."""
    for objs in ([placed(deployment("web"))], []):
        place = Place(*objs, revertOnDeletion=revert)
        place.meta = meta
        assert place.derive().generated.finalizer == wanted


def test_an_apex_that_serves_the_canary_is_its_route() -> None:
    """It stays so while the status says that all visitors go there, and is turned back when it does not."""
    place = initialized()
    place.change(APEX, {"spec": {"selector": {"app": "web"}}})
    place.status["canaryWeight"] = 100
    found = place.derive()
    assert found.route == ALL_CANARY and found.generated.apex_service == "ok"
    place.status["canaryWeight"] = 0
    assert place.derive().generated.apex_service == "drift"


@pytest.mark.parametrize("goes", [False, True], ids=["the target stays", "the target goes"])
def test_generated_routes_are_not_handed_over_if_the_target_goes_too(goes: bool) -> None:
    """The garbage collector deletes them with the Canary. A user who keeps the target keeps the route."""
    service = {"port": 80, "targetPort": 8080, "hosts": ["web.example"], "gateways": ["public"]}
    place = initialized(provider="istio", service=service)
    assert place.derive().handed.left == ()
    place.meta = {"deletionTimestamp": GONE, "finalizers": FINALIZER}
    if goes:
        place.change(WEB, {"metadata": {"deletionTimestamp": GONE}})
    left = [] if goes else ["Service web", "VirtualService web"]
    assert list(place.derive().handed.left) == left
    assert handed_over(place) == left


def handed_over(place: Place) -> list[str]:
    """The objects whose owners the end of the Canary changes, with all writes carried out in turn."""
    found, get = [], place.live.get
    selector = Selector("app", {"app": "web"}, {"app": "web-primary"})
    for _ in range(3):
        routes = routes_back(place.compiled, SETTINGS, get)
        assert not isinstance(routes, Problem)
        for write in (*apex_back(place.compiled, selector, get), *routes):
            assert isinstance(write, Patch)
            if "ownerReferences" in part(write.body, "metadata"):
                found.append(f"{write.ref.kind} {write.ref.name}")
            place.change(write.ref, write.body)
    return found
