"""Tracked ConfigMaps and Secrets: found, checked, copied, and cleared away."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from targets import POD, canary

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import UNREAD, Create, Delete, Found, Obj, Patch, Ref, merge_apply, ref_of
from pyflagger.workloads.configs import (
    NOTHING,
    ConfigRef,
    Tracked,
    checksum,
    copies,
    go_json,
    references,
    renamed,
    stale_copies,
    track,
)
from pyflagger.workloads.options import Options


def config(name: str, data: Any = None, kind: str = "ConfigMap", **more: Any) -> Obj:
    """A ConfigMap or Secret of namespace `test`."""
    meta = {"name": name, "namespace": "test", "resourceVersion": "3", **more.pop("meta", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **({"data": data} if data else {}), **more}


class Shop:
    """Configs by reference."""

    def __init__(self, *objects: Obj, unread: tuple[str, ...] = ()) -> None:
        self.objects = {ref_of(obj): obj for obj in objects}
        self.unread = unread

    def find(self, ref: Ref) -> Found:
        """As the operator finds them."""
        return UNREAD if ref.name in self.unread else self.objects.get(ref)

    def track(self, *refs: ConfigRef) -> Tracked | Problem | Any:
        """What is followed."""
        return track(refs, "test", self.find)

    def copy(self, tracked: Tracked, options: Options | None = None) -> list[Any]:
        """Write the copies; what was written."""
        writes = copies(canary(), tracked, self.find, options or Options())
        assert isinstance(writes, tuple), writes
        for write in writes:
            match write:
                case Create(obj):
                    assert ref_of(obj) not in self.objects
                    self.objects[ref_of(obj)] = copy.deepcopy(obj)
                case Patch(ref, body):
                    self.objects[ref] = merge_apply(self.objects[ref], body)
                case Delete(ref):
                    del self.objects[ref]
        return list(writes)


MAP, SECRET = ConfigRef("ConfigMap", "a", False), ConfigRef("Secret", "s", False)
COPY = Ref("v1", "ConfigMap", "test", "a-primary")


# Finding ------------------------------------------------------------------------------------------------------------


def test_every_place_of_a_pod() -> None:
    """Volumes, projected volumes, env, envFrom, of containers and of init containers."""
    found = {(ref.kind, ref.name): ref.optional for ref in references(POD)}
    assert found == {
        ("ConfigMap", "env-map"): False,
        ("ConfigMap", "from-map"): False,
        ("ConfigMap", "projected-map"): False,
        ("ConfigMap", "volume-map"): False,
        ("Secret", "env-secret"): True,
        ("Secret", "init-secret"): False,
        ("Secret", "projected-secret"): False,
        ("Secret", "volume-secret"): False,
    }


def test_needed_once_is_needed() -> None:
    """Optional only when every reference says so."""

    def volumes(*optional: bool) -> Obj:
        return {"volumes": [{"configMap": {"name": "a", "optional": each}} for each in optional]}

    assert references(volumes(True, True))[0].optional
    assert not references(volumes(True, False))[0].optional
    assert not references(volumes(False, True))[0].optional


@pytest.mark.parametrize(
    "pod",
    [
        {},
        {"containers": None, "volumes": None},
        {"containers": "x", "volumes": {"a": "b"}},
        {"containers": [None, "x", {"env": [None, {"name": "A"}, {"valueFrom": None}], "envFrom": [{}]}]},
        {"volumes": [{"configMap": None}, {"secret": {}}, {"projected": None}, {"configMap": {"name": 5}}]},
    ],
)
def test_a_pod_that_is_hardly_one(pod: Any) -> None:
    """Nothing is found, nothing breaks."""
    assert references(pod) == ()
    assert renamed(pod, NOTHING) == pod


# Tracking -----------------------------------------------------------------------------------------------------------


def test_what_is_there_is_followed() -> None:
    """By the key that the status has."""
    found = Shop(config("a", {"x": "1"}), config("s", {"k": "dg=="}, "Secret")).track(MAP, SECRET)
    assert isinstance(found, Tracked)
    assert set(found.refs) == set(found.objects) == {"configmap/a", "secret/s"}
    assert set(found.checksums) == {"configmap/a", "secret/s"}


def test_what_has_not_come_yet_is_waited_for() -> None:
    """Never taken for missing."""
    assert Shop(config("a"), unread=("s",)).track(MAP, SECRET) is UNREAD


def test_what_is_missing_is_told() -> None:
    """By name and namespace, with what to do; an optional one may be missing."""
    found = Shop().track(MAP)
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST
    assert found.text == 'configmap a.test get query error: configmaps "a" not found' and "optional" in found.todo
    assert Shop().track(ConfigRef("ConfigMap", "a", True)) == NOTHING


@pytest.mark.parametrize("value, followed", [("disabled", False), ("disable", False), ("enabled", True), ("", True)])
def test_opting_out(value: str, followed: bool) -> None:
    """By an annotation of the config."""
    annotations = {"flagger.app/config-tracking": value}
    found = Shop(config("a", {"x": "1"}, meta={"annotations": annotations})).track(MAP)
    assert isinstance(found, Tracked) and bool(found.refs) is followed


@pytest.mark.parametrize(
    "type_, followed",
    [
        (None, True),
        ("Opaque", True),
        ("kubernetes.io/basic-auth", True),
        ("kubernetes.io/ssh-auth", True),
        ("kubernetes.io/tls", True),
        ("kubernetes.io/service-account-token", False),
        ("kubernetes.io/dockerconfigjson", False),
        ("helm.sh/release.v1", False),
    ],
)
def test_types_of_secrets(type_: str | None, followed: bool) -> None:
    """What others rotate by themselves is not a release."""
    more = {"type": type_} if type_ else {}
    found = Shop(config("s", {"k": "dg=="}, "Secret", **more)).track(SECRET)
    assert isinstance(found, Tracked) and bool(found.refs) is followed


# Checksums ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, wanted",
    [(None, "74234e98afe7498f"), ({}, "74234e98afe7498f"), ({"color": "red"}, "241889ca0604e333")],
)
def test_checksums_are_the_references(data: Any, wanted: str) -> None:
    """A status that the reference wrote means the same to us: vectors of its own."""
    assert checksum(config("a", data)) == wanted


def test_checksums_see_content_only() -> None:
    """The order of keys, labels and versions do not matter; each value and the binary data do."""
    one = checksum(config("a", {"x": "1", "y": "2"}))
    assert one == checksum(config("b", {"y": "2", "x": "1"}, meta={"labels": {"l": "m"}, "resourceVersion": "99"}))
    assert one != checksum(config("a", {"x": "1", "y": "3"}))
    assert one != checksum(config("a", {"x": "1", "y": "2"}, binaryData={"z": "AA=="}))


@pytest.mark.parametrize(
    "data, text",
    [
        (None, "null"),
        ({"a": "<b>&"}, '{"a":"\\u003cb\\u003e\\u0026"}'),
        ({"b": "2", "a": "1"}, '{"a":"1","b":"2"}'),
        ({"a": "ü\u2028"}, '{"a":"ü\\u2028"}'),
        ({"a": 'q"\n\t'}, '{"a":"q\\"\\n\\t"}'),
    ],
)
def test_json_as_go_writes_it(data: Any, text: str) -> None:
    """Escapes of its own, sorted keys, no spaces."""
    assert go_json(data) == text


# Copies -------------------------------------------------------------------------------------------------------------


def tracked(shop: Shop, *refs: ConfigRef) -> Tracked:
    """What is followed, which must be something."""
    found = shop.track(*refs)
    assert isinstance(found, Tracked)
    return found


def test_a_copy_is_made_once() -> None:
    """With the data, owned by the Canary; doing it again writes nothing."""
    shop = Shop(config("a", {"x": "1"}, binaryData={"b": "AA=="}, meta={"labels": {"team": "t"}}))
    (write,) = shop.copy(tracked(shop, MAP))
    assert isinstance(write, Create)
    made = shop.objects[COPY]
    assert made["data"] == {"x": "1"} and made["binaryData"] == {"b": "AA=="}
    assert made["metadata"]["ownerReferences"][0]["name"] == "web" and "labels" not in made["metadata"]
    assert shop.copy(tracked(shop, MAP)) == []


def test_labels_by_prefix() -> None:
    """As for primaries."""
    shop = Shop(config("a", {"x": "1"}, meta={"labels": {"team": "t"}}))
    shop.copy(tracked(shop, MAP), Options(include_label_prefix=("*",)))
    assert shop.objects[COPY]["metadata"]["labels"] == {"team": "t"}


CHANGES: dict[str, Any] = {
    "a value": {"data": {"x": "2"}},
    "a key more": {"data": {"x": "1", "y": "2"}},
    "a key less": {"data": {}},
    "binary data": {"data": {"x": "1"}, "binaryData": {"b": "AA=="}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_a_patch(what: str) -> None:
    """Of what changed, for the version that was seen."""
    shop = Shop(config("a", {"x": "1"}))
    shop.copy(tracked(shop, MAP))
    shop.objects[COPY]["metadata"]["resourceVersion"] = "44"
    shop.objects[MAP.ref("test")] = {**config("a"), **CHANGES[what]}
    (write,) = shop.copy(tracked(shop, MAP))
    assert isinstance(write, Patch) and write.resource_version == "44"
    made = shop.objects[COPY]
    assert (made.get("data") or {}) == CHANGES[what]["data"]
    assert made.get("binaryData") == CHANGES[what].get("binaryData")
    assert shop.copy(tracked(shop, MAP)) == []


def test_what_cannot_be_changed_is_made_anew() -> None:
    """Immutable copies, and Secrets of another type."""
    shop = Shop(config("a", {"x": "1"}, immutable=True))
    shop.copy(tracked(shop, MAP))
    shop.objects[MAP.ref("test")]["data"] = {"x": "2"}
    assert [type(write) for write in shop.copy(tracked(shop, MAP))] == [Delete, Create]
    assert shop.objects[COPY]["data"] == {"x": "2"} and shop.copy(tracked(shop, MAP)) == []
    shop = Shop(config("s", {"k": "dg=="}, "Secret", type="Opaque"))
    shop.copy(tracked(shop, SECRET))
    shop.objects[SECRET.ref("test")]["type"] = "kubernetes.io/tls"
    assert [type(write) for write in shop.copy(tracked(shop, SECRET))] == [Delete, Create]


def test_somebody_elses_object_is_never_overwritten() -> None:
    """A name that happens to end in -primary."""
    shop = Shop(config("a", {"x": "1"}), config("a-primary", {"mine": "1"}))
    found = copies(canary(), tracked(shop, MAP), shop.find, Options())
    assert isinstance(found, Problem) and "configmap a-primary.test exists" in found.text and found.todo


def test_two_canaries_share_a_config() -> None:
    """Each is an owner; the last writer controls it."""
    other = {"kind": "Canary", "name": "api", "uid": "u2", "controller": True}
    shop = Shop(config("a", {"x": "2"}), config("a-primary", {"x": "1"}, meta={"ownerReferences": [other]}))
    (write,) = shop.copy(tracked(shop, MAP))
    assert isinstance(write, Patch)
    owners = shop.objects[COPY]["metadata"]["ownerReferences"]
    assert [(owner["name"], owner["controller"]) for owner in owners] == [("api", False), ("web", True)]
    assert shop.copy(tracked(shop, MAP)) == []


def test_a_copy_that_has_not_come_yet_is_waited_for() -> None:
    """Nothing is written blindly."""
    shop = Shop(config("a", {"x": "1"}), unread=("a-primary",))
    assert copies(canary(), tracked(shop, MAP), shop.find, Options()) is UNREAD


@pytest.mark.parametrize(
    "before, owner, deleted",
    [
        (["configmap/a"], "u1", True),
        (["configmap/a"], "u2", False),
        (["configmap/a"], None, False),
        (["widget/a"], "u1", False),
        ([], "u1", False),
    ],
)
def test_copies_that_nobody_needs(before: list[str], owner: str | None, deleted: bool) -> None:
    """Ours go when their config is tracked no longer; nobody else's ever."""
    owners = [{"kind": "Canary", "name": "web", "uid": owner, "controller": True}] if owner else []
    shop = Shop(config("a-primary", {"x": "1"}, meta={"ownerReferences": owners}))
    writes = stale_copies(canary(), before, NOTHING, shop.find)
    assert list(writes) == ([Delete(COPY)] if deleted else [])


def test_a_copy_has_room_for_the_suffix() -> None:
    """245 characters and -primary fit into a name; one more is told."""
    fits, long = config("a" * 245), config("b" * 246)
    shop = Shop(fits, long)
    assert isinstance(shop.track(ConfigRef("ConfigMap", "a" * 245)), Tracked)
    found = shop.track(ConfigRef("ConfigMap", "b" * 246))
    assert isinstance(found, Problem) and "has 254 characters, 253 at most" in found.text and found.todo
