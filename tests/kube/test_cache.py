"""The watch cache on the embedded API server: followed through cuts, compactions and bad days, never wrong for long."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.client import Client
from pyflagger.kube.resources import CONFIG_MAPS, DEPLOYMENTS, SERVICES
from pyflagger.objects import Ref
from pyflagger_sandbox.apiserver.faults import Broken, server_error
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess

pytestmark = pytest.mark.looptime


Told = tuple[str, str | None]
"""The name of an object and its version; None when it was deleted."""


class Place:
    """A server, somebody who writes to it, and a cache that follows."""

    def __init__(self, namespace: str = "", kept: int = 4096) -> None:
        self.clock = LoopClock()
        self.server = ApiServer(self.clock, kept=kept)
        self.client = Client(InProcess(self.server, "writer"), self.clock)
        self.cache = Cache(Client(InProcess(self.server, "cache"), self.clock), self.clock, namespace)
        self.changes: list[ObjectChange] = []
        self.cache.subscribe(self.changes.append)
        self.written: list[Told] = []

    async def begin(self) -> None:
        """With namespaces, and ConfigMaps followed."""
        for name in ("test", "other"):
            await self.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        await self.cache.wait(CONFIG_MAPS)

    async def put(self, name: str, value: str, namespace: str = "test") -> None:
        """Create or change a ConfigMap."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}
        path = CONFIG_MAPS.path(namespace, name)
        if any(o["metadata"]["name"] == name for o in (await self.live(namespace))):
            made = await self.client.call("PATCH", path, {"data": {"value": value}}, "application/merge-patch+json")
        else:
            made = await self.client.call("POST", CONFIG_MAPS.path(namespace), body)
        self.written.append((name, made["metadata"]["resourceVersion"]))

    async def drop(self, name: str, namespace: str = "test") -> None:
        """Delete a ConfigMap."""
        await self.client.call("DELETE", CONFIG_MAPS.path(namespace, name))
        self.written.append((name, None))

    @property
    def told(self) -> list[Told]:
        """What the cache told of the test's namespace; each change begins where the one before of its object ended."""
        told: list[Told] = []
        last: dict[str, str | None] = {}
        for change in self.changes:
            if change.ref.namespace == "test":
                old, new = (obj and obj["metadata"]["resourceVersion"] for obj in (change.old, change.new))
                assert old == last.get(change.ref.name)
                last[change.ref.name] = new
                told.append((change.ref.name, new))
        return told

    async def live(self, namespace: str = "test") -> list[Any]:
        """What the server has."""
        listed = await self.client.call("GET", CONFIG_MAPS.path(namespace))
        return list(listed["items"])

    def seen(self, name: str, namespace: str = "test") -> str | None:
        """What the cache has of one."""
        obj = self.cache.get(CONFIG_MAPS.ref(namespace, name))
        return obj["data"]["value"] if obj else None

    async def matches(self, seconds: float = 90) -> None:
        """Wait until the cache has what the server has."""
        end = self.clock.now() + seconds
        while True:
            live = {o["metadata"]["name"]: o["metadata"]["resourceVersion"] for o in await self.live()}
            seen = {
                o["metadata"]["name"]: o["metadata"]["resourceVersion"]
                for o in self.cache.list(CONFIG_MAPS)
                if o["metadata"]["namespace"] == "test"
            }
            if live == seen:
                return
            assert self.clock.now() < end, (live, seen)
            await self.clock.sleep(0.5)

    async def end(self) -> None:
        """Stop following."""
        await self.cache.stop()


