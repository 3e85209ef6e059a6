"""What holds for every provider whose objects are rendered whole: weights, drift, foreign fields."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from splits import Way, made, theirs

from pyflagger.api.facts import ALL_PRIMARY, Fault, Problem, Route
from pyflagger.objects import Obj, Write, merge_apply
from pyflagger.routing.registry import PROVIDERS
from pyflagger.testing import Scene, check_router

WAYS: dict[str, dict[str, Any]] = {
    "linkerd": {},
    "osm": {},
    "smi:v1alpha1": {},
    "smi:v1alpha2": {},
    "smi:v1alpha3": {},
    "traefik": {},
    "contour": {},
    "kuma": {},
    "gloo": {},
    "appmesh": {"spec": {"service": {"meshName": "global"}}},
    "appmesh:v1beta2": {},
    "apisix": {
        "spec": {"routeRef": {"apiVersion": "apisix.apache.org/v2", "kind": "ApisixRoute", "name": "mine"}},
        "objects": (
            theirs(
                "apisix.apache.org/v2",
                "ApisixRoute",
                {"http": [{"name": "all", "match": {"paths": ["/*"]}, "backends": [{"serviceName": "web"}]}]},
            ),
        ),
    },
}
AB = ("contour", "gloo", "appmesh", "appmesh:v1beta2")
every_provider = pytest.mark.parametrize("provider", WAYS)


def way(provider: str, **more: Any) -> Way:
    """A provider with what it needs."""
    base = WAYS[provider]
    return Way(provider, **{**base, **more, "spec": merge_apply(base.get("spec", {}), more.get("spec", {}))})


def owned(one: Way) -> list[Obj]:
    """Everything that we made."""
    return [obj for obj in one.cluster.objects.values() if obj not in one.objects]


@every_provider
def test_it_is_made_with_everybody_on_the_primary(provider: str) -> None:
    """Owned by the Canary, kept from Flux; a second look writes nothing."""
    one = way(provider, spec={"service": {"apex": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}})
    assert one.read() is None and one.set(0) == 0
    assert one.reconcile() > 0
    assert one.read() == ALL_PRIMARY and one.reconcile() == 0
    meta = one.main["metadata"]
    assert meta["annotations"]["kustomize.toolkit.fluxcd.io/reconcile"] == "disabled"
    for obj in owned(one):
        if "namespace" in obj["metadata"]:
            assert obj["metadata"]["ownerReferences"][0]["uid"] == "u1"


@every_provider
def test_it_conforms(provider: str) -> None:
    """To what plugins are held to."""
    needs = WAYS[provider]
    scene = Scene({"provider": provider, **needs.get("spec", {})}, needs.get("objects", ()))
    assert len(check_router(lambda: PROVIDERS[provider], scene)) >= 12


@every_provider
def test_a_weight_of_an_object_that_is_not_there(provider: str) -> None:
    """Told; nothing is made in a hurry."""
    found = way(provider).problem(10)
    assert found.fault is Fault.CLUSTER and "does not exist" in found.text


@every_provider
@given(weight=st.integers(0, 100))
def test_a_weight_is_read_back(provider: str, weight: int) -> None:
    """Whatever it is, in one write; setting it again writes nothing, mending keeps it, and 0 is written as 0."""
    one = made(way(provider))
    assert one.set(weight) == (1 if weight else 0)
    assert one.read() == Route(100 - weight, weight)
    assert one.set(weight) == 0 and one.reconcile() == 0
    assert one.set(0) == (1 if weight else 0) and one.read() == ALL_PRIMARY
    assert one.set(100) == 1 and one.read() == Route(0, 100)


def holes(obj: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of an object."""
    pairs = obj.items() if isinstance(obj, dict) else enumerate(obj) if isinstance(obj, list) else ()
    return [hit for key, value in pairs for hit in ((*path, key), *holes(value, (*path, key)))]


def damaged(obj: Obj, path: tuple[Any, ...]) -> Obj:
    """A copy without one value."""
    result = copy.deepcopy(obj)
    inner: Any = result
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return result


@every_provider
def test_whatever_is_taken_away_is_put_back(provider: str) -> None:
    """Any value of the spec: mended in one go to the very same object, at the weight of before if it still is there."""
    one = made(way(provider, status={"phase": "Progressing", "canaryWeight": 30}), 30)
    ref, good = one.router.main(one.canary), one.main
    for path in holes(good["spec"], ("spec",)):
        one.cluster.objects[ref] = damaged(good, path)
        one.reconcile()
        assert {**one.main, "metadata": good["metadata"]} == good, path
        assert one.read() == Route(70, 30) and one.reconcile() == 0


@every_provider
def test_mending_keeps_the_live_weight_whatever_the_status_says(provider: str) -> None:
    """A label is lost while the weight is ahead of the status: the label is put back, the weight stays."""
    one = made(way(provider, spec={"service": {"apex": {"labels": {"a": "b"}}}}), 40)
    one.main["metadata"]["annotations"] = {}
    one.main["metadata"]["labels"] = {}
    assert one.reconcile() == 1 and one.read() == Route(60, 40)
    assert one.main["metadata"]["annotations"]


