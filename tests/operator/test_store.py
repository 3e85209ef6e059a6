"""flagger sees its own writes at once, and the cluster's newer state wins over them."""

from __future__ import annotations

from typing import Any

import pytest
from shelf import Shelf

from pyflagger.clock import SystemClock
from pyflagger.objects import Obj, ref_of
from pyflagger.operator.observe.store import AHEAD_SECONDS_MAX, Store, version


def web(number: int, **meta: Any) -> Obj:
    """The Service in its version of this number, which its spec shows, too."""
    meta = {"name": "web", "namespace": "mall", "resourceVersion": str(number), **meta}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"number": number}}


WEB = ref_of(web(0))


class Hands(SystemClock):
    """A clock that the test moves."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


class World:
    """A store, its cache, its clock, and what a listener heard: what the store showed then, and whose change it was."""

    def __init__(self) -> None:
        self.shelf, self.clock = Shelf(web(5)), Hands()
        self.store = Store(self.shelf, self.clock)
        self.heard: list[tuple[int | None, bool]] = []
        self.store.subscribe(lambda _, ours: self.heard.append((self.shown, ours)))

    @property
    def shown(self) -> int | None:
        """The number of the Service that the store shows."""
        obj = self.store.get(WEB)
        return obj["spec"]["number"] if obj else None


@pytest.fixture
def world() -> World:
    """The cache has the Service in version 5."""
    return World()


def test_a_write_shows_before_its_watch_event(world: World) -> None:
    """The event of the write itself is an echo. An older event, which comes late, undoes nothing."""
    world.store.learn(web(7))
    assert world.shown == 7
    world.shelf.put(web(6))
    assert world.shown == 7
    world.shelf.put(web(7))
    assert world.shown == 7
    assert world.heard == [(7, True), (7, True)]


def test_a_newer_change_wins_over_a_write(world: World) -> None:
    """It is another writer's, and listeners see it in the store already."""
    world.store.learn(web(7))
    world.shelf.put(web(8))
    assert world.heard == [(8, False)]
    world.store.learn(web(9))
    world.shelf.remove(WEB)
    assert world.heard == [(8, False), (None, False)]


def test_a_response_that_is_older_than_the_cache_is_ignored(world: World) -> None:
    """Its watch event, and a newer one, were faster than the response."""
    world.store.learn(web(4))
    assert world.shown == 5


def test_a_deletion_shows_at_once(world: World) -> None:
    """Until the watch reports it, and an object that is created again shows."""
    world.store.unlearn(WEB)
    assert world.shown is None
    world.shelf.remove(WEB)
    assert world.shown is None
    world.shelf.put(web(9))
    assert world.shown == 9
    assert world.heard == [(None, False), (9, False)]


def test_a_deletion_of_a_missing_object_hides_none_that_is_created_later(world: World) -> None:
    """There was no version to compare with."""
    world.shelf.remove(WEB)
    world.store.unlearn(WEB)
    world.shelf.put(web(1))
    assert world.shown == 1


@pytest.mark.parametrize(("finalizers", "shown"), [(["flagger.app/finalizer"], 7), ([], None)])
def test_an_object_with_finalizers_outlives_its_deletion(
    finalizers: list[str], shown: int | None, world: World
) -> None:
    """The response that removes the last finalizer is the end of the object."""
    world.store.learn(web(7, deletionTimestamp="2026-01-01T00:00:00Z", finalizers=finalizers))
    assert world.shown == shown


def test_a_write_that_the_watch_never_shows_expires(world: World) -> None:
    """A watch that lags longer lists again, and its state counts."""
    world.store.learn(web(7))
    world.clock.seconds += AHEAD_SECONDS_MAX
    assert world.shown == 7
    world.clock.seconds += 1
    assert world.shown == 5


def test_managed_fields_are_not_kept(world: World) -> None:
    """The watch cache drops them as well. Parts that the write did not change are the cache's own, to save memory."""
    before = world.store.get(WEB)
    learned = web(7, managedFields=[{"manager": "flagger"}])
    learned["spec"] = {"number": 5}
    world.store.learn(learned)
    shown = world.store.get(WEB)
    assert shown is not None and before is not None
    assert "managedFields" not in shown["metadata"] and shown["spec"] is before["spec"]


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("", 0), (None, 0), ("0x1f", 0)])
def test_a_version_is_a_number(text: str | None, number: int) -> None:
    """An API server may use other texts, which compare as 0."""
    assert version({"metadata": {"resourceVersion": text}}) == number
    assert version({"metadata": {}}) == 0