@pytest.fixture
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A place that ends after the test."""
    place = Place(**getattr(request, "param", {}))
    yield place
    await place.end()


async def test_reads_follow_writes(place: Place) -> None:
    """Create, change, delete: each is told once with before and after."""
    await place.begin()
    await place.put("a", "1")
    await place.clock.sleep(0.01)
    assert place.seen("a") == "1"
    await place.put("a", "2")
    await place.drop("a")
    await place.clock.sleep(0.01)
    assert place.seen("a") is None
    told = [(c.old and c.old["data"]["value"], c.new and c.new["data"]["value"]) for c in place.changes[-3:]]
    assert told == [(None, "1"), ("1", "2"), ("2", None)]
    assert {change.resource for change in place.changes} == {CONFIG_MAPS}
    assert place.changes[-1].ref == Ref("v1", "ConfigMap", "test", "a")


@pytest.mark.parametrize("place", [{"namespace": "test"}], indirect=True)
async def test_one_namespace(place: Place) -> None:
    """Whoever may see one namespace only asks for nothing else."""
    await place.begin()
    await place.put("a", "1")
    await place.put("b", "1", "other")
    await place.clock.sleep(0.01)
    assert place.seen("a") == "1" and place.seen("b", "other") is None


async def test_what_is_not_followed_is_not_there(place: Place) -> None:
    """A kind nobody asked for has no objects and is not known."""
    await place.begin()
    assert place.cache.get(DEPLOYMENTS.ref("test", "a")) is None
    assert list(place.cache.list(DEPLOYMENTS)) == []
    assert not place.cache.synced(DEPLOYMENTS)
    assert place.cache.knows(CONFIG_MAPS.ref("test", "a"))
    assert not place.cache.knows(DEPLOYMENTS.ref("test", "a"))
    assert not place.cache.knows(Ref("example.com/v1", "Widget", "test", "a"))


async def test_a_kind_is_followed_once(place: Place) -> None:
    """However many ask for it; those that wait are told when it has been read."""
    await place.begin()
    synced: list[str] = []
    place.cache.on_sync(lambda resource: synced.append(resource.plural))
    assert place.cache.watch(SERVICES) is place.cache.watch(SERVICES)
    await asyncio.gather(place.cache.wait(SERVICES), place.cache.wait(SERVICES))
    await place.clock.sleep(0.01)
    assert synced == ["services"]


async def test_a_cut_loses_nothing(place: Place) -> None:
    """What was written while no watch was open is told by the next one."""
    await place.begin()
    await place.put("a", "1")
    await place.clock.sleep(0.01)
    assert place.server.break_watches("ConfigMap") == 1
    await place.put("a", "2")
    await place.put("b", "1")
    await place.matches()
    assert place.seen("a") == "2" and place.seen("b") == "1"


async def test_a_compaction_loses_nothing(place: Place) -> None:
    """410 leads to a list, and the list to the changes."""
    await place.begin()
    for name in "abc":
        await place.put(name, "1")
    await place.clock.sleep(0.01)
    place.changes.clear()
    place.server.break_watches("ConfigMap")
    await place.drop("a")
    await place.put("b", "2")
    place.server.store.forget_all()
    await place.matches()
    told = {(c.ref.name, c.old is not None, c.new is not None) for c in place.changes}
    assert told == {("a", True, False), ("b", True, True)}


async def test_troubles_are_told_and_go(place: Place) -> None:
    """For /readyz: what has not been read, and what has not been heard of."""
    await place.begin()
    assert not place.cache.troubles()
    place.server.faults.fail(lambda r: server_error(), lambda r: r.path.endswith("/services"), times=1000)
    place.cache.watch(SERVICES)
    await place.clock.sleep(30)
    assert place.cache.troubles()["services"].startswith("services: not listed yet")
    assert "etcdserver: request timed out" in place.cache.troubles()["services"]
    place.server.faults.rules.clear()
    await place.clock.sleep(60)
    assert not place.cache.troubles()
    place.server.faults.fail(lambda r: Broken("gone"), times=100_000)
    place.server.break_watches()
    await place.clock.sleep(400)
    assert "no watch event for" in place.cache.troubles()["configmaps"]
    place.server.faults.rules.clear()
    await place.clock.sleep(60)
    assert not place.cache.troubles()


@pytest.mark.parametrize("place", [{"kept": 64}], indirect=True)
async def test_a_day(place: Place) -> None:
    """Twenty-four hours of writes with watches that end, cuts and compactions: every change is told, in order.

    All but those that a compaction took from the history while no watch was open, of which the last one is told; and
    nothing is listed but after a compaction.
    """
    asked: list[Any] = []
    place.server.audit = asked.append
    await place.begin()
    chance = random.Random(7)
    compactions, lost = 0, list[Told]()
    for hour in range(24):
        for _ in range(20):
            name = f"c{chance.randrange(10)}"
            if chance.random() < 0.1 and place.seen(name) is not None:
                await place.drop(name)
            await place.put(name, str(chance.random()))
            await place.clock.sleep(chance.uniform(0, 300))
        if hour % 5 == 4:
            place.server.break_watches("ConfigMap")
            for number in range(5):
                await place.put("c1", f"{hour}-{number}")
        if hour % 6 == 5:
            compactions += 1
            place.server.break_watches("ConfigMap")
            place.server.store.forget_all()
            await place.put("c0", f"lost {hour}")
            lost.append(place.written[-1])
            await place.put("c0", f"kept {hour}")
            place.server.store.forget_all()
        await place.matches()
    lists = [a for a in asked if a.agent == "cache" and a.verb == "get"]
    watches = [a for a in asked if a.agent == "cache" and a.verb == "watch"]
    assert compactions <= len(lists) - 1 <= 2 * compactions
    assert 24 * 3600 / 300 / 2 <= len(watches) <= 24 * 3600 / 300 * 2
    assert place.cache.watch(CONFIG_MAPS).garbage == 0
    assert len(place.written) > 500
    assert place.told == [each for each in place.written if each not in lost]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("place", [{"kept": 8}], indirect=True)
async def test_a_bad_day(place: Place, seed: int) -> None:
    """Errors, cuts, compactions and throttling at random: in the end the cache has what the server has."""
    await place.begin()
    chance = random.Random(seed)

    def cache_only(request: Any) -> bool:
        return bool(request.agent == "cache")

    for _ in range(60):
        match chance.randrange(6):
            case 0:
                place.server.break_watches()
            case 1:
                place.server.store.forget_all()
            case 2:
                place.server.faults.fail(lambda r: server_error(), cache_only, times=3)
            case 3:
                place.server.faults.fail(lambda r: Broken("reset"), cache_only, times=2)
            case _:
                pass
        name = f"c{chance.randrange(5)}"
        if chance.random() < 0.25 and any(o["metadata"]["name"] == name for o in await place.live()):
            await place.drop(name)
        else:
            await place.put(name, str(chance.random()))
        await place.clock.sleep(chance.uniform(0, 5))
    place.server.faults.rules.clear()
    await place.matches(seconds=120)
    # What was told adds up to what is there.
    held = {name: version for name, version in dict(place.told).items() if version}
    assert held == {o["metadata"]["name"]: o["metadata"]["resourceVersion"] for o in await place.live()}
