"""Two canaries whose targets read one ConfigMap: each is released, and no primary gets data before they are judged.

Killed after every write of the operator, too. What people do to the copies meanwhile is mended, or told once.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.errors import NotFound
from pyflagger.kube.resources import CANARIES, CONFIG_MAPS, DEPLOYMENTS
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage import manifests
from stage.killable import Killable, awake
from stage.stage import Stage, healthy

pytestmark = pytest.mark.looptime

ROUNDS = 3
DEADLINE_SECONDS = 300.0
ANALYSIS: Obj = {"interval": "5s", "threshold": 2, "iterations": ROUNDS}


class Shared:
    """Deployments and Canaries `one` and `two`, and the ConfigMap `common` that both read.

    The gate keeps `two` from beginning a run. `breaches`: data that a primary got before its own canary was judged.
    """

    def __init__(self, fatal: int | None = None, heard: bool = True) -> None:
        self.stage = Stage(self._answer, mesh_provider="kubernetes")
        self.stage.pods_take = 1.0
        self.open = True
        self.breaches: list[str] = []
        self._fatal, self._heard = fatal, heard
        self.mortal: Killable

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(403, b"closed") if "gate" in request.url and not self.open else await healthy(request)

    async def begin(self) -> Shared:
        """To Initialized."""
        stage = self.stage
        await stage.start(operator=False)
        await stage.namespace("test")
        await stage.create({**manifests.settings("common"), "metadata": {"name": "common"}, "data": {"v": "1"}})
        for name in ("one", "two"):
            await stage.create(_deployment(name))
            await stage.create(_canary(name))
        self.cache = Cache(stage.client, stage.clock)
        for resource in (DEPLOYMENTS, CONFIG_MAPS, CANARIES):
            await self.cache.wait(resource)
        self.cache.subscribe(self._saw)
        self.mortal = Killable(stage, self._fatal, self._heard)
        await awake(stage, self.mortal).start()
        self._successor = asyncio.ensure_future(self._succeed())
        await self.phase("one", "Initialized")
        await self.phase("two", "Initialized")
        await stage.clock.sleep(2)
        return self

    async def _succeed(self) -> None:
        await self.mortal.dead.wait()
        await self.stage.clock.sleep(1)
        await awake(self.stage, Killable(self.stage, None, True)).start()

    def _saw(self, change: ObjectChange) -> None:
        """Look at what each primary reads now."""
        for name in ("one", "two"):
            primary = self.cache.get(DEPLOYMENTS.ref("test", f"{name}-primary"))
            canary = self.cache.get(CANARIES.ref("test", name))
            if primary is None or canary is None:
                continue
            found = self.cache.get(CONFIG_MAPS.ref("test", read_by(primary)))
            status = canary.get("status") or {}
            proved = status.get("iterations", 0) >= ROUNDS or status.get("phase") not in ("Waiting", "Progressing")
            if found is not None and found["data"]["v"] == "2" and not proved:
                self.breaches.append(f"{name} in {status.get('phase')}")

    async def phase(self, name: str, *wanted: str) -> None:
        """Wait for a phase; none: until the Canary is gone."""
        end = self.stage.clock.now() + DEADLINE_SECONDS
        while (found := await self._phase(name)) not in (wanted or (None,)):
            assert self.stage.clock.now() < end, f"{name} is never {wanted}: {found}; {await self.said()}"
            await self.stage.clock.sleep(0.5)

    async def _phase(self, name: str) -> str | None:
        try:
            return (await self.stage.status(name)).get("phase", "")
        except NotFound:
            return None

    async def condition(self, name: str, kind: str) -> str | None:
        """The message of a condition."""
        conditions = (await self.stage.status(name)).get("conditions") or []
        return next((each["message"] for each in conditions if each["type"] == kind), None)

    async def ship(self, name: str, version: str) -> None:
        """A new image."""
        await self.stage.set_image(name, name, manifests.image(name, version))

    async def change(self, value: str = "2") -> None:
        """Other data in the ConfigMap."""
        await self.stage.patch("ConfigMap", "common", {"data": {"v": value}})

    async def copies(self) -> dict[str, tuple[str, list[str]]]:
        """The data and the owners of each copy."""
        listed = await self.stage.client.call("GET", CONFIG_MAPS.path("test"))
        found = [obj for obj in listed["items"] if "-primary" in obj["metadata"]["name"]]
        return {obj["metadata"]["name"]: (obj["data"]["v"], owners(obj)) for obj in found}

    async def reads(self) -> dict[str, str]:
        """The copy that each primary's pods read, by the canary's name."""
        listed = await self.stage.client.call("GET", DEPLOYMENTS.path("test"))
        primaries = [obj for obj in listed["items"] if obj["metadata"]["name"].endswith("-primary")]
        return {obj["metadata"]["name"].removesuffix("-primary"): read_by(obj) for obj in primaries}

    async def said(self, word: str = "") -> list[str]:
        """The texts of events that have a word."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [event["message"] for event in listed["items"] if word in event["message"]]

    async def end(self) -> None:
        """Nothing that must not happen has happened."""
        said = await self.said("bug in flagger")
        self._successor.cancel()
        await self.cache.stop()
        await self.stage.stop()
        assert not said and not self.breaches


