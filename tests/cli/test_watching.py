"""Views that stay open, on a cluster on virtual time: on a terminal that keeps what is drawn, and in a pipe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pyflagger.cli import waiting
from pyflagger.cli.cluster import Cluster, Wrong
from pyflagger.cli.explaining import all_of, lines_of
from pyflagger.cli.listing import Choice, shown
from pyflagger.cli.listing_live import Fleet
from pyflagger.cli.text import Screen
from pyflagger.cli.watching import Watch
from pyflagger.kube.client import Client
from pyflagger.kube.errors import Forbidden
from pyflagger.objects import Key
from pyflagger.seeing.read import Reader
from pyflagger.seeing.waiting import Asked, Ending, Status
from seeing.conftest import stages_stop
from seeing.test_single import Scene
from seeing.test_waiting import Person, release
from stage import manifests

__all__ = ["stages_stop"]
pytestmark = pytest.mark.looptime
ASCII = Screen(width=100, unicode=False)


class Paper:
    """A display that keeps each picture."""

    def __init__(self) -> None:
        self.pictures, self.keys = list[str](), list[str]()

    def draw(self, text: str) -> None:
        if not self.pictures or self.pictures[-1] != text:
            self.pictures.append(text)

    def pressed(self) -> list[str]:
        keys, self.keys = self.keys, []
        return keys


def cluster_of(scene: Scene, denies: Callable[..., bool] = lambda request: False) -> tuple[Cluster, Person]:
    """A person's way to the cluster of a scene."""
    person = Person(scene.stage, denies)
    return Cluster(Client(person, scene.stage.clock), scene.stage.clock, "test", ""), person


async def playing() -> Scene:
    """A canary that is initialized."""
    scene = Scene()
    await scene.begin()
    return scene


async def within(work: Coroutine[Any, Any, Any]) -> Any:
    """Its result, in less than a thousand seconds."""
    async with asyncio.timeout(1000):
        return await work


async def test_get_until_done() -> None:
    """Steps are taken in the picture, clocks go on without a change, pods come up, and the end is that of wait."""
    scene = await playing()
    await release(scene, "2")
    paper = Paper()
    watch = Watch(cluster_of(scene)[0], "shop", "", "auto")
    assert await within(watch.run(paper, ASCII, Asked())) == (Status.DONE, "the release was promoted")
    whole = "\n".join(paper.pictures)
    assert "o 25 % .. o 50 % .. o promotion" in whole and "* 25 % -- @ 50 % .. o promotion" in whole
    assert "judged again in 7s" in whole and "judged again in 6s" in whole
    assert "Advance shop.test canary weight 50" in whole and "`- shop-" in whole
    assert all(picture.isascii() for picture in paper.pictures)


async def test_the_keys() -> None:
    """Each shows or hides a part; `q` quits."""
    scene = await playing()
    paper = Paper()
    watch = Watch(cluster_of(scene)[0], "shop", "", "auto")
    task = asyncio.create_task(watch.run(paper, ASCII, None))
    for key, shows in (("e", "FROM "), ("e", ""), ("p", "Pod "), ("?", "q: quit"), ("q", "")):
        await scene.stage.clock.sleep(2)
        assert not task.done()
        paper.keys.append(key)
        watch.watched.wake()
        await scene.stage.clock.sleep(2)
        assert shows in paper.pictures[-1] and ("FROM " in paper.pictures[-1]) == (shows == "FROM ")
    assert await task is None


async def test_the_api_server_goes_away() -> None:
    """The picture stays, and says so."""
    scene = await playing()
    cluster, person = cluster_of(scene)
    paper = Paper()
    watch = Watch(cluster, "shop", "", "auto")
    task = asyncio.create_task(watch.run(paper, ASCII, None))
    await scene.stage.clock.sleep(5)
    person.away = True
    scene.stage.server.break_watches()
    await scene.stage.clock.sleep(20)
    assert paper.pictures[-1].startswith("connection refused; trying again\n") and "shop-primary" in paper.pictures[-1]
    person.away = False
    await scene.stage.clock.sleep(40)
    assert "trying again" not in paper.pictures[-1]
    await scene.stage.delete("Canary", "shop")
    assert await within(task) == Ending(Status.ERROR, "canary shop.test was deleted")


