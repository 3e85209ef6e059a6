"""Provider skipper: our Ingress with both Services, its weights, and the predicate that ranks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from routed import Cluster, canary, ingress

from pyflagger.api.facts import ALL_PRIMARY, Fault, Problem, Route
from pyflagger.objects import Obj
from pyflagger.routing.base import RoutingOptions
from pyflagger.routing.ingresses import INGRESSES, LAST_APPLIED
from pyflagger.routing.skipper import PREDICATE, WEIGHTS, Skipper
from pyflagger.testing import Scene, check_router

ROUTER, OPTIONS = Skipper(), RoutingOptions()
OURS = INGRESSES.ref("test", "web-canary")


class Road:
    """A cluster with an Ingress, routed by Skipper."""

    def __init__(self, source: Obj | None = None, **spec: Any) -> None:
        self.canary = canary(spec.pop("status", None), provider="skipper", **spec)
        self.cluster = Cluster(source or ingress())

    def reconcile(self) -> int:
        """Bring it into shape."""
        live = self.cluster.live(ROUTER.reads(self.canary, OPTIONS))
        return self.cluster.write(ROUTER.reconcile(self.canary, live, OPTIONS))

    def set(self, weight: int) -> int:
        """Split traffic."""
        live = self.cluster.live(ROUTER.reads(self.canary, OPTIONS))
        return self.cluster.write(ROUTER.set(self.canary, live, Route(100 - weight, weight), OPTIONS))

    def read(self) -> Route | Problem | None:
        """The split as it is."""
        return ROUTER.read(self.canary, self.cluster.live(ROUTER.reads(self.canary, OPTIONS)), OPTIONS)

    @property
    def ours(self) -> Obj:
        """Our Ingress."""
        return self.cluster.objects[OURS]

    @property
    def annotations(self) -> dict[str, str]:
        """Those of ours."""
        found: dict[str, str] = self.ours["metadata"]["annotations"]
        return found


def test_each_path_of_the_apex_leads_to_both() -> None:
    """Other paths, the default backend and what kubectl wrote are not copied; the user's is as it was."""
    source = ingress(("/", "web", 80), ("/other", "other", 80), annotations={"a": "b", LAST_APPLIED: "{}"})
    source["spec"]["defaultBackend"] = {"service": {"name": "web", "port": {"number": 80}}}
    road = Road(source)
    assert road.read() is None and road.set(0) == 0 and road.reconcile() == 1
    (rule,) = road.ours["spec"]["rules"]
    leads = [(path["path"], path["backend"]["service"]["name"]) for path in rule["http"]["paths"]]
    assert leads == [("/", "web-primary"), ("/", "web-canary")]
    assert "defaultBackend" not in road.ours["spec"] and LAST_APPLIED not in road.annotations
    assert road.annotations["a"] == "b" and road.ours["metadata"]["ownerReferences"][0]["uid"] == "u1"
    assert road.cluster.objects[INGRESSES.ref("test", "web")] == source
    assert road.read() == ALL_PRIMARY and road.reconcile() == 0


@pytest.mark.parametrize("weight", [0, 10, 20, 30, 85, 100])
def test_weights_are_read_back(weight: int) -> None:
    """In one write; setting or mending again writes nothing."""
    road = Road()
    road.reconcile()
    assert road.set(weight) == (1 if weight else 0)
    assert json.loads(road.annotations[WEIGHTS]) == {"web-canary": weight, "web-primary": 100 - weight}
    assert road.annotations[PREDICATE] == ("Weight(100)" if weight else "False()")
    assert road.read() == Route(100 - weight, weight) and road.set(weight) == 0 and road.reconcile() == 0


@pytest.mark.parametrize(
    "theirs, on",
    [
        ("", "Weight(100)"),
        ('Method("GET")', 'Weight(100) && Method("GET")'),
        ("False() && A() &&  B()", "Weight(100) && A() && B()"),
        ("A() && Weight(100) && Weight(100)", "Weight(100) && A()"),
    ],
)
def test_predicates_of_the_user_keep_their_order(theirs: str, on: str) -> None:
    """Ours comes first and once."""
    road = Road(ingress(annotations={PREDICATE: theirs}))
    road.reconcile()
    road.set(10)
    assert road.annotations[PREDICATE] == on
    road.set(0)
    assert road.annotations[PREDICATE] == on.replace("Weight(100)", "False()")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nonsense", '{"web-primary":70}', '{"web-primary":"70","web-canary":"30"}', "null"]
)
def test_weights_that_are_none(text: str) -> None:
    """Told, and set to what the release had reached."""
    road = Road(status={"phase": "Progressing", "canaryWeight": 20})
    road.reconcile()
    road.annotations[WEIGHTS] = text
    found = road.read()
    assert isinstance(found, Problem) and found.fault is Fault.CLUSTER and "web-canary.test" in found.text
    assert road.reconcile() == 1 and road.read() == Route(80, 20)


def test_drift_keeps_weights_and_predicate() -> None:
    """Also what others added; a change of the user's is followed."""
    road = Road()
    road.reconcile()
    road.set(30)
    road.annotations.update({"theirs": "x", PREDICATE: "False()"})
    road.ours["spec"]["rules"] = []
    road.cluster.objects[INGRESSES.ref("test", "web")]["metadata"]["annotations"] = {"new": "y"}
    assert road.reconcile() == 1 and road.read() == Route(70, 30)
    assert road.annotations["theirs"] == "x" and road.annotations["new"] == "y"
    assert road.annotations[PREDICATE] == "Weight(100)" and road.ours["spec"]["rules"]


def test_ours_is_taken_away_at_the_end() -> None:
    """Already gone is fine."""
    road = Road()
    road.reconcile()
    live = road.cluster.live(ROUTER.reads(road.canary, OPTIONS))
    assert road.cluster.write(ROUTER.finalize(road.canary, live, OPTIONS)) == 1 and OURS not in road.cluster.objects
    live = road.cluster.live(ROUTER.reads(road.canary, OPTIONS))
    assert ROUTER.finalize(road.canary, live, OPTIONS) == ()


def test_what_is_wrong_is_told() -> None:
    """No Ingress named, none there, one that leads elsewhere, and a weight before ours is made."""
    bare = Road(ingressRef=None)
    assert ROUTER.reads(bare.canary, OPTIONS) == () and bare.read() is None and bare.set(0) == 0
    for road, said in (
        (bare, "selector is empty"),
        (Road(ingress(name="other")), "not found"),
        (Road(ingress(("/", "x", 80))), "backend web not found"),
    ):
        live = road.cluster.live(ROUTER.reads(road.canary, OPTIONS))
        found = ROUTER.reconcile(road.canary, live, OPTIONS)
        assert isinstance(found, Problem) and said in found.text and found.path == "spec.ingressRef"
    road = Road()
    live = road.cluster.live(ROUTER.reads(road.canary, OPTIONS))
    early = ROUTER.set(road.canary, live, Route(90, 10), OPTIONS)
    assert isinstance(early, Problem) and "web-canary does not exist" in early.text


def test_it_conforms() -> None:
    """To what plugins are held to."""
    ref = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"}
    assert len(check_router(Skipper, Scene({"provider": "skipper", "ingressRef": ref}, (ingress(),)))) >= 12
