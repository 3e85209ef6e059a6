"""Every kind of target: a good release, a bad one, and deletion; and killed after every write of each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.killable import Killable, awake
from stage.manifests import INTERVAL
from stage.stage import MERGE, Stage, healthy, path_of, vector
from stage.targets import CASTS, Cast

SECONDS = 400.0
ENDS = {"good": "Succeeded", "bad": "Failed"}


class Play:
    """One story of one kind, with an operator that dies at its `fatal`-th write and is replaced."""

    def __init__(self, cast: Cast, story: str, fatal: int | None = None, heard: bool = True) -> None:
        self.cast, self.story, self._fatal, self._heard = cast, story, fatal, heard
        self.stage = Stage(self._answer)
        self.mortal: Killable

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if self.story == "bad" and "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector("50"))
        return await healthy(request)

    async def run(self) -> Obj:
        """Play it; the facts of what is left."""
        stage, cast = self.stage, self.cast
        await stage.start(operator=False, definitions=cast.definitions, controllers=cast.controllers)
        await stage.namespace("test")
        if cast.helper:
            await cast.helper(stage)
        for obj in (*cast.objects, cast.canary):
            path = "KnativeService" if obj["apiVersion"].startswith("serving") else obj["kind"]
            body = {**obj, "metadata": {**obj["metadata"], "namespace": "test"}}
            await stage.client.call("POST", path_of(path, "test"), body)
        self.mortal = Killable(stage, self._fatal, self._heard)
        await awake(stage, self.mortal).start()
        successor = asyncio.ensure_future(self._succeed())
        await self.until("Initialized")
        await cast.change(stage, "2")
        if self.story in ENDS:
            await self.until(ENDS[self.story])
        else:
            await self.until("Progressing")
            await stage.clock.sleep(1.5 * INTERVAL)
            await stage.delete("Canary", "shop")
            await self.until(None)
        await stage.clock.sleep(3 * INTERVAL)
        left = {kind: await self._facts(kind) for kind in ("Canary", *cast.facts)}
        successor.cancel()
        await stage.stop()
        return left

    async def _succeed(self) -> None:
        await self.mortal.dead.wait()
        await self.stage.clock.sleep(1)
        await awake(self.stage, Killable(self.stage, None, True)).start()

    async def until(self, phase: str | None) -> None:
        """Wait for a phase; None: until the Canary is gone."""
        end = self.stage.clock.now() + SECONDS
        while (found := await self._phase()) != phase:
            assert self.stage.clock.now() < end, f"never {phase}: {found}"
            await self.stage.clock.sleep(0.25)

    async def _phase(self) -> str | None:
        listed = await self.stage.client.call("GET", path_of("Canary", "test"))
        return (listed["items"][0].get("status") or {}).get("phase", "") if listed["items"] else None

    async def _facts(self, kind: str) -> Obj:
        listed = await self.stage.client.call("GET", path_of(kind, "test"))
        tell = told if kind == "Canary" else self.cast.facts[kind]
        return {obj["metadata"]["name"]: tell(obj) for obj in listed["items"]}


def told(obj: Obj) -> Any:
    """What a Canary's status says at the end."""
    status = obj.get("status") or {}
    same = status.get("lastAppliedSpec") == status.get("lastPromotedSpec")
    return {key: status.get(key) for key in ("phase", "canaryWeight", "failedChecks")} | {"promoted": same}


STORIES = ("good", "bad", "deleted")


@pytest.mark.long
@pytest.mark.looptime
@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("cast", CASTS, ids=lambda cast: cast.name)
async def test_killed_after_every_write(cast: Cast, story: str) -> None:
    """Whenever the operator dies, the next one brings the release of any kind to the same end."""
    calm = Play(cast, story)
    wanted = await calm.run()
    points = len(calm.mortal.writes)
    for fatal in range(1, points + 1):
        play = Play(cast, story, fatal, heard=fatal % 2 == 0)
        try:
            found = await play.run()
            assert play.mortal.dead.is_set()
            assert found == wanted
        except AssertionError as error:
            raise AssertionError(f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}: {error}") from error
    print(f"{cast.name} {story}: killed at {points} points")
    assert points >= 5


async def young(*, status: Obj | None = None) -> Stage:
    """A stage with a Canary of a Knative Service that has no Revision."""
    stage, cast = Stage(), CASTS[-1]
    await stage.start(definitions=cast.definitions)
    await stage.namespace("test")
    (made,) = cast.objects
    path = path_of("KnativeService", "test")
    await stage.client.call("POST", path, {**made, "metadata": {**made["metadata"], "namespace": "test"}})
    if status:
        await stage.client.call("PATCH", f"{path}/shop/status", {"status": status}, MERGE)
    await stage.create(cast.canary)
    return stage


async def said(stage: Stage) -> list[str]:
    """The texts of all Events that concern Revisions, and those of the condition `Blocked`."""
    listed = await stage.client.call("GET", path_of("Event", "test"))
    conditions = (await stage.status("shop")).get("conditions") or ()
    texts = [*(event["message"] for event in listed["items"]), *(entry.get("message", "") for entry in conditions)]
    return [text.partition(". Check")[0] for text in texts if "Revision" in text]


@pytest.mark.looptime
async def test_a_first_revision_is_waited_for_in_silence() -> None:
    """Knative makes it after 20 s: no event and no condition of it, and the canary is initialized."""
    stage = await young()
    await stage.clock.sleep(20)
    assert (await stage.status("shop"))["phase"] == "Initializing" and await said(stage) == []
    assert CASTS[-1].helper is not None
    await CASTS[-1].helper(stage)
    await stage.clock.sleep(10)
    assert (await stage.status("shop"))["phase"] == "Initialized"
    assert [text for text in await said(stage) if "no Revision" in text] == []


@pytest.mark.looptime
async def test_a_first_revision_that_never_comes_is_told() -> None:
    """After a minute, without anything happening in between, by one event and the condition."""
    stage = await young()
    await stage.clock.sleep(55)
    assert await said(stage) == []
    await stage.clock.sleep(10)
    assert await said(stage) == ["Knative Service shop.test has no Revision yet"] * 2


@pytest.mark.looptime
async def test_a_first_revision_that_knative_cannot_make_is_told_at_once() -> None:
    """In Knative's words."""
    condition = {"type": "Ready", "status": "False", "message": "admission denied"}
    stage = await young(status={"conditions": [condition]})
    await stage.clock.sleep(2)
    assert await said(stage) == ["Knative Service shop.test has no Revision yet: admission denied"] * 2