@every_provider
def test_what_others_added_stays(provider: str) -> None:
    """Labels, annotations, and fields that we do not know, at the top, in a backend and beside the weights."""
    one = made(way(provider), 20)
    one.main["metadata"]["labels"] = {**(one.main["metadata"].get("labels") or {}), "theirs": "x"}
    one.main["metadata"]["annotations"]["theirs"] = "y"
    one.main["spec"]["theirs"] = {"deep": 1}
    for backend in one.backends:
        backend["theirs"] = True
    before = copy.deepcopy(one.main)
    assert one.reconcile() == 0 and one.set(30) == 1
    after = one.main
    assert after["spec"]["theirs"] == {"deep": 1} and all(backend["theirs"] for backend in one.backends)
    assert after["metadata"]["annotations"]["theirs"] == "y"
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


@every_provider
@pytest.mark.parametrize("wrong", [("1", "2"), ("100", "100"), ("0", "0"), ("half", "50"), (-10, 110), (70, None)])
def test_weights_that_are_not_100_in_all(provider: str, wrong: tuple[Any, Any]) -> None:
    """Told with both figures, and set to what the release had reached."""
    one = made(way(provider, status={"phase": "Progressing", "canaryWeight": 10}), 30)
    put(one, wrong)
    found = one.read()
    assert isinstance(found, Problem) and found.fault is Fault.CLUSTER and found.todo
    assert "the sum must be 100" in found.text
    assert one.reconcile() == 1 and one.read() == Route(90, 10)


def put(one: Way, weights: tuple[Any, Any]) -> None:
    """Write nonsense into the backends of the live object."""
    for backend in one.backends:
        backend["weight"] = weights[one.router.service_of(one.canary, backend) == "web-canary"]


@every_provider
def test_made_again_in_a_release_it_has_the_weight_of_then(provider: str) -> None:
    """Visitors of the canary stay with it."""
    one = made(way(provider, status={"phase": "Progressing", "canaryWeight": 30}), 30)
    del one.cluster.objects[one.router.main(one.canary)]
    assert one.read() is None and one.reconcile() == 1 and one.read() == Route(70, 30)


@every_provider
def test_a_crash_between_writes_is_mended(provider: str) -> None:
    """Whichever writes were done, the next look ends with all objects alike."""
    for done in range(6):
        one = made(way(provider), 20)
        writes = one.router.set(one.canary, one.live, Route(50, 50), one.options)
        assert not isinstance(writes, Problem)
        some: tuple[Write, ...] = writes[:done]
        one.cluster.write(some)
        one.reconcile()
        one.set(50)
        assert one.read() == Route(50, 50) and one.set(50) == 0 and one.reconcile() == 0


@every_provider
def test_nothing_but_the_manifest_is_needed_to_be_gone(provider: str) -> None:
    """Finalizing twice, or without any object, is no error."""
    one = made(way(provider), 20)
    one.cluster.write(one.router.finalize(one.canary, one.live, one.options))
    one.cluster.write(one.router.finalize(one.canary, one.live, one.options))
    bare = way(provider)
    assert bare.cluster.write(bare.router.finalize(bare.canary, bare.live, bare.options)) == 0


LEFT: dict[str, Obj] = {
    "traefik": {"weighted": {"services": [{"name": "web", "namespace": "test", "port": 80, "weight": 100}]}},
    "contour": {"routes": [{"conditions": [{"prefix": "/"}], "services": [{"name": "web", "port": 80}]}]},
}
GONE = ("linkerd", "osm", "smi:v1alpha3", "apisix")


@pytest.mark.parametrize("provider", LEFT)
def test_what_routes_of_the_user_name_is_left_to_him(provider: str) -> None:
    """In the middle of a release it leads to the apex Service alone, and nobody collects it."""
    one = made(way(provider), 20)
    assert one.cluster.write(one.router.finalize(one.canary, one.live, one.options)) == 1
    assert one.main["spec"] == LEFT[provider] and not one.main["metadata"].get("ownerReferences")
    assert one.router.finalize(one.canary, one.live, one.options) == ()


@pytest.mark.parametrize("provider", LEFT)
def test_what_leads_to_no_primary_goes_with_the_canary(provider: str) -> None:
    """There is nothing in it that could lead to the apex Service."""
    one = made(way(provider), 20)
    spoilt = {"routes": None, "weighted": None}
    one.cluster.edit(one.router.main(one.canary), {"spec": spoilt})
    assert one.router.finalize(one.canary, one.live, one.options) == ()


@pytest.mark.parametrize("provider", GONE)
def test_what_visitors_can_do_without_is_taken_away_first(provider: str) -> None:
    """Before the Services that it leads to."""
    one = made(way(provider), 20)
    ref = one.router.main(one.canary)
    assert one.cluster.write(one.router.finalize(one.canary, one.live, one.options)) == 1
    assert ref not in one.cluster.objects


