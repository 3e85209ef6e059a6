"""Objects that we generate: what is wanted is brought about, and nothing else is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routed import Cluster, canary

from pyflagger.api.facts import ALL_PRIMARY, Route
from pyflagger.objects import Obj, Resource, ref_of
from pyflagger.routing.generated import brought_about, make, overlay, owed

THINGS = Resource("example.com", "v1", "things", "Thing")
WIDE = Resource("example.com", "v1", "wides", "Wide", namespaced=False)

JSON = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def thing(spec: Obj, **service: Any) -> Obj:
    """A Thing of a canary's."""
    return make(canary(service=service), THINGS, "web", spec)


def settled(cluster: Cluster, wanted: Obj) -> Obj:
    """What is there after a look; a second look writes nothing."""
    ref = ref_of(wanted)
    cluster.write(brought_about(cluster.objects.get(ref), wanted))
    assert brought_about(cluster.objects[ref], wanted) == ()
    return cluster.objects[ref]


def test_an_object_is_made_with_an_owner_and_metadata_of_the_apex() -> None:
    """It goes with its Canary, and Flux leaves it alone."""
    made = settled(Cluster(), thing({"a": 1}, apex={"labels": {"team": "x"}, "annotations": {"note": "y"}}))
    meta = made["metadata"]
    assert meta["ownerReferences"][0]["name"] == "web" and meta["namespace"] == "test"
    assert meta["labels"] == {"team": "x"} and meta["annotations"]["note"] == "y"
    assert meta["annotations"]["kustomize.toolkit.fluxcd.io/reconcile"] == "disabled"


def test_an_object_of_the_whole_cluster_has_no_owner() -> None:
    """An owner in a namespace would make the garbage collector take it away."""
    meta = make(canary(), WIDE, "web", {})["metadata"]
    assert "ownerReferences" not in meta and "namespace" not in meta


def test_what_others_added_stays() -> None:
    """Fields, labels and annotations that we do not mention are somebody else's."""
    cluster = Cluster()
    made = settled(cluster, thing({"rules": [{"weight": 1}]}))
    made["spec"] |= {"theirs": True}
    made["spec"]["rules"][0]["filter"] = "theirs"
    made["metadata"]["labels"] = {"theirs": "yes"}
    after = settled(cluster, thing({"rules": [{"weight": 2}]}))
    assert after["spec"] == {"rules": [{"weight": 2, "filter": "theirs"}], "theirs": True}
    assert after["metadata"]["labels"] == {"theirs": "yes"}


def test_what_must_not_be_there_goes() -> None:
    """A key that is wanted as None is removed, and its absence is no difference."""
    cluster = Cluster()
    settled(cluster, thing({"timeout": "5s", "kept": 1}))
    assert settled(cluster, thing({"timeout": None}))["spec"] == {"kept": 1}


@given(JSON, JSON)
def test_laying_over_twice_is_laying_over_once(live: Any, wanted: Any) -> None:
    """And neither side is changed by it."""
    before = copy.deepcopy((live, wanted))
    once = overlay(live, wanted)
    assert overlay(once, wanted) == once and (live, wanted) == before


@pytest.mark.parametrize(
    "weight, route", [(0, ALL_PRIMARY), (30, Route(70, 30)), (100, Route(0, 100)), (150, ALL_PRIMARY)]
)
def test_what_a_new_object_is_owed(weight: int, route: Route) -> None:
    """A route that was deleted comes back as the release had it, and never with a weight that makes no sense."""
    assert owed(canary({"canaryWeight": weight})) == route
