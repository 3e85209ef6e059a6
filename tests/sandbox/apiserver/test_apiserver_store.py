"""The store: revisions, the log of changes, states of the past, and what is too old."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.store import Store, StoreChange


def thing(name: str, namespace: str = "n", **more: Any) -> Obj:
    """An object."""
    return {"metadata": {"name": name, "namespace": namespace}, **more}


def names(store: Store, revision: int) -> list[str]:
    """The names of the objects at a revision."""
    return [key[1] for key, _ in store.shelf("things").entries_at(revision)]


def test_every_write_has_a_revision_of_its_own() -> None:
    """Over all resources; it is the object's resourceVersion."""
    store = Store()
    first, second = store.put("things", thing("a")), store.put("others", thing("a"))
    assert int(second["metadata"]["resourceVersion"]) == int(first["metadata"]["resourceVersion"]) + 1
    assert store.put("things", thing("a", x=1))["x"] == 1
    assert [change.type for change in store.shelf("things").since(0)] == ["ADDED", "MODIFIED"]


def test_the_past_can_be_read() -> None:
    """Deleted objects are there again, later ones are not yet."""
    store = Store()
    store.put("things", thing("b"))
    store.put("things", thing("a"))
    then = store.revision
    store.remove("things", thing("b"))
    store.put("things", thing("c"))
    assert names(store, then) == ["a", "b"]
    assert names(store, store.revision) == ["a", "c"]
    assert [entry.obj["metadata"]["name"] for entry in store.shelf("things").entries("n")] == ["a", "c"]
    assert store.shelf("things").entries("other") == []


def test_history_that_is_forgotten_is_expired() -> None:
    """After a compaction, and when a log grows over its bound."""
    store = Store(kept=2)
    for name in "abcde":
        store.put("things", thing(name))
    with pytest.raises(ApiError) as caught:
        store.shelf("things").since(1)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    assert len(store.shelf("things")) == 5
    store.forget_all()
    assert store.shelf("things").since(store.revision) == []
    with pytest.raises(ApiError):
        store.shelf("things").since(store.revision - 1)


def test_who_waits_is_woken() -> None:
    """By every change of the resource; listeners hear of all resources."""
    store, heard = Store(), list[tuple[str, StoreChange]]()
    bell = asyncio.Event()
    store.shelf("things").bells[bell] = None
    store.listeners.append(lambda resource, change: heard.append((resource, change)))
    store.put("others", thing("a"))
    assert not bell.is_set()
    store.put("things", thing("a"))
    assert bell.is_set()
    assert [(resource, change.type) for resource, change in heard] == [("others", "ADDED"), ("things", "ADDED")]


def test_an_entry_is_encoded_once() -> None:
    """And its JSON is compact."""
    store = Store()
    store.put("things", thing("a"))
    entry = store.shelf("things").entries()[0]
    assert entry.raw is entry.raw
    assert entry.raw.startswith(b'{"metadata":{"name":"a"')
