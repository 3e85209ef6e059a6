"""Which canaries a watch event enqueues, from the start of the operator to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyflagger.kube.cache import ObjectChange
from pyflagger.kube.resources import CANARIES, DEPLOYMENTS, SERVICES
from pyflagger.objects import Key, Obj, Ref, Resource
from pyflagger.operator.observe.compiled import CompiledCanary, compile_canary, settings_of
from pyflagger.operator.observe.watchers import Watchers
from pyflagger.operator.options import Options
from pyflagger.operator.reconcile.controller import SPREAD_SECONDS, Controller
from stage.manifests import canary

WEB, SHOP, API = Key("test", "web"), Key("test", "shop"), Key("test", "api")
TARGET = DEPLOYMENTS.ref("test", "web")
CONFIG = Ref("v1", "ConfigMap", "test", "env")
LIVE: Obj = {"metadata": {"name": "web", "namespace": "test"}}


class Queue:
    """Records the enqueued keys, and runs until `end` is set."""

    def __init__(self) -> None:
        self.added: list[Key] = []
        self.later: list[tuple[Key, float]] = []
        self.end = asyncio.Event()

    def add(self, key: Key) -> None:
        """Now."""
        self.added.append(key)

    def add_after(self, key: Key, after: float) -> None:
        """In some seconds."""
        self.later.append((key, after))

    async def run(self) -> None:
        """Until the end."""
        await self.end.wait()


class Place:
    """The surroundings of a controller. `calls` records the reported deletions and the counts."""

    def __init__(self) -> None:
        self.queue, self.watchers = Queue(), Watchers()
        self.calls: list[tuple[Any, ...]] = []
        self.filled: set[Resource] = {DEPLOYMENTS}
        self.unimportant: set[Key] = set()
        self.affected: frozenset[Key] = frozenset()
        self.compiled: CompiledCanary | None = compile_canary(canary_of(WEB), None, settings_of(Options()))
        self.cache: Any = self
        here: Any = self
        self.controller = Controller(here, here, self.watchers, here, here, here, here, here)

    def change(self, ref: Ref, resource: Resource = DEPLOYMENTS, *, ours: bool = False) -> None:
        """An object changes."""
        self.changed(ObjectChange(resource, ref, LIVE, LIVE), ours)

    def canary(self, key: Key, *, old: bool, new: bool, ours: bool = False) -> None:
        """A Canary appears, changes, or goes."""
        obj = canary_of(key)
        self.changed(ObjectChange(CANARIES, CANARIES.ref(*key), obj if old else None, obj if new else None), ours)

    # Store, cache, configs --------------------------------------------------------------------------------------------

    def subscribe(self, listener: Any) -> None:
        """The store has the first listener, the configs have the second one."""
        if not hasattr(self, "changed"):
            self.changed = listener
        else:
            self.config_changed = listener

    def on_sync(self, listener: Any) -> None:
        """The cache tells when a kind was read."""
        self.synced_now = listener

    def synced(self, resource: Resource) -> bool:
        """Whether a kind was read."""
        return resource in self.filled

    def get(self, ref: Ref) -> Obj | None:
        """The target exists."""
        return LIVE if ref == TARGET else None

    def wanted_by(self, ref: Ref) -> tuple[Key, ...]:
        """One canary uses the config."""
        return (SHOP,) if ref == CONFIG else ()

    # Observer, rivals, reconciler, telemetry, announcer ---------------------------------------------------------------

    def last_compiled(self, key: Key) -> CompiledCanary | None:
        """The last one, if there is any."""
        return self.compiled

    def changes_nothing(self, key: Key, change: ObjectChange) -> bool:
        """Whether a canary sees no difference."""
        return key in self.unimportant

    def waiting_for(self, resource: Resource) -> list[Key]:
        """One canary waits for Services."""
        return [SHOP] if resource == SERVICES else []

    def put(self, key: Key, raw: Obj) -> frozenset[Key]:
        """Claim objects."""
        return self.affected

    def drop(self, key: Key) -> frozenset[Key]:
        """Claim them no more."""
        return self.affected

    def forget(self, what: Any) -> None:
        """Kept."""
        self.calls.append(("forget", what if isinstance(what, Key) else what.metadata.name))

    def count(self, namespace: str, more: int) -> None:
        """Kept."""
        self.calls.append(("count", namespace, more))

    def deleted(self, compiled: CompiledCanary, raw: Obj, target: Obj | None) -> None:
        """Kept."""
        self.calls.append(("deleted", raw["metadata"]["name"], target))

    async def stop(self) -> None:
        """Kept."""
        self.calls.append(("stop",))


def canary_of(key: Key) -> Obj:
    """A Canary by this name."""
    return {**canary(key.name), "metadata": {"name": key.name, "namespace": key.namespace}}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A controller that has not started."""
    made = Place()
    yield made
    await made.controller.stop()


