"""Killed after every write: whenever the operator dies, the next one brings the release to the same end, safely."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from pyflagger.kube.resources import CANARIES, CONFIG_MAPS, DEPLOYMENTS, RELEASES, SERVICES
from pyflagger.objects import Obj, Resource
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.killable import INGRESSES, Killable, Seen, Witness, awake, image_of
from stage.manifests import INTERVAL, MAX, STEP, canary, deployment, image, ingress, settings
from stage.stage import OURS, Stage, healthy, vector

NEW, NEWER, STUCK = (image("shop", version) for version in ("2", "3", "brokenprimary"))
DEADLINE_SECONDS = 400.0
KINDS = (CANARIES, DEPLOYMENTS, SERVICES, INGRESSES, CONFIG_MAPS)


class Play:
    """One playing: a stage, a witness, and an operator that dies once and is then replaced."""

    def __init__(
        self, fatal: int | None, heard: bool, *, definitions: Sequence[Obj] = OURS, **canary_fields: Any
    ) -> None:
        self.stage = Stage(self.answer)
        self.stage.crds = definitions
        self.witness = Witness(self.stage)
        self.fatal, self.heard, self._fields = fatal, heard, canary_fields
        self.success = "100"
        self.parts: dict[str, Any] = {}
        """Further kinds and controllers of the stage."""
        self.mortal: Killable

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """Prometheus, as long as the story wants it well."""
        if "/api/v1/query" in request.url and "vector" not in request.url:
            self.witness.query()
            return HttpAnswer(200, vector(self.success))
        return await healthy(request)

    def target(self) -> Obj:
        """What is released."""
        return deployment("shop")

    def canary(self) -> Obj:
        """The Canary of it."""
        return canary("shop", **self._fields)

    async def begin(self, *more: Obj, initialized: bool = True) -> None:
        """Everything up, and the canary initialized by an operator that nothing happens to."""
        stage = self.stage
        await stage.start(operator=False, **self.parts)
        await stage.namespace("test")
        for obj in (*more, settings("shop"), self.target(), ingress("shop"), self.canary()):
            await stage.create(obj)
        if initialized:
            first = Killable(stage, None, True)
            await awake(stage, first).start()
            await self.phase("Initialized")
            await stage.clock.sleep(1)
            first.dead.set()
        await self.witness.start()
        self.mortal = Killable(stage, self.fatal, self.heard)
        await awake(stage, self.mortal).start()
        self._successor = asyncio.ensure_future(self._succeed())

    async def _succeed(self) -> None:
        await self.mortal.dead.wait()
        await self.stage.clock.sleep(1)
        self.second = Killable(self.stage, None, True)
        await awake(self.stage, self.second).start()

    async def phase(self, *wanted: str) -> None:
        """Wait until the canary is in one of these phases."""
        end = self.stage.clock.now() + DEADLINE_SECONDS
        while (await self.stage.status("shop")).get("phase") not in wanted:
            assert self.stage.clock.now() < end, f"never {wanted}: {await self.stage.status('shop')}"
            await self.stage.clock.sleep(0.25)

    async def weight(self, wanted: int) -> None:
        """Wait until the ingress has this weight or more."""
        end = self.stage.clock.now() + DEADLINE_SECONDS
        while self.witness.weight < wanted:
            assert self.stage.clock.now() < end, f"never at weight {wanted}: {self.witness.weights}"
            await self.stage.clock.sleep(0.25)

    async def end(self) -> Obj:
        """What is left when all is quiet; everything is taken down."""
        await self.stage.clock.sleep(3 * INTERVAL)
        kinds = KINDS if self.stage.crds is not OURS else (*KINDS, RELEASES)
        found = {str(resource.kind): await self._all(resource) for resource in kinds}
        self._successor.cancel()
        await self.witness.cache.stop()
        await self.stage.stop()
        return found

    async def _all(self, resource: Resource) -> Obj:
        listed = await self.stage.client.call("GET", resource.path("test"))
        return {obj["metadata"]["name"]: facts(resource, obj) for obj in listed["items"]}


def facts(resource: Resource, obj: Obj) -> Any:
    """What of an object must be the same whoever brought it about."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    match resource.kind:
        case "Canary":
            told = {key: status.get(key) for key in ("phase", "canaryWeight", "iterations", "failedChecks")}
            same = status.get("lastAppliedSpec") == status.get("lastPromotedSpec")
            return told | {"promoted is applied": same, "finalizers": obj["metadata"].get("finalizers", [])}
        case "CanaryRelease":
            return status["outcome"], spec.get("images"), "template" in status
        case "Deployment":
            return spec["replicas"], image_of(obj), sorted((obj["metadata"].get("ownerReferences") or [{}])[0])
        case "Service":
            return spec.get("selector"), [port["port"] for port in spec["ports"]]
        case "Ingress":
            return obj["metadata"].get("annotations"), spec["rules"]
    return obj.get("data")


