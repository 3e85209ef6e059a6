"""Provider `knative`: two entries of the target's own traffic; what else is there stays, and is given back."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Route
from pyflagger.objects import Obj, Patch, merge_apply
from pyflagger.routing.base import Router, RoutingOptions
from pyflagger.routing.knative import LATEST, Knative

KIND, OPTIONS = Knative(), RoutingOptions()
REF = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "shop"}


def canary(weight: int = 0) -> Canary:
    """Of Knative Service `shop.test`, at a weight."""
    body = {"metadata": {"name": "shop", "namespace": "test", "uid": "u"}, "spec": {"targetRef": REF}}
    return Canary.model_validate({**body, "status": {"canaryWeight": weight}})


def service(*traffic: Obj, primary: str = "shop-00001") -> Obj:
    """With this traffic."""
    annotations = {names.PRIMARY_REVISION: primary} if primary else {}
    meta = {"name": "shop", "namespace": "test", "resourceVersion": "3", "annotations": annotations}
    return {"apiVersion": REF["apiVersion"], "kind": "Service", "metadata": meta, "spec": {"traffic": list(traffic)}}


def live(of: Obj | None) -> Any:
    """What the router sees."""
    return {KIND.reads(canary(), OPTIONS)[0]: of}


def after(of: Obj, writes: Any) -> Obj:
    """The Service after some writes."""
    for write in writes:
        assert isinstance(write, Patch) and write.resource_version == "3"
        of = merge_apply(of, write.body)
    return of


def test_it_is_a_router() -> None:
    """That splits by weights and nothing else."""
    assert isinstance(KIND, Router) and KIND.capabilities.weights and not KIND.capabilities.ab


TAGGED = {"revisionName": "shop-00000", "tag": "old"}


def test_from_a_users_traffic_and_back() -> None:
    """Tags stay with their entries, every step is read back, nothing is written twice, and the end is the beginning."""
    before = service({"latestRevision": True, "percent": 100, "tag": "candidate"}, TAGGED)
    assert KIND.read(canary(), live(before), OPTIONS) is None
    of = after(before, KIND.reconcile(canary(), live(before), OPTIONS))
    assert KIND.read(canary(), live(of), OPTIONS) == ALL_PRIMARY
    assert of["spec"]["traffic"] == [
        {"latestRevision": True, "percent": 0, "tag": "candidate"},
        {"revisionName": "shop-00001", "percent": 100},
        TAGGED,
    ]
    for weight in (20, 100, 0):
        route = Route(100 - weight, weight)
        of = after(of, KIND.set(canary(), live(of), route, OPTIONS))
        assert KIND.read(canary(), live(of), OPTIONS) == route
        assert KIND.set(canary(), live(of), route, OPTIONS) == () == KIND.reconcile(canary(), live(of), OPTIONS)
    back = after(of, KIND.finalize(canary(), live(of), OPTIONS))
    assert back["spec"] == before["spec"] and back["metadata"]["annotations"] == {}
    assert KIND.finalize(canary(), live(back), OPTIONS) == ()


def test_what_the_server_fills_in_is_no_drift() -> None:
    """`latestRevision: false` beside a name."""
    of = service(primary="shop-00001")
    of = after(of, KIND.reconcile(canary(), live(of), OPTIONS))
    of["spec"]["traffic"][1]["latestRevision"] = False
    assert KIND.reconcile(canary(), live(of), OPTIONS) == ()
    assert KIND.read(canary(), live(of), OPTIONS) == ALL_PRIMARY


DRIFT: dict[str, tuple[Obj, ...]] = {
    "reset by somebody": ({"latestRevision": True, "percent": 100},),
    "no traffic": (),
    "no whole": ({"latestRevision": True, "percent": 30}, {"revisionName": "shop-00001", "percent": 30}),
    "another revision": ({"latestRevision": True, "percent": 30}, {"revisionName": "shop-00000", "percent": 70}),
}


@pytest.mark.parametrize("case", DRIFT)
def test_drift_goes_back_to_the_weight_of_the_status(case: str) -> None:
    """It is never taken for a weight of ours."""
    of = service(*DRIFT[case])
    assert KIND.read(canary(20), live(of), OPTIONS) is None
    of = after(of, KIND.reconcile(canary(20), live(of), OPTIONS))
    assert KIND.read(canary(20), live(of), OPTIONS) == Route(80, 20)
    assert sum(entry.get("percent", 0) for entry in of["spec"]["traffic"]) == 100


@pytest.mark.parametrize("of", [None, service(primary="")])
def test_without_a_primary_nothing_is_touched(of: Obj | None) -> None:
    """A Service that is gone, or not taken on."""
    assert KIND.reconcile(canary(), live(of), OPTIONS) == () == KIND.finalize(canary(), live(of), OPTIONS)
    assert KIND.set(canary(), live(of), ALL_PRIMARY, OPTIONS) == ()


def test_what_was_saved_is_no_list() -> None:
    """Everything goes to the newest Revision then."""
    of = merge_apply(service(), {"metadata": {"annotations": {"flagger.app/original-traffic": "{"}}})
    assert after(of, KIND.finalize(canary(), live(of), OPTIONS))["spec"]["traffic"] == LATEST
