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


class RouterRun:
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
    run = RouterRun(source)
    assert run.read() is None and run.set(0) == 0 and run.reconcile() == 1
    (rule,) = run.ours["spec"]["rules"]
    leads = [(path["path"], path["backend"]["service"]["name"]) for path in rule["http"]["paths"]]
    assert leads == [("/", "web-primary"), ("/", "web-canary")]
    assert "defaultBackend" not in run.ours["spec"] and LAST_APPLIED not in run.annotations
    assert run.annotations["a"] == "b" and run.ours["metadata"]["ownerReferences"][0]["uid"] == "u1"
    assert run.cluster.objects[INGRESSES.ref("test", "web")] == source
    assert run.read() == ALL_PRIMARY and run.reconcile() == 0


@pytest.mark.parametrize("weight", [0, 10, 20, 30, 85, 100])
def test_weights_are_read_back(weight: int) -> None:
    """In one write; setting or mending again writes nothing."""
    run = RouterRun()
    run.reconcile()
    assert run.set(weight) == (1 if weight else 0)
    assert json.loads(run.annotations[WEIGHTS]) == {"web-canary": weight, "web-primary": 100 - weight}
    assert run.annotations[PREDICATE] == ("Weight(100)" if weight else "False()")
    assert run.read() == Route(100 - weight, weight) and run.set(weight) == 0 and run.reconcile() == 0


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
    run = RouterRun(ingress(annotations={PREDICATE: theirs}))
    run.reconcile()
    run.set(10)
    assert run.annotations[PREDICATE] == on
    run.set(0)
    assert run.annotations[PREDICATE] == on.replace("Weight(100)", "False()")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nonsense", '{"web-primary":70}', '{"web-primary":"70","web-canary":"30"}', "null"]
)
def test_weights_that_are_none(text: str) -> None:
    """Told, and set to what the release had reached."""
    run = RouterRun(status={"phase": "Progressing", "canaryWeight": 20})
    run.reconcile()
    run.annotations[WEIGHTS] = text
    found = run.read()
    assert isinstance(found, Problem) and found.fault is Fault.CLUSTER and "web-canary.test" in found.text
    assert run.reconcile() == 1 and run.read() == Route(80, 20)


def test_drift_keeps_weights_and_predicate() -> None:
    """Also what others added; a change of the user's is followed."""
    run = RouterRun()
    run.reconcile()
    run.set(30)
    run.annotations.update({"theirs": "x", PREDICATE: "False()"})
    run.ours["spec"]["rules"] = []
    run.cluster.objects[INGRESSES.ref("test", "web")]["metadata"]["annotations"] = {"new": "y"}
    assert run.reconcile() == 1 and run.read() == Route(70, 30)
    assert run.annotations["theirs"] == "x" and run.annotations["new"] == "y"
    assert run.annotations[PREDICATE] == "Weight(100)" and run.ours["spec"]["rules"]


def test_ours_is_taken_away_at_the_end() -> None:
    """Already gone is fine."""
    run = RouterRun()
    run.reconcile()
    live = run.cluster.live(ROUTER.reads(run.canary, OPTIONS))
    assert run.cluster.write(ROUTER.finalize(run.canary, live, OPTIONS)) == 1 and OURS not in run.cluster.objects
    live = run.cluster.live(ROUTER.reads(run.canary, OPTIONS))
    assert ROUTER.finalize(run.canary, live, OPTIONS) == ()


def test_what_is_wrong_is_told() -> None:
    """No Ingress named, none there, one that leads elsewhere, and a weight before ours is made."""
    bare = RouterRun(ingressRef=None)
    assert ROUTER.reads(bare.canary, OPTIONS) == () and bare.read() is None and bare.set(0) == 0
    for run, said in (
        (bare, "selector is empty"),
        (RouterRun(ingress(name="other")), "not found"),
        (RouterRun(ingress(("/", "x", 80))), "backend web not found"),
    ):
        live = run.cluster.live(ROUTER.reads(run.canary, OPTIONS))
        found = ROUTER.reconcile(run.canary, live, OPTIONS)
        assert isinstance(found, Problem) and said in found.text and found.path == "spec.ingressRef"
    run = RouterRun()
    live = run.cluster.live(ROUTER.reads(run.canary, OPTIONS))
    early = ROUTER.set(run.canary, live, Route(90, 10), OPTIONS)
    assert isinstance(early, Problem) and "web-canary does not exist" in early.text


def test_it_conforms() -> None:
    """To what plugins are held to."""
    ref = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "web"}
    assert len(check_router(Skipper, Scene({"provider": "skipper", "ingressRef": ref}, (ingress(),)))) >= 12