def read_by(workload: Obj) -> str:
    """The ConfigMap that a workload's pods read."""
    name: str = workload["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    return name


def owners(obj: Obj) -> list[str]:
    """Names of owners; a star marks the controller."""
    found = obj["metadata"].get("ownerReferences") or ()
    return sorted(owner["name"] + ("*" if owner.get("controller") else "") for owner in found)


def _deployment(name: str) -> Obj:
    made = manifests.deployment(name)
    made["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "common"}}]
    return made


def _canary(name: str) -> Obj:
    gate = [{"name": "gate", "type": "confirm-rollout", "url": "http://gate"}] if name == "two" else []
    made = manifests.canary(name, provider="kubernetes", analysis={**ANALYSIS, "webhooks": gate})
    del made["spec"]["ingressRef"]
    return made


async def both_by_turns(shared: Shared) -> list[Any]:
    """An image of each; then other data, for which `two` waits; then `one` is deleted. What was there at each point."""
    await shared.begin()
    seen: list[Any] = [await shared.copies()]
    await shared.ship("two", "2")
    await shared.phase("two", "Succeeded")
    await shared.ship("one", "2")
    await shared.phase("one", "Succeeded")
    seen.append(await shared.copies())
    shared.open = False
    await shared.change()
    await shared.phase("two", "Waiting")
    await shared.phase("one", "Progressing")
    await shared.phase("one", "Succeeded")
    await shared.stage.clock.sleep(3)
    seen += [await shared.copies(), await shared.reads()]
    shared.open = True
    await shared.phase("two", "Progressing")
    await shared.phase("two", "Succeeded")
    await shared.stage.clock.sleep(3)
    seen += [await shared.copies(), await shared.reads()]
    await shared.stage.delete("Canary", "one")
    await shared.phase("one")
    await shared.stage.clock.sleep(3)
    seen += [await shared.copies(), await shared.reads()]
    await shared.end()
    return seen


SHARED = {"common-primary": ("1", ["one*", "two"])}
APART = {"common-primary": ("1", ["two"]), "common-primary-one": ("2", ["one*"])}
BOTH_NEW = {"common-primary": ("2", ["two"]), "common-primary-one": ("2", ["one*"])}
READ = {"one": "common-primary-one", "two": "common-primary"}


def plain(seen: list[Any]) -> list[Any]:
    """The same without what depends on who came first: the controller."""

    def told(value: Any) -> Any:
        return (value[0], [name.rstrip("*") for name in value[1]]) if isinstance(value, tuple) else value

    return [{name: told(value) for name, value in each.items()} for each in seen]


WANTED = plain(
    [SHARED, SHARED, APART, READ, BOTH_NEW, READ, {"common-primary": ("2", ["two"])}, {"two": "common-primary"}]
)


async def test_two_canaries_by_turns() -> None:
    """Each is released; data that were judged for one reach it alone; the copy outlives the first canary."""
    shared = Shared()
    assert plain(await both_by_turns(shared)) == WANTED


async def apart(shared: Shared) -> list[Any]:
    """Other data, which `one` is promoted with while `two` waits; then `two`; then `one` is deleted."""
    await shared.begin()
    shared.open = False
    await shared.change()
    await shared.phase("one", "Progressing")
    await shared.phase("one", "Succeeded")
    await shared.phase("two", "Waiting")
    shared.open = True
    await shared.phase("two", "Succeeded")
    await shared.stage.clock.sleep(8)
    seen: list[Any] = [await shared.copies(), await shared.reads()]
    await shared.stage.delete("Canary", "one")
    await shared.phase("one")
    await shared.stage.clock.sleep(3)
    seen += [await shared.copies(), await shared.reads()]
    await shared.end()
    return plain(seen)


@pytest.mark.long
async def test_killed_after_every_write_of_a_copy() -> None:
    """Or of a primary: the end is the same whenever the operator dies, and what happens on the way is as safe."""
    calm = Shared()
    wanted = await apart(calm)
    assert wanted == WANTED[4:]
    writes = calm.mortal.writes
    points = [at for at, write in enumerate(writes, 1) if "/configmaps" in write or "/deployments" in write]
    assert len(points) > 12
    for fatal in points:
        shared = Shared(fatal, heard=bool(fatal % 2))
        try:
            assert await apart(shared) == wanted and shared.mortal.dead.is_set()
        except AssertionError as error:
            raise AssertionError(f"killed after write {fatal}, {writes[fatal - 1]}: {error}") from error


async def test_what_the_reference_leaves() -> None:
    """The last writer controls the copy and the one before is a plain owner: nothing is in the way of either."""
    shared = await Shared().begin()
    copy = await shared.stage.get("ConfigMap", "common-primary")
    turned = [{**owner, "controller": owner["name"] == "two"} for owner in copy["metadata"]["ownerReferences"]]
    await shared.stage.patch("ConfigMap", "common-primary", {"metadata": {"ownerReferences": turned}})
    for name in ("one", "two"):
        await shared.ship(name, "2")
        await shared.phase(name, "Succeeded")
    assert await shared.copies() == {"common-primary": ("1", ["one", "two*"])}


async def test_a_copy_that_belongs_to_another_canary_only() -> None:
    """As after an older version of ours: the canary whose pods use it becomes an owner at once."""
    shared = await Shared().begin()
    copy = await shared.stage.get("ConfigMap", "common-primary")
    alone = [owner for owner in copy["metadata"]["ownerReferences"] if owner["controller"]]
    await shared.stage.patch("ConfigMap", "common-primary", {"metadata": {"ownerReferences": alone}})
    await shared.stage.clock.sleep(2)
    found = await shared.copies()
    assert [name.rstrip("*") for name in found["common-primary"][1]] == ["one", "two"]


@pytest.mark.parametrize("moment", ["Initialized", "Progressing", "Promoting", "Failed"])
async def test_a_deleted_copy_comes_back(moment: str) -> None:
    """In every phase, with the data that were promoted; owned by both again."""
    shared = await Shared().begin()
    if moment != "Initialized":
        await shared.ship("one", "broken" if moment == "Failed" else "2")
        await shared.phase("one", moment)
    await shared.stage.delete("ConfigMap", "common-primary")
    await shared.stage.clock.sleep(2)
    assert plain([await shared.copies()]) == plain([SHARED])
    if moment in ("Progressing", "Promoting"):
        await shared.phase("one", "Succeeded")
    assert await shared.condition("one", "Degraded") is None


async def test_data_that_nobody_knows_any_more() -> None:
    """The copy is deleted while other data are judged: told once, nothing unjudged is written, promotion ends it."""
    shared = await Shared().begin()
    shared.open = False
    await shared.change()
    await shared.phase("one", "Progressing")
    await shared.stage.delete("ConfigMap", "common-primary")
    await shared.stage.clock.sleep(3)
    assert await shared.copies() == {}
    for name in ("one", "two"):
        message = await shared.condition(name, "Degraded")
        assert message and message.startswith("configmap common-primary.test was deleted")
    assert len(await shared.said("was deleted, and flagger")) == 2
    shared.open = True
    for name in ("one", "two"):
        await shared.phase(name, "Succeeded")
        assert await shared.condition(name, "Degraded") is None
    assert {value for value, _ in (await shared.copies()).values()} == {"2"}
    assert len(await shared.said("was deleted, and flagger")) == 2


async def test_a_copy_that_is_no_canarys() -> None:
    """Somebody put theirs in its place: it is not touched, and both canaries name it until it is gone."""
    shared = await Shared().begin()
    theirs = {"metadata": {"ownerReferences": None}, "data": {"v": "mine"}}
    await shared.stage.patch("ConfigMap", "common-primary", theirs)
    await shared.stage.clock.sleep(2)
    assert await shared.copies() == {"common-primary": ("mine", [])}
    for name in ("one", "two"):
        assert "configmap common-primary.test exists" in (await shared.condition(name, "Blocked") or "")
    await shared.stage.delete("ConfigMap", "common-primary")
    await shared.stage.clock.sleep(2)
    assert plain([await shared.copies()]) == plain([SHARED])
    assert await shared.condition("one", "Blocked") is None
