"""A Service of the user's by the name of the apex: what stays while it is taken over, and how it comes back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from routed import Cluster, canary

from pyflagger.api import names
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj
from pyflagger.routing import services
from pyflagger.routing.original import LAST_APPLIED, LIMIT_BYTES, ORIGINAL
from pyflagger.routing.services import Role, Selector
from pyflagger.routing.takeover import CHANGES

APP = Selector("app", {"app": "web"}, {"app": "web-primary"})
PODS = {"app": "web", "tier": "front", "team": "a"}
APEX = services.ref(canary(), Role.APEX)
DISCOVERED: Obj = {"name": "metrics", "port": 9797, "targetPort": 9797, "protocol": "TCP"}


def users(*ports: Obj, meta: Obj | None = None, **spec: Any) -> Obj:
    """A Service that was there before the Canary, as an API server holds it."""
    selector = {"app": "web", "tier": "front"}
    kept = [{"protocol": "TCP", **each} for each in ports or (port(80),)]
    whole = {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": selector, "ports": kept, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "test", "resourceVersion": "1", **(meta or {})},
        "spec": {key: value for key, value in whole.items() if value is not None},
    }


def port(number: int, name: str = "http", target: Any = 8080, **more: Any) -> Obj:
    """A port of the user's."""
    return {**({"name": name} if name else {}), "port": number, "targetPort": target, **more}


class Apex:
    """The user's Service in a cluster, and a Canary that comes by."""

    def __init__(self, live: Obj, discovered: tuple[Obj, ...] = (), **service: Any) -> None:
        self.before, self.cluster, self.discovered = copy.deepcopy(live), Cluster(live), discovered
        self.canary = canary(service=service)

    @property
    def live(self) -> Obj:
        """As it is."""
        return self.cluster.objects[APEX]

    def writes(self, **more: Any) -> Any:
        """What is to be done to it."""
        return services.reconcile(self.canary, Role.APEX, APP, self.discovered, self.live, pods=PODS, **more)

    def take(self, **service: Any) -> Obj:
        """Take it over, or mend it; a second look finds nothing to do."""
        if service:
            self.canary = canary(service=service)
        self.cluster.write(self.writes())
        assert self.writes() == ()
        return self.live

    def give(self, selector: Selector | None = APP) -> Obj:
        """Give it back; doing that twice changes nothing more."""
        self.cluster.write(services.finalize_apex(self.canary, selector, self.live))
        assert services.finalize_apex(self.canary, selector, self.live) == ()
        return self.live

    def edit(self, **spec: Any) -> None:
        """The user applies another manifest."""
        self.cluster.edit(APEX, {"spec": spec})


def core(obj: Obj) -> Obj:
    """Without what every write changes."""
    meta = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    return {**obj, "metadata": {key: value for key, value in meta.items() if value}}


ROUND: dict[str, tuple[Obj, dict[str, Any], tuple[Obj, ...], list[Obj]]] = {
    "two ports": (
        users(port(80, target=9898), port(9797, "metrics", 9797)),
        {"targetPort": 9898},
        (),
        [port(80, target=9898), port(9797, "metrics", 9797)],
    ),
    "a node port under another name": (
        users(port(80, "web", "http", nodePort=30080), type="NodePort"),
        {"targetPort": 8080},
        (),
        [port(80, "web", 8080, nodePort=30080)],
    ),
    "a target port that the Canary does not say": (
        users(port(80, target="http")),
        {"targetPort": None},
        (),
        [port(80, target="http")],
    ),
    "a protocol that the Canary does not say": (
        users(port(80, appProtocol="http")),
        {},
        (),
        [port(80, appProtocol="http")],
    ),
    "a protocol that it says": (
        users(port(80, appProtocol="http")),
        {"appProtocol": "grpc"},
        (),
        [port(80, appProtocol="grpc")],
    ),
    "another port": (users(port(8000, "old")), {}, (), [port(8000, "old"), port(80)]),
    "another port by the same name": (users(port(8000)), {}, (), [port(8000), port(80, "http-80")]),
    "another port without a name": (users(port(8000, "")), {}, (), [port(8000, "port-8000"), port(80)]),
    "one port without a name": (users(port(80, "")), {}, (), [port(80)]),
    "the same number below UDP": (
        users(port(80, "dns", 53, protocol="UDP"), port(8000, "old")),
        {},
        (),
        [port(80, "dns", 53, protocol="UDP"), port(8000, "old"), port(80)],
    ),
    "further ports of the Canary": (
        users(port(80), port(9000, "mine", 1)),
        {"ports": [{"name": "rpc", "port": 9000, "targetPort": "rpc"}, {"name": "raw", "port": 7}]},
        (),
        [port(80), port(9000, "mine", "rpc"), port(7, "raw", 7)],
    ),
    "a discovered port that the user has": (
        users(port(80), port(9797, "prom", "m")),
        {},
        (DISCOVERED,),
        [port(80), port(9797, "prom", "m")],
    ),
    "a discovered port that he has not": (users(port(80)), {}, (DISCOVERED,), [port(80), DISCOVERED]),
    "policies of a load balancer": (
        users(
            type="LoadBalancer",
            sessionAffinity="ClientIP",
            externalTrafficPolicy="Local",
            loadBalancerClass="a/b",
            trafficDistribution="PreferClose",
        ),
        {},
        (),
        [port(80)],
    ),
    "another distribution": (users(trafficDistribution="PreferClose"), {"trafficDistribution": "X"}, (), [port(80)]),
    "no cluster IP": (users(clusterIP="None"), {}, (), [port(80)]),
    "no cluster IP, no ports": (users(clusterIP="None", ports=None), {}, (), [port(80)]),
    "opt-outs of his own": (
        users(meta={"annotations": dict.fromkeys(names.TOOLKIT_ANNOTATIONS, "disabled")}),
        {},
        (),
        [port(80)],
    ),
    "another value of an opt-out": (
        users(meta={"annotations": {next(iter(names.TOOLKIT_ANNOTATIONS)): "enabled", "mine": "x"}}),
        {},
        (),
        [port(80)],
    ),
}