async def test_list_watch() -> None:
    """On a terminal the table changes; in a pipe each change is a line, and a deletion too."""
    scene = await playing()
    paper, told = Paper(), list[str]()
    fleets = [Fleet(cluster_of(scene)[0], Choice("test", "", ())) for _ in range(2)]
    for fleet in fleets:
        await fleet.begin()
    tasks = [
        asyncio.create_task(fleets[0].drawn(paper, ASCII, wide=False)),
        asyncio.create_task(fleets[1].lines(told.append)),
    ]
    await release(scene, "2")
    await scene.until("Progressing")
    await scene.until("Succeeded")
    await scene.stage.delete("Canary", "shop")
    await scene.stage.clock.sleep(10)
    assert paper.pictures[-1] == "No canaries found in test namespace."
    paper.keys.append("q")
    await within(tasks[0])
    tasks[1].cancel()
    assert any("> moving      25   1/2" in picture for picture in paper.pictures)
    assert [line.partition("weight ")[2] for line in told if "weight " in line][:3] == ["0", "25", "50"]
    assert told[-1].endswith("shop.test  gone")
    for fleet in fleets:
        await fleet.follower.stop()


async def test_explain_what_stands() -> None:
    """A line for each canary that is neither idle nor moving: its first cause, and what to do."""
    scene = await playing()
    cluster, _ = cluster_of(scene)
    assert await all_of(cluster, Choice("test", "", ()), "") == []
    await scene.stage.create(manifests.canary("lost"))
    await scene.stage.clock.sleep(5)
    head, line = lines_of(await all_of(cluster, Choice("", "", ()), ""), Screen(unicode=False), namespaces=True)
    assert head.split() == ["NAMESPACE", "NAME", "STATE", "WHY", "DO"]
    assert line.startswith("test       lost  ! blocked") and "Create deployment lost" in line


async def test_all_namespaces_when_only_some_may_be_listed() -> None:
    """Each namespace is asked for, and those that stay hidden are counted. Without any, the refusal stands."""
    scene = await playing()
    await scene.stage.namespace("other")
    everything = "/apis/flagger.app/v1beta1/canaries"

    async def seen(*denied: str) -> tuple[list[str], int]:
        cluster, _ = cluster_of(scene, lambda request: request.path in denied)
        found, hidden = await Reader(cluster.client, cluster.clock).everywhere()
        return [each["metadata"]["name"] for each in found.objects], hidden

    of = everything.replace("/canaries", "/namespaces/{}/canaries").format
    assert await seen() == (["shop"], 0)
    assert await seen(everything) == (["shop"], 0)
    assert await seen(everything, of("other")) == (["shop"], 1)
    names = [each["metadata"]["name"] for each in (await scene.stage.client.call("GET", "/api/v1/namespaces"))["items"]]
    for denied in ([everything, "/api/v1/namespaces"], [everything, *map(of, names)]):
        with pytest.raises(Forbidden, match="not allowed to get /apis"):
            await seen(*denied)


@pytest.mark.parametrize("sort, first", [("verdict", "lost"), ("name", "lost"), ("weight", "shop"), ("since", "shop")])
async def test_sorting(sort: str, first: str) -> None:
    """By verdict, name, weight, or the last change."""
    scene = await playing()
    await scene.stage.create(manifests.canary("lost"))
    await scene.stage.clock.sleep(5)
    await release(scene, "2")
    await scene.until("Progressing")
    while (await scene.stage.status("shop")).get("canaryWeight") != 25:
        await scene.stage.clock.sleep(1)
    cluster, _ = cluster_of(scene)
    found = await Reader(cluster.client, cluster.clock).canaries()
    chosen = Choice("test", "", (), sort)
    table = shown(chosen.rows(found.objects, found.now), found.now, Screen(), chosen, wide=False)
    assert table.splitlines()[1].startswith(first)


async def test_wait_without_the_right_to_read_the_target() -> None:
    """It names the right at once, and does not run into its limit."""
    scene = await playing()
    cluster, _ = cluster_of(scene, lambda request: "/deployments" in request.path)
    with pytest.raises(Wrong, match=r"Ask for the right to get deployments\.apps in namespace test"):
        await within(waiting.in_time(cluster, Key("test", "shop"), Asked(), "istio", lambda now, line: None, 60))
