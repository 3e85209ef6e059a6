"""Canaries that claim one target: who has it, and what is not the same target."""

from __future__ import annotations

import pytest

from pyflagger.api.facts import Fault
from pyflagger.objects import Obj
from pyflagger.operator.desk import Key
from pyflagger.operator.rivals import Rivals

OLD, NEW = Key("test", "old"), Key("test", "new")


def claim(name: str, born: int, api_version: str, kind: str = "Service") -> Obj:
    """A Canary that wants `shop`."""
    meta = {"name": name, "namespace": "test", "creationTimestamp": f"2026-01-0{born}T00:00:00Z"}
    return {"metadata": meta, "spec": {"targetRef": {"apiVersion": api_version, "kind": kind, "name": "shop"}}}


@pytest.mark.parametrize("first", [OLD, NEW])
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_older_one_has_it(first: Key, version: str) -> None:
    """Whichever is seen first, and whichever version of the group it names."""
    claims = {OLD: claim("old", 1, "serving.knative.dev/v1"), NEW: claim("new", 2, f"serving.knative.dev/{version}")}
    rivals = Rivals()
    assert rivals.put(first, claims.pop(first)) == frozenset()
    ((second, raw),) = claims.items()
    assert rivals.put(second, raw) == {first}
    assert rivals.problem(OLD) is None
    told = rivals.problem(NEW)
    assert told is not None and told.fault is Fault.MANIFEST and "canary old" in told.text
    assert rivals.drop(OLD) == {NEW} and rivals.problem(NEW) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("v1", "Service"), ("serving.knative.dev/v1", "Service")),
        (("apps/v1", "Deployment"), ("apps/v1", "DaemonSet")),
    ],
)
def test_another_group_or_kind_is_another_target(one: tuple[str, str], other: tuple[str, str]) -> None:
    """A Service and a Knative Service may have one name; nobody waits for the other."""
    rivals = Rivals()
    assert rivals.put(OLD, claim("old", 1, *one)) == frozenset() == rivals.put(NEW, claim("new", 2, *other))
    assert rivals.problem(OLD) is None is rivals.problem(NEW)


def test_a_claim_without_a_target() -> None:
    """Of what is no reference nothing is known; nothing breaks."""
    rivals = Rivals()
    rivals.put(OLD, {"metadata": {"name": "old"}, "spec": {"targetRef": "shop"}})
    assert rivals.problem(OLD) is None and rivals.problem(NEW) is None