@pytest.mark.parametrize("case", ROUND)
def test_only_what_has_to_change_does_and_all_of_it_comes_back(case: str) -> None:
    """While it is taken over and after; the object is to the letter what it was."""
    live, service, discovered, wanted = ROUND[case]
    apex = Apex(live, discovered, **service)
    taken = apex.take()
    assert taken["spec"]["ports"] == [{"protocol": "TCP", **each} for each in wanted]
    assert taken["spec"]["selector"] == {"app": "web-primary"}
    changed = ("ports", "selector", *(["trafficDistribution"] if service.get("trafficDistribution") else []))
    stays = {key: value for key, value in live["spec"].items() if key not in changed}
    assert {key: value for key, value in taken["spec"].items() if key not in changed} == stays
    assert "ownerReferences" not in taken["metadata"]
    assert core(apex.give()) == core(live)


def test_it_comes_back_without_a_target() -> None:
    """Its selector is known whatever became of the pods."""
    apex = Apex(users())
    apex.take()
    assert core(apex.give(None)) == core(apex.before)


def test_what_was_is_stored_once() -> None:
    """Neither our own state nor a later one is taken for what the user had."""
    apex = Apex(users())
    stored = apex.take()["metadata"]["annotations"][ORIGINAL]
    assert json.loads(stored)["selector"] == {"app": "web", "tier": "front"} and "clusterIP" not in stored
    apex.edit(selector={"app": "other", "tier": None})
    assert apex.take(port=81)["metadata"]["annotations"][ORIGINAL] == stored
    assert core(apex.give()) == core(apex.before)


def test_a_second_takeover_stores_anew() -> None:
    """What it is by then."""
    apex = Apex(users())
    apex.take()
    apex.give()
    apex.edit(selector={"team": "a"})
    apex.take()
    assert apex.give()["spec"]["selector"] == {"app": "web", "tier": "front", "team": "a"}


@pytest.mark.parametrize("applied, wanted", [(None, {"app": "web"}), ({"app": "web", "tier": "front"}, None)])
def test_one_that_leads_to_the_primary_already(applied: Any, wanted: Any) -> None:
    """It was taken over when nothing was stored yet: kubectl's annotation tells, or else the target does."""
    notes = {"annotations": {LAST_APPLIED: json.dumps({"spec": {"selector": applied}})}} if applied else {}
    apex = Apex(users(port(80, target=1), selector={"app": "web-primary"}, meta=notes))
    apex.take()
    assert apex.give()["spec"]["selector"] == (wanted or applied)


def test_ports_follow_the_canary() -> None:
    """A port that it had asked for goes, one that is the user's is as it was."""
    apex = Apex(users(port(80, target="http"), port(81, "b", "other")), port=80, targetPort=8080)
    apex.take()
    taken = apex.take(port=82, targetPort=8080, portName="c")
    assert [(each["port"], each["targetPort"]) for each in taken["spec"]["ports"]] == [
        (80, "http"),
        (81, "other"),
        (82, 8080),
    ]
    assert core(apex.give()) == core(apex.before)