Story = Callable[[Play], Awaitable[None]]


async def first(play: Play) -> None:
    """A canary is initialized."""
    await play.begin(initialized=False)
    await play.phase("Initialized")


async def good(play: Play) -> None:
    """A release is promoted."""
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.phase("Succeeded")


async def bad(play: Play) -> None:
    """A release is rolled back because of its metric."""
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(MAX)
    play.success = "50"
    await play.phase("Failed")


async def stuck(play: Play) -> None:
    """A promotion fails: the primary never gets ready with the new version."""
    await play.begin()
    await play.stage.set_image("shop", "shop", STUCK)
    await play.phase("Failed")


async def restarted(play: Play) -> None:
    """Another version comes while one is being released."""
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(STEP)
    await play.stage.set_image("shop", "shop", NEWER)
    await play.phase("Succeeded")


async def deleted(play: Play) -> None:
    """The canary is deleted during a release and hands everything back."""
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(STEP)
    await play.stage.delete("Canary", "shop")
    end = play.stage.clock.now() + DEADLINE_SECONDS
    while "shop" in (await play._all(CANARIES)):
        assert play.stage.clock.now() < end, "the canary is never gone"
        await play.stage.clock.sleep(0.25)


STORIES: dict[Story, dict[str, Any]] = {
    first: {},
    good: {},
    bad: {},
    stuck: {},
    restarted: {},
    deleted: {"revertOnDeletion": True},
}


def check_safety(play: Play) -> None:
    """What must hold all along, whoever was alive."""
    witness = play.witness
    weights = [0, *(int(seen.what) for seen in witness.weights)]
    for before, after in pairwise(weights):
        assert after <= before or after - before == STEP or after == 100, f"a jump: {weights}"
    for seen in witness.weights:
        assert int(seen.what) <= MAX or proved_but_not_taken_over(witness, seen), f"too much: {weights}"
    for now, then in pairwise(witness.weights):
        if int(now.what) > 0 and int(now.what) < int(then.what) <= MAX:
            assert then.at - now.at >= INTERVAL - 0.5, f"held for {then.at - now.at} s only: {witness.weights}"
            assert was_judged(witness, now, then.revision), f"{now.what} was never judged: {witness.weights}"
    for changed in witness.images[1:]:
        if changed.what in (NEW, NEWER, STUCK):
            last = [seen for seen in witness.weights if seen.revision < changed.revision][-1]
            assert last.what == MAX, f"promoted at weight {last.what}"
            assert was_judged(witness, last, changed.revision), "promoted without judging the last weight"


def proved_but_not_taken_over(witness: Witness, seen: Seen) -> bool:
    """Everything may go to the canary in one case: all its weights were judged, and the primary failed to follow."""
    followed = [image for image in witness.images if image.revision < seen.revision][-1]
    last = [weight for weight in witness.weights if weight.revision < seen.revision][-1]
    return seen.what == 100 and followed.what == STUCK and last.what == MAX and was_judged(witness, last, seen.revision)


def was_judged(witness: Witness, weight: Seen, before: int) -> bool:
    """Whether a weight was judged between the revision that set it and another one."""
    return any(seen.what == weight.what and weight.revision <= seen.revision < before for seen in witness.judged)


def marks(story: Story) -> tuple[pytest.MarkDecorator, ...]:
    """Stories with many writes are left to the long tests."""
    return () if story in (first, deleted) else (pytest.mark.long,)


async def played(story: Story, fatal: int | None, heard: bool) -> tuple[Play, Obj]:
    """Play a story; what is left of it."""
    play = Play(fatal, heard, **STORIES[story])
    await story(play)
    return play, await play.end()


@pytest.mark.looptime
@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("story", [pytest.param(each, marks=marks(each), id=each.__name__) for each in STORIES])
async def test_killed_after_every_write(story: Story, heard: bool) -> None:
    """The end is the same, weights never jump, nothing unproved gets everything, nothing is left over."""
    calm, wanted = await played(story, None, heard)
    check_safety(calm)
    points = len(calm.mortal.writes)
    for fatal in range(1, points + 1):
        try:
            play, found = await played(story, fatal, heard)
            assert play.mortal.dead.is_set()
            assert found == wanted
            check_safety(play)
        except AssertionError as error:
            raise AssertionError(f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}: {error}") from error
    print(f"{story.__name__}: killed at {points} points, {'heard' if heard else 'unheard'}")
    assert points >= 5
