"""Server-side apply: which fields a manager owns, conflicts, what it gives up, and what is managed as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission.builtin import builtin
from pyflagger.admission.errors import ApiError
from pyflagger.admission.resource import Resource
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver import ownership
from pyflagger_sandbox.apiserver.applying import apply, tracked

NOW = "2026-01-01T00:00:00Z"
KIND = {resource.kind: resource for resource in builtin()}
TAGS = {"tags": {"x-kubernetes-list-type": "set"}, "whole": {"x-kubernetes-map-type": "atomic"}}
SCHEMA = {"properties": {"spec": {"properties": TAGS}}}
CUSTOM = Resource("example.com", "v1", "things", "Thing", schema=SCHEMA)


def service(*ports: Obj, **spec: Any) -> Obj:
    """A Service."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": list(ports), **spec}}


def applied(live: Obj | None, wanted: Obj, name: str = "one", *, force: bool = False, kind: str = "Service") -> Obj:
    """The object after an apply."""
    return apply(KIND[kind], live, wanted, name, force=force, now=NOW)


def owned(obj: Obj, name: str) -> Any:
    """The fields of a manager."""
    return next(entry["fieldsV1"] for entry in obj["metadata"]["managedFields"] if entry["manager"] == name)


def test_items_are_owned_one_by_one() -> None:
    """By all their keys, with the default of a key that is not said; the server's own fields are nobody's."""
    found = applied(None, service({"port": 80, "name": "a"}))
    item = 'k:{"port":80,"protocol":"TCP"}'
    assert owned(found, "one") == {"f:spec": {"f:ports": {item: {".": {}, "f:port": {}, "f:name": {}}}}}


def test_what_is_no_longer_wanted_goes() -> None:
    """Unless somebody else wants it too."""
    live = applied(None, service({"port": 80}, {"port": 81}))
    live = applied(live, service({"port": 81}), "two")
    left = applied(live, service(), "one")
    assert [port["port"] for port in left["spec"]["ports"]] == [81]


def test_a_field_of_another_manager() -> None:
    """Is a conflict that names field and manager; force takes the field away from it."""
    live = applied(None, service(type="NodePort", sessionAffinity="None"))
    with pytest.raises(ApiError) as caught:
        applied(live, service(type="ClusterIP"), "two")
    assert caught.value.code == 409
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "one": .spec.type'
    taken = applied(live, service(type="ClusterIP"), "two", force=True)
    assert taken["spec"]["type"] == "ClusterIP"
    assert owned(taken, "one") == {"f:spec": {"f:sessionAffinity": {}}}


def test_the_same_value_is_shared() -> None:
    """Without a conflict."""
    found = applied(applied(None, service(type="NodePort")), service(type="NodePort"), "two")
    assert owned(found, "one") == owned(found, "two")


def test_a_selector_is_owned_as_a_whole() -> None:
    """As every object that is atomic: keys of another manager do not stay."""
    labels: Any = {"matchLabels": {"a": "b"}}
    live: Obj = {"metadata": {"name": "d"}, "spec": {"selector": labels}}
    live = applied(None, live, kind="Deployment")
    assert owned(live, "one") == {"f:spec": {"f:selector": {}}}
    other: Obj = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"c": "d"}}}}
    found = applied(live, other, "two", force=True, kind="Deployment")
    assert found["spec"]["selector"] == {"matchLabels": {"c": "d"}}


@pytest.mark.parametrize("resource", [KIND["ConfigMap"], CUSTOM], ids=["built-in", "custom"])
def test_owners_and_finalizers(resource: Resource) -> None:
    """An owner is one field, known by its uid; each finalizer is one."""
    meta = {"name": "c", "finalizers": ["f"], "ownerReferences": [{"uid": "u", "kind": "K"}]}
    found = apply(resource, None, {"metadata": meta}, "one", force=False, now=NOW)
    owners, finalizers = {'k:{"uid":"u"}': {}}, {'v:"f"': {}}
    assert owned(found, "one") == {"f:metadata": {"f:finalizers": finalizers, "f:ownerReferences": owners}}


def test_a_custom_resource_says_how_it_is_owned() -> None:
    """Sets merge, what is atomic is replaced."""
    first = {"metadata": {"name": "t"}, "spec": {"tags": ["a"], "whole": {"x": 1}}}
    live = apply(CUSTOM, None, first, "one", force=False, now=NOW)
    second = {"metadata": {"name": "t"}, "spec": {"tags": ["b"], "whole": {"y": 1}}}
    found = apply(CUSTOM, live, second, "two", force=True, now=NOW)
    assert found["spec"] == {"tags": ["a", "b"], "whole": {"y": 1}}


def test_an_update_takes_what_it_changes() -> None:
    """Of an object that somebody has applied before; others of their fields stay theirs."""
    live = applied(None, service(type="NodePort", sessionAffinity="None"))
    changed = {**live, "spec": {**live["spec"], "type": "ClusterIP"}}
    found = tracked(KIND["Service"], changed, live, "kubectl-edit", NOW)
    assert owned(found, "kubectl-edit") == {"f:spec": {"f:type": {}}}
    assert owned(found, "one") == {"f:spec": {"f:sessionAffinity": {}}}


def test_an_object_that_nobody_applied_belongs_to_before() -> None:
    """So the first apply that changes something is a conflict."""
    with pytest.raises(ApiError, match="before-first-apply"):
        applied(service(type="NodePort"), service(type="ClusterIP"))


def test_fields_come_back_as_they_were_written() -> None:
    """Paths to `fieldsV1` and back."""
    item = 'k:{"name":"a"}'
    paths = {("f:spec", "f:x"), ("f:spec", "f:list", item), ("f:spec", "f:list", item, "f:name"), ("f:tags", 'v:"t"')}
    assert set(ownership.from_fields(ownership.to_fields(paths))) == paths
    assert ownership.shown(("f:spec", "f:list", item, "f:image")) == '.spec.list[name="a"].image'
    assert ownership.shown(("f:tags", 'v:"t"')) == '.tags[="t"]'