@pytest.fixture
async def started(place: Place) -> Place:
    """A controller that has started, with two canaries that watch a Deployment."""
    for key in (WEB, SHOP):
        place.watchers.put(key, {TARGET})
    place.controller.start()
    return place


async def test_a_start_spreads_the_known_canaries(place: Place) -> None:
    """Before it nothing is enqueued; then each canary once, in a fixed order, all within half a second."""
    for key in (WEB, SHOP, API):
        place.canary(key, old=False, new=True)
    place.change(TARGET)
    assert not place.queue.added and not place.queue.later
    place.controller.start()
    assert [key for key, _ in place.queue.later] == [API, SHOP, WEB]
    assert [after for _, after in place.queue.later] == pytest.approx([0, SPREAD_SECONDS / 3, 2 * SPREAD_SECONDS / 3])
    assert not place.queue.added


async def test_after_the_end_nothing_is_enqueued(started: Place) -> None:
    """The reconciler is stopped, and watch events that still come have no effect."""
    await started.controller.stop()
    started.change(TARGET)
    started.canary(WEB, old=True, new=False)
    assert not started.queue.added
    assert ("stop",) in started.calls and not [call for call in started.calls if call[0] == "deleted"]


async def test_a_change_concerns_its_readers(started: Place) -> None:
    """Not the canaries that see no difference, and not the ones that read other objects."""
    started.change(DEPLOYMENTS.ref("test", "other"))
    assert not started.queue.added
    started.unimportant = {SHOP}
    started.change(TARGET)
    assert started.queue.added == [WEB]


async def test_what_is_known_already_concerns_nobody(started: Place) -> None:
    """The echo of a write of flagger's, and the objects of a kind while it is read for the first time."""
    started.change(TARGET, ours=True)
    started.canary(WEB, old=True, new=True, ours=True)
    started.filled.clear()
    started.change(TARGET)
    assert not started.queue.added


async def test_a_kind_and_a_config_that_were_read(started: Place) -> None:
    """The canaries that wait for the kind, or use the config, are enqueued, and no others."""
    for resource in (DEPLOYMENTS, SERVICES):
        started.synced_now(resource)
    assert started.queue.added == [SHOP]
    for ref in (CONFIG, Ref("v1", "ConfigMap", "test", "other")):
        started.config_changed(ref)
    assert started.queue.added == [SHOP, SHOP]


async def test_canaries_are_counted_once(started: Place) -> None:
    """By namespace: when one appears and when one goes, not at each change. Rivals of it are enqueued, too."""
    started.affected = frozenset({SHOP, API})
    started.canary(WEB, old=False, new=True)
    assert started.queue.added == [WEB, API, SHOP]
    started.canary(WEB, old=True, new=True)
    started.canary(WEB, old=True, new=False)
    counts = [call for call in started.calls if call[0] == "count"]
    assert counts == [("count", "test", 1), ("count", "test", -1)]
    assert started.queue.added[-2:] == [API, SHOP]


async def test_a_deleted_canary_is_forgotten(started: Place) -> None:
    """Its series, its observation and its state go, and its deletion is reported with the target as it is."""
    started.canary(WEB, old=True, new=False)
    forgotten = [("forget", "web"), ("deleted", "web", LIVE), ("forget", WEB), ("forget", WEB)]
    assert started.calls == [*forgotten, ("count", "test", -1)]
    assert not started.queue.added


async def test_a_deletion_before_the_start_is_not_reported(place: Place) -> None:
    """Another replica leads and reports it. The canary is not enqueued by the start."""
    place.canary(WEB, old=False, new=True)
    place.canary(WEB, old=True, new=False)
    place.controller.start()
    assert not [call for call in place.calls if call[0] == "deleted"]
    assert not place.queue.later


async def test_a_workqueue_that_ends_is_an_error(started: Place) -> None:
    """/healthz says it while the queue should run, and not after an orderly end."""
    assert started.controller.wedged() is None
    started.queue.end.set()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
    assert started.controller.wedged() == "the workqueue has ended"
    await started.controller.stop()
    assert started.controller.wedged() is None
