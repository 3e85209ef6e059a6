"""Tracked ConfigMaps and Secrets: found and checked."""

from __future__ import annotations

from typing import Any

import pytest
from config_shop import MAP, SECRET, Shop, config
from targets import POD

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import UNREAD, Obj
from pyflagger.workloads.configs import NOTHING, ConfigRef, Tracked, checksum, go_json, references, renamed

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


def test_a_copy_has_room_for_the_suffix() -> None:
    """245 characters and -primary fit into a name; one more is told."""
    fits, long = config("a" * 245), config("b" * 246)
    shop = Shop(fits, long)
    assert isinstance(shop.track(ConfigRef("ConfigMap", "a" * 245, False)), Tracked)
    found = shop.track(ConfigRef("ConfigMap", "b" * 246, False))
    assert isinstance(found, Problem) and "has 254 characters, the limit is 253" in found.text and found.todo