# A/B and testers ------------------------------------------------------------------------------------------------------

SPLIT_BY: dict[str, Any] = {
    "analysis": {
        "stepWeight": None,
        "maxWeight": None,
        "iterations": 5,
        "match": [
            {"headers": {"x-canary": {"exact": "insider"}, "a": {"prefix": "b"}}},
            {"headers": {"cookie": {"regex": "^(.*?;)?(type=insider)(;.*)?$"}}},
        ],
    }
}
some_provider = pytest.mark.parametrize("provider", AB)


def test_who_splits_by_header_is_in_the_table() -> None:
    """Others say that they cannot, and validation refuses it."""
    assert {name for name in WAYS if PROVIDERS[name].capabilities.ab} == set(AB)


@some_provider
def test_those_who_match_see_the_canary_and_nobody_else(provider: str) -> None:
    """A rule for each entry, and one for everybody else who stays on the primary; gone again at weight 0."""
    one = made(way(provider, spec=SPLIT_BY), 100)
    rules = [[backend.get("weight") for backend in rule] for rule in one.router.backends(one.main)]
    assert len(rules) == 3 and rules[0] == rules[1]
    assert sorted(rules[0]) == [0, 100] and rules[2] == rules[0][::-1]
    assert one.read() == Route(0, 100) and one.reconcile() == 0 and one.set(100) == 0
    assert one.set(0) == 1 and one.read() == ALL_PRIMARY
    assert len(one.router.backends(one.main)) == 1


@some_provider
def test_everyone_means_everyone(provider: str) -> None:
    """After a failed promotion the proved canary serves all, which mending keeps."""
    one = made(way(provider, spec=SPLIT_BY, status={"phase": "Failed", "canaryWeight": 100}), 100)
    assert one.read() == ALL_PRIMARY, "rules that still stand give it only a few"
    assert one.set(100, everyone=True) == 1
    assert one.read() == Route(0, 100) and len(one.router.backends(one.main)) == 1
    assert one.reconcile() == 0 and one.set(100, everyone=True) == 0


@some_provider
def test_testers_are_pinned_while_the_weight_ramps(provider: str) -> None:
    """Their rule leads to the canary at every weight over 0; put back when somebody removes it."""
    one = made(way(provider, spec={"analysis": {"testers": [{"headers": {"x": {"exact": "y"}}}]}}))
    assert len(one.router.backends(one.main)) == 1
    for weight in (10, 40):
        assert one.set(weight) == 1 and one.read() == Route(100 - weight, weight)
        testers, everybody = one.router.backends(one.main)
        by_name = {one.router.service_of(one.canary, backend): backend["weight"] for backend in testers}
        assert by_name == {"web-primary": 0, "web-canary": 100} and len(everybody) == 2
    one.router.backends(one.main)[0][0]["weight"] = 55
    assert one.reconcile() == 1 and one.read() == Route(60, 40)
    assert one.set(0) == 1 and len(one.router.backends(one.main)) == 1


@some_provider
@pytest.mark.parametrize(
    "match, path",
    [
        ({"sourceLabels": {"app": "x"}}, "match[0].sourceLabels"),
        ({}, "match[0]"),
        ({"headers": {"x": {}}}, "match[0].headers.x"),
    ],
)
def test_what_cannot_be_said_is_refused(provider: str, match: dict[str, Any], path: str) -> None:
    """By its path; nobody is routed by a wider rule."""
    spec = {"analysis": {**SPLIT_BY["analysis"], "match": [match]}}
    one = made(way(provider, spec=spec))
    found = one.problem(100)
    assert found.fault is Fault.MANIFEST and found.path == f"spec.analysis.{path}" and found.path in found.text
    assert one.read() == ALL_PRIMARY


@some_provider
def test_fields_of_others_stay_when_rules_come_and_go(provider: str) -> None:
    """The rule for everybody is the same one before, during and after."""
    one = made(way(provider, spec=SPLIT_BY))
    for backend in one.backends:
        backend["theirs"] = True
    for weight in (100, 0):
        one.set(weight)
        assert all(backend["theirs"] for backend in one.backends)


@pytest.mark.parametrize("provider", [name for name in WAYS if PROVIDERS[name].capabilities.ports])
def test_further_ports_are_split_alike(provider: str) -> None:
    """Whatever the objects are, each has the weight, and one that was left behind catches up."""
    one = made(way(provider, spec={"service": {"ports": [{"name": "grpc", "port": 9000}]}}), 30)
    mine = [obj for obj in owned(one) if one.router.backends(obj)]
    for obj in mine:
        weights = [str(backend["weight"]) for backend in one.router.backends(obj)[-1]]
        assert sorted(weights) == ["30", "70"]
    for obj in mine:
        if obj is not one.main:
            one.router.backends(obj)[-1][0]["weight"] = 1
            assert one.reconcile() == 1 and one.read() == Route(70, 30)
