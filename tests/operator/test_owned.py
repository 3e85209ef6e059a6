"""The index of objects that a canary controls: it finds those that the spec no longer names, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from shelf import Shelf

from pyflagger.objects import Key, Obj, Ref, ref_of
from pyflagger.operator.observe.owned import Owned

WEB = Key("mall", "web")


def owner(name: str = "web", **more: Any) -> Obj:
    """A controlling reference to a Canary."""
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": name, "controller": True, **more}


def service(*owners: Obj, name: str = "web-canary", namespace: str = "mall", kind: str = "Service") -> Obj:
    """An object with these owners."""
    meta = {"name": name, "namespace": namespace, "ownerReferences": list(owners)}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta}


@pytest.fixture
def shelf() -> Shelf:
    """An empty watch cache."""
    return Shelf()


@pytest.fixture
def owned(shelf: Shelf) -> Owned:
    """The index of the cache."""
    return Owned(shelf)


def test_what_the_spec_no_longer_names_is_left(shelf: Shelf, owned: Owned) -> None:
    """Objects that it names are not left, nor are those of a canary with this name in another namespace."""
    named, left = service(owner()), service(owner(), name="old-canary")
    for obj in (named, left, service(owner(), namespace="town")):
        shelf.put(obj)
    assert owned.left(WEB, {ref_of(named)}) == {ref_of(left)}
    assert owned.left(Key("mall", "unknown"), set()) == frozenset()


NOT_ITS_OWN: dict[str, Obj] = {
    "no owner": service(),
    "an owner that does not control it": service(owner(controller=False)),
    "an owner without the field": service({key: value for key, value in owner().items() if key != "controller"}),
    "another kind of owner": service(owner(kind="Deployment")),
    "a Canary of another group": service(owner(apiVersion="flagger.application/v1")),
    "a copy of a ConfigMap": service(owner(), kind="ConfigMap"),
    "a copy of a Secret": service(owner(), kind="Secret"),
}


@pytest.mark.parametrize("case", NOT_ITS_OWN)
def test_other_objects_are_never_left(case: str, shelf: Shelf, owned: Owned) -> None:
    """An object that another controller has, and the copies of configs, which `kube.configs` tracks."""
    shelf.put(NOT_ITS_OWN[case])
    assert owned.left(WEB, set()) == frozenset()


def test_an_object_of_any_version_of_the_canary_counts(shelf: Shelf, owned: Owned) -> None:
    """Other owners beside the controller change nothing."""
    obj = service(owner(kind="Team", controller=False), owner(apiVersion="flagger.app/v1alpha3"))
    shelf.put(obj)
    assert owned.left(WEB, set()) == {ref_of(obj)}


@pytest.mark.parametrize("after", [service(), service(owner("shop")), None], ids=["let go", "handed on", "deleted"])
def test_an_object_that_the_canary_loses_is_not_left(after: Obj | None, shelf: Shelf, owned: Owned) -> None:
    """Another canary that gets it has it."""
    obj, other = service(owner()), service(owner(), name="other")
    shelf.put(obj)
    shelf.put(other)
    shelf.put(after) if after else shelf.remove(ref_of(obj))
    gained = {ref_of(obj)} if after == service(owner("shop")) else frozenset[Ref]()
    assert owned.left(WEB, set()) == {ref_of(other)}
    assert owned.left(Key("mall", "shop"), set()) == gained


def test_an_object_that_changes_otherwise_stays(shelf: Shelf, owned: Owned) -> None:
    """A change of its content is none of its owner."""
    obj = service(owner())
    shelf.put(obj)
    shelf.put({**obj, "spec": {"type": "ClusterIP"}})
    assert owned.left(WEB, set()) == {ref_of(obj)}