def test_what_the_user_edits_meanwhile_stays() -> None:
    """Ports that he adds, changes or removes; a port that was changed by both is his."""
    apex = Apex(users(port(80, target="http"), port(81, "b", 1), port(82, "c", 2)), port=80, targetPort=8080)
    apex.take()
    apex.edit(ports=[port(80, target=7000, protocol="TCP"), port(81, "b", 5), port(90, "new", 9)], type="NodePort")
    apex.take()
    after = apex.give()["spec"]
    assert [(each["port"], each["targetPort"]) for each in after["ports"]] == [(80, 7000), (81, 5), (90, 9)]
    assert after["type"] == "NodePort"


NEWER = {"app": "web", "tier": "newer"}
OLDER = {"app": "older"}


@pytest.mark.parametrize(
    "then, now, wanted",
    [
        ({"app": "web", "tier": "front"}, NEWER, NEWER),
        (OLDER, OLDER, {"app": "web", "tier": "front"}),
        (OLDER, NEWER, NEWER),
        (None, NEWER, NEWER),
    ],
)
def test_a_selector_that_was_applied_since(then: Any, now: Any, wanted: Any) -> None:
    """kubectl's annotation counts when it is newer than the takeover, and not when it was out of date by then."""
    notes = {"annotations": {LAST_APPLIED: json.dumps({"spec": {"selector": then}})}} if then else {}
    apex = Apex(users(meta=notes))
    apex.take()
    newer = {LAST_APPLIED: json.dumps({"spec": {"selector": now}})}
    apex.cluster.edit(APEX, {"metadata": {"annotations": newer}})
    assert apex.give()["spec"]["selector"] == wanted


def test_turned_to_the_canary_and_given_back() -> None:
    """After a failed promotion where traffic cannot be split."""
    apex = Apex(users())
    apex.take()
    apex.cluster.write(apex.writes(to_canary=True))
    assert apex.live["spec"]["selector"] == {"app": "web"} and apex.writes(to_canary=True) == ()
    assert core(apex.give()) == core(apex.before)


@pytest.mark.parametrize("annotation", ["{", "[]"])
def test_notes_that_cannot_be_read(annotation: str) -> None:
    """The target's selector is the best guess; nothing of ours stays."""
    apex = Apex(users(port(80)))
    apex.take()
    apex.cluster.edit(APEX, {"metadata": {"annotations": {ORIGINAL: annotation, CHANGES: annotation}}})
    after = apex.give()
    assert after["spec"]["selector"] == {"app": "web"} and not after["metadata"]["annotations"]


def test_too_large_to_be_stored() -> None:
    """The API server would refuse it; nothing is written."""
    found = Apex(users(meta={"annotations": {"big": "x" * LIMIT_BYTES}})).writes()
    assert isinstance(found, Problem) and str(LIMIT_BYTES) in found.text and "server-side" in found.todo


# What is no Service of the target's ----------------------------------------------------------------------------------

UNFIT: dict[str, tuple[Obj, str]] = {
    "a name elsewhere": (
        {"type": "ExternalName", "externalName": "db.example", "selector": None},
        "is of type ExternalName: it resolves to db.example, not to pods",
    ),
    "a name elsewhere with a selector": ({"type": "ExternalName", "externalName": "db.example"}, "db.example"),
    "endpoints by hand": ({"selector": None}, "has no selector"),
    "an empty selector": ({"selector": {}}, "has no selector"),
    "headless, endpoints by hand": ({"selector": None, "clusterIP": "None"}, "has no selector"),
    "other pods": ({"selector": {"app": "api"}}, "selects app=api, which the target's pods do not have"),
    "one label too much": ({"selector": {"app": "web", "x": "y"}}, "selects app=web, x=y"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_lead_to_the_targets_pods_is_refused(case: str) -> None:
    """With its name, why, and the way out; nothing is written."""
    spec, text = UNFIT[case]
    found = Apex(users(**spec)).writes()
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST and found.path == "spec.service.name"
    assert text in found.text and "Service web.test" in found.text and "spec.service.name" in found.todo


@pytest.mark.parametrize("selector", [{"tier": "front"}, dict(PODS), {"app": "web-primary"}])
def test_what_leads_to_them_is_taken_over(selector: dict[str, str]) -> None:
    """By any of their labels, or to a primary that was there before."""
    assert Apex(users(selector=selector)).take()["spec"]["selector"] == {"app": "web-primary"}


def test_one_that_was_taken_over_is_kept_whatever_the_target_becomes() -> None:
    """A release must not stop for labels that changed since."""
    apex = Apex(users())
    apex.take()
    apex.edit(selector={"app": "x"})
    assert apex.take()["spec"]["selector"] == {"app": "web-primary"}
