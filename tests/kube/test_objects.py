"""Objects held once: equal parts are shared, nothing that differs is, and what is read stays what was written."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyflagger.objects import Pool, share


def objects(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with these numbers in them."""
    scalars = st.none() | st.booleans() | numbers | st.text("ab", max_size=2)
    keys = st.text("ab", max_size=1)
    values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
    return st.dictionaries(st.text("ab", max_size=2), values, max_size=4)


def exact(value: Any) -> str:
    """JSON, in which `1` and `true` differ."""
    return json.dumps(value)


@given(objects(st.integers(2, 4)), objects(st.integers(2, 4)))
def test_sharing_changes_no_value(new: dict[str, Any], old: dict[str, Any]) -> None:
    """Whatever the two are: the new one reads as before, and the old one is left alone."""
    wanted, before = exact(new), exact(old)
    assert exact(Pool().update(copy.deepcopy(new), old)) == wanted
    shared = share(new, old)
    assert (exact(shared), exact(old)) == (wanted, before)


def test_what_did_not_change_is_held_once() -> None:
    """A scaled workload keeps its template, the very same."""
    old = {"spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "a"}]}}}, "status": {}}
    new = copy.deepcopy(old)
    new["spec"]["replicas"] = 2
    share(new, old)
    assert new["spec"] is not old["spec"]
    assert new["spec"]["template"] is old["spec"]["template"]
    assert new["status"] is old["status"]
    assert old["spec"]["replicas"] == 1


@pytest.mark.parametrize(("new", "old"), [(1, True), (0, False), (1, 1.0)])
def test_equal_to_python_alone_is_not_the_same(new: object, old: object) -> None:
    """`1` stays `1` beside `true` and `1.0`."""
    assert exact(share({"a": new}, {"a": old})) == exact({"a": new})


@given(st.lists(objects(st.integers(0, 3)), max_size=6), st.integers(0, 6))
def test_a_pool_changes_no_value(found: list[dict[str, Any]], most: int) -> None:
    """However little it remembers, objects read as before."""
    pool, wanted = Pool(most), [exact(obj) for obj in found]
    assert [exact(pool.one(obj)) for obj in found] == wanted


def test_a_pool_holds_equal_parts_once() -> None:
    """Parts at any depth, and never the object itself: a reader gets one of its own."""
    pool = Pool()
    one, two = (pool.one({"spec": {"ports": [{"port": 80}], "name": name}}) for name in "ab")
    assert one["spec"]["ports"] is two["spec"]["ports"]
    assert one["spec"] is not two["spec"]
    same = pool.one({"spec": {"ports": [{"port": 80}], "name": "a"}})
    assert same["spec"] is one["spec"]
    assert same is not one


def test_what_changed_in_many_objects_alike_is_held_once() -> None:
    """A thousand Deployments that became available in the same second tell so by one condition."""
    pool = Pool()
    told = {"status": {"conditions": [{"type": "Available"}], "replicas": 2}}
    one, two = (pool.update(copy.deepcopy(told), {"status": {"replicas": number}}) for number in range(2))
    assert one == two == told
    assert one["status"]["conditions"] is two["status"]["conditions"]


def test_a_pool_forgets() -> None:
    """What it knows is bounded, and what was handed out stays whole."""
    pool = Pool(most=8)
    kept = [pool.one({"a": {"number": number}, "b": {"same": "x"}}) for number in range(50)]
    assert len(pool._parts) <= 8 + 2
    assert [obj["a"]["number"] for obj in kept] == list(range(50))
    later = [pool.update({"a": [number]}, {"a": []}) for number in range(50)]
    assert len(pool._parts) <= 8 + 2
    assert [obj["a"] for obj in later] == [[number] for number in range(50)]
