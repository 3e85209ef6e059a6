"""How a wait ends: by hashes, by images where Flagger is the operator, and on a cluster on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyflagger.cli.cluster import Cluster
from pyflagger.cli.waiting import in_time
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, TransportError
from pyflagger.seeing.waiting import Asked, Ending, Goal, Sight, Status, Waiting, asks
from seeing.test_single import KEY, Reading, Scene
from stage import manifests

A, B, C = "v1:aaaa", "v1:bbbb", "v1:cccc"
IMAGE = {A: ("app:1",), B: ("app:2",), C: ("app:3",)}


def sees(phase: str, target: str, applied: str = A, promoted: str = A, **more: Any) -> Sight:
    """What is seen in a cluster that flagger runs; the primary has what was promoted."""
    found = Sight(phase, target, (applied, applied), (promoted, promoted), False, IMAGE[target], IMAGE[promoted], 10.0)
    return found._replace(**more)


def theirs(phase: str, target: str, primary: str) -> Sight:
    """What is seen in a cluster that Flagger runs."""
    return Sight(phase, target, ("5d4f", "5d4f"), ("5d4f", "5d4f"), True, IMAGE[target], IMAGE[primary], 10.0)


def played(asked: Asked, *sights: Sight, seconds: float = 1.0) -> list[Status | None]:
    """The endings of looks that are so many seconds apart."""
    state, found = Waiting(asked), list[Status | None]()
    for at, seen in enumerate(sights):
        state, ending = state.step(seen, at * seconds)
        found.append(ending.status if ending else None)
    return found


RELEASES = {
    "promoted": ([sees("Succeeded", B), sees("Progressing", B, B), sees("Finalising", B, B, B),
                  sees("Succeeded", B, B, B)], Status.DONE),
    "promoted already": ([sees("Initialized", A)], Status.DONE),
    "initialized for the first time": ([sees("", A, "", A)._replace(promoted=("", "")),
                                        sees("Initializing", A, "", A)._replace(promoted=("", "")),
                                        sees("Initialized", A)], Status.DONE),
    "rolled back": ([sees("Succeeded", B), sees("Progressing", B, B), sees("Failed", B, B)], Status.FAILED),
    "failed before": ([sees("Failed", B, B)], Status.FAILED),
    "another one failed before": ([sees("Failed", C, B), sees("Progressing", C, C), sees("Succeeded", C, C, C)],
                                  Status.DONE),
    "superseded": ([sees("Progressing", B, B), sees("Progressing", C, B), sees("Progressing", C, C)],
                   Status.SUPERSEDED),
    "superseded before it began": ([sees("Succeeded", B), sees("Succeeded", C)], Status.SUPERSEDED),
    "cancelled": ([sees("Progressing", B, B), sees("Progressing", A, B), sees("Succeeded", A, A)], Status.SUPERSEDED),
    "a config alone": ([sees("Progressing", A), sees("Succeeded", A)], Status.DONE),
    "a config alone, failed": ([sees("Progressing", A), sees("Failed", A)], Status.FAILED),
    "promoted, and another begins": ([sees("Promoting", B, B), sees("Progressing", C, C, B)], Status.DONE),
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASES)
def test_releases_of_flagger(name: str) -> None:
    """The last look ends it, and none before."""
    sights, status = RELEASES[name]
    assert played(Asked(), *sights) == [None] * (len(sights) - 1) + [status]


APPROVALS = {
    "before the analysis": ([sees("Succeeded", B), sees("Waiting", B, asks=True)], Status.DONE),
    "before the promotion": ([sees("Progressing", B, B), sees("WaitingPromotion", B, B, asks=True)], Status.DONE),
    "paused at a weight": ([sees("Progressing", B, B), sees("Progressing", B, B, asks=True)], Status.DONE),
    "of another revision": ([sees("Progressing", B, B), sees("Waiting", C, B, asks=True),
                             sees("Progressing", C, C)], Status.SUPERSEDED),
    "never asked for": ([sees("Progressing", B, B), sees("Succeeded", B, B, B)], Status.DONE),
    "failed before": ([sees("Progressing", B, B), sees("Failed", B, B)], Status.FAILED),
}  # fmt: skip


@pytest.mark.parametrize("name", APPROVALS)
def test_releases_that_a_person_approves(name: str) -> None:
    """A pipeline goes on as soon as a person has to decide."""
    sights, status = APPROVALS[name]
    assert played(Asked(Goal.APPROVAL), *sights) == [None] * (len(sights) - 1) + [status]


STANDS: dict[str, tuple[dict[str, Any], bool]] = {
    "a gate before the analysis": ({"phase": "Waiting"}, True),
    "a gate before the promotion": ({"phase": "WaitingPromotion"}, True),
    "a pause": ({"phase": "Progressing", "conditions": [{"type": "Waiting", "reason": "Paused"}]}, True),
    "a gate at a weight": ({"phase": "Progressing", "conditions": [{"type": "Waiting", "reason": "GateClosed"}]}, True),
    "pods": ({"phase": "Progressing", "conditions": [{"type": "Waiting", "reason": "CanaryNotReady"}]}, False),
    "nothing": ({"phase": "Progressing"}, False),
}


@pytest.mark.parametrize("name", STANDS)
def test_what_a_release_waits_for(name: str) -> None:
    """By the status of its canary."""
    status, expected = STANDS[name]
    conditions = [{"status": "True", **each} for each in status.get("conditions", ())]
    assert asks({**status, "conditions": conditions}) is expected


FOREIGN = {
    "promoted": ([theirs("Succeeded", B, A), theirs("Progressing", B, A), theirs("Promoting", B, B),
                  theirs("Succeeded", B, B)], Status.DONE),
    "rolled back": ([theirs("Succeeded", B, A), theirs("Progressing", B, A), theirs("Failed", B, A)], Status.FAILED),
    "superseded": ([theirs("Progressing", B, A), theirs("Progressing", C, A)], Status.SUPERSEDED),
    "cancelled": ([theirs("Progressing", B, A), theirs("Progressing", A, A)], Status.SUPERSEDED),
    "after a failed one": ([theirs("Failed", C, A), theirs("Progressing", C, A), theirs("Succeeded", C, C)],
                           Status.DONE),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_releases_of_theirs(name: str) -> None:
    """Images and phase decide, for their hashes say nothing about a target."""
    sights, status = FOREIGN[name]
    assert played(Asked(), *sights) == [None] * (len(sights) - 1) + [status]


def test_a_failure_of_theirs_that_was_there_before() -> None:
    """It may be that of the release before: it counts once an interval and half a minute are over."""
    assert played(Asked(), *[theirs("Failed", B, A)] * 6, seconds=10.0) == [None] * 5 + [Status.FAILED]


def test_a_revision_of_theirs_by_its_hash() -> None:
    """Their own hash, from the status."""
    begun = theirs("Progressing", B, A)._replace(applied=("66aa", "66aa"))
    over = begun._replace(phase="Succeeded", promoted=("66aa", "66aa"))
    assert played(Asked(revision="66aa"), theirs("Succeeded", A, A), begun, over) == [None, None, Status.DONE]


def test_an_image_that_comes_late() -> None:
    """The release before it does not count."""
    sights = [sees("Succeeded", A), sees("Failed", A, A), sees("Succeeded", B), sees("Succeeded", B, B, B)]
    assert played(Asked(image="app:2"), *sights) == [None, None, None, Status.DONE]


def test_ended_and_idle() -> None:
    """A rolled-back release has ended. Idle is what has no release under way, as soon as the operator knows it."""
    run = [sees("Progressing", B, B), sees("Failed", B, B)]
    assert played(Asked(Goal.ENDED), *run) == [None, Status.DONE]
    assert played(Asked(Goal.ENDED), *RELEASES["superseded"][0])[-1] is Status.SUPERSEDED
    assert played(Asked(Goal.IDLE), sees("Succeeded", B), *run) == [None, None, Status.DONE]
    assert played(Asked(Goal.IDLE), theirs("Succeeded", B, A), theirs("Failed", B, A)) == [None, Status.DONE]


# On a cluster ---------------------------------------------------------------------------------------------------------


class Person(Reading):
    """May be denied watches, and may find the API server away."""

    away = False
    watches = True

    async def call(self, request: ApiRequest) -> ApiAnswer:
        if self.away:
            raise TransportError("connection refused")
        return await super().call(request)

    def stream(self, request: ApiRequest) -> Any:
        if self.away:
            raise TransportError("connection refused")
        return super().stream(request)


class Waits:
    """A wait beside a release."""

    def __init__(self, scene: Scene, asked: Asked | None = None, limit: float = 0.0, **person: Any) -> None:
        self.person = Person(scene.stage, person.get("denies", lambda request: False))
        clock = scene.stage.clock
        cluster = Cluster(Client(self.person, clock), clock, "test", "")
        self.lines: list[str] = []
        work = in_time(cluster, KEY, asked or Asked(), "", lambda now, line: self.lines.append(line), limit)
        self.task = asyncio.create_task(work)

    async def __call__(self) -> Ending:
        """The end."""
        async with asyncio.timeout(1000):
            return await self.task


async def release(scene: Scene, version: str) -> None:
    """A new image."""
    await scene.stage.set_image("shop", "shop", manifests.image("shop", version))


@pytest.mark.looptime
async def test_a_promotion() -> None:
    """A line for each change, and nothing but reads."""
    scene = Scene()
    await scene.begin()
    await release(scene, "2")
    waits = Waits(scene)
    assert (await waits()).status is Status.DONE
    weights = [line.partition("weight ")[2][:2] for line in waits.lines if "weight " in line]
    assert {"25", "50"} <= set(weights) and len(waits.lines) == len(set(waits.lines))
    assert (await scene.stage.status("shop"))["phase"] == "Succeeded"
    assert len(waits.person.asked) <= 8, "it watches"


@pytest.mark.looptime
async def test_a_rollback() -> None:
    """Its exit status is 3."""
    scene = Scene()
    await scene.begin()
    scene.bad = True
    await release(scene, "2")
    waits = Waits(scene)
    assert (await waits()).status is Status.FAILED
    assert any("failed 1/2" in line for line in waits.lines)


@pytest.mark.looptime
@pytest.mark.parametrize("version, text", [("3", "another revision"), ("1", "cancelled")])
async def test_a_release_that_is_replaced(version: str, text: str) -> None:
    """By a newer revision, or by the promoted one."""
    scene = Scene()
    await scene.begin()
    await release(scene, "2")
    waits = Waits(scene)
    await scene.until("Progressing")
    await scene.stage.clock.sleep(5)
    await release(scene, version)
    ending = await waits()
    assert ending.status is Status.SUPERSEDED and text in ending.text


@pytest.mark.looptime
async def test_a_time_limit() -> None:
    """Exit status 4, and the limit in the text."""
    scene = Scene()
    await scene.begin()
    await release(scene, "2")
    assert await Waits(scene, limit=12.0)() == (Status.TIMEOUT, "the release has not ended within 12s")


@pytest.mark.looptime
async def test_an_image_that_gitops_applies_late() -> None:
    """The limit covers both waits. The image is named until the target has it."""
    scene = Scene()
    await scene.begin()
    waits = Waits(scene, Asked(image=manifests.image("shop", "2")), limit=900.0)
    await scene.stage.clock.sleep(60)
    assert not waits.task.done() and "does not have the image registry.example/shop:2 yet" in waits.lines[-1]
    await release(scene, "2")
    assert (await waits()).status is Status.DONE


@pytest.mark.looptime
async def test_the_api_server_goes_away() -> None:
    """It says so once, tries again, and misses nothing."""
    scene = Scene()
    await scene.begin()
    await release(scene, "2")
    waits = Waits(scene)
    await scene.until("Progressing")
    waits.person.away = True
    scene.stage.server.break_watches()
    await scene.stage.clock.sleep(60)
    waits.person.away = False
    assert (await waits()).status is Status.DONE
    assert sum("trying again" in line for line in waits.lines) == 1
    assert "the API server answers again" in waits.lines


@pytest.mark.looptime
async def test_a_person_who_may_not_watch() -> None:
    """The objects are read again and again."""
    scene = Scene()
    await scene.begin()
    await release(scene, "2")
    named = ("/shop", "/shop-primary")
    waits = Waits(scene, denies=lambda request: not request.path.endswith(named))
    assert (await waits()).status is Status.DONE


@pytest.mark.looptime
async def test_a_canary_that_is_deleted_or_missing() -> None:
    """Exit status 1."""
    scene = Scene()
    await scene.begin()
    await release(scene, "2")
    waits = Waits(scene)
    await scene.until("Progressing")
    await scene.stage.delete("Canary", "shop")
    assert await waits() == (Status.ERROR, "canary shop.test was deleted")
    with pytest.raises(ApiError, match="not found"):
        await Waits(scene)()


@pytest.mark.looptime
async def test_no_operator_at_work() -> None:
    """It is said once, and the wait goes on."""
    scene = Scene()
    await scene.begin()
    await release(scene, "2")
    waits = Waits(scene, limit=300.0)
    await scene.until("Progressing")
    await scene.stage.clock.sleep(15)
    await scene.stage.stop_operator()
    assert (await waits()).status is Status.TIMEOUT
    assert sum("no operator is at work" in line for line in waits.lines) == 1
