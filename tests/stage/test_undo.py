"""Undo on an API server: the primary goes back, Git and its tools see no change, and visitors notice nothing."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.kube.resources import RELEASES
from pyflagger.objects import Obj
from stage.manifests import INTERVAL, deployment, image
from stage.test_actions import Play

pytestmark = pytest.mark.looptime


async def two_releases(**options: Any) -> Play:
    """Release 2 is promoted, after release 1."""
    play = await Play(**options).begin()
    await play.change(2)
    await play.until("Succeeded")
    await play.rest(1)
    return play


async def images(play: Play) -> tuple[str, str]:
    """Those of target and primary."""
    found = [await play.stage.get("Deployment", name) for name in ("shop", "shop-primary")]
    target, primary = (each["spec"]["template"]["spec"]["containers"][0]["image"] for each in found)
    return target, primary


async def outcomes(play: Play) -> dict[int, str]:
    """How each release ended."""
    found = await play.stage.client.call("GET", RELEASES.path("test"))
    return {each["spec"]["number"]: each["status"]["outcome"] for each in found["items"]}


async def test_the_release_before_runs_again() -> None:
    """Only the primary changes. The target, which belongs to Git, stays as it is to the last field."""
    play = await two_releases()
    before = await play.stage.get("Deployment", "shop")
    name = await play.ask("undo", reason="slow")
    assert await play.answer(name) == ("Done", "")
    await play.until("Failed")
    assert await images(play) == (image("shop", "2"), image("shop", "1"))
    after = await play.stage.get("Deployment", "shop")
    assert (after["spec"], after["metadata"]) == (before["spec"], before["metadata"])
    assert await outcomes(play) == {1: "Initialized", 2: "Promoted", 3: "Undone"}
    status = await play.status()
    assert status["release"] | {"images": []} == {"number": 3, "promoted": 1, "previous": 2, "images": []}
    (promoted,) = [each for each in status["conditions"] if each["type"] == "Promoted"]
    assert promoted["status"] == "False" and promoted["message"].startswith("Undone by ann: release 1 of shop.test")
    assert "Undoing shop.test to release 1 by ann: slow" in await play.events()


async def test_gitops_tools_apply_meanwhile() -> None:
    """The manifest is applied every second, before, in the middle of it and after: nothing is released or reverted."""
    play = await two_releases()
    manifest = deployment("shop")
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = image("shop", "2")
    del manifest["spec"]["replicas"]
    await play.ask("undo", reason="slow")
    for _ in range(60):
        await play.stage.patch("Deployment", "shop", manifest)
        await play.stage.clock.sleep(1)
    assert await images(play) == (image("shop", "2"), image("shop", "1"))
    assert (await play.status())["phase"] == "Failed"
    await play.change(3)
    await play.until("Succeeded")
    assert (await outcomes(play))[4] == "Promoted"


async def test_its_configs_come_back() -> None:
    """A template that uses a ConfigMap which the newer one does not use: the primary gets a copy of it as it is now."""
    play = await Play().begin()
    container: Obj = {"name": "shop", "image": image("shop", "2"), "ports": [{"name": "http", "containerPort": 8080}]}
    await play.stage.patch("Deployment", "shop", {"spec": {"template": {"spec": {"containers": [container]}}}})
    await play.until("Succeeded")
    await play.rest(2)
    await play.stage.patch("ConfigMap", "shop-env", {"data": {"a": "changed"}})
    await play.done("undo", reason="slow")
    await play.until("Failed")
    primary = await play.stage.get("Deployment", "shop-primary")
    (source,) = primary["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    copy = await play.stage.get("ConfigMap", source["configMapRef"]["name"])
    assert copy["metadata"]["name"] == "shop-env-primary" and copy["data"] == {"a": "changed"}
    await play.rest(5)
    assert await play.stage.get("ConfigMap", "shop-env-primary")


async def test_a_config_that_is_gone() -> None:
    """The action is refused, and names it."""
    play = await Play().begin()
    container: Obj = {"name": "shop", "image": image("shop", "2"), "ports": [{"name": "http", "containerPort": 8080}]}
    await play.stage.patch("Deployment", "shop", {"spec": {"template": {"spec": {"containers": [container]}}}})
    await play.until("Succeeded")
    await play.stage.delete("ConfigMap", "shop-env")
    name = await play.ask("undo", reason="slow")
    assert await play.answer(name) == ("Refused", "config-gone")
    assert "shop-env.test" in (await play.stage.get("CanaryAction", name))["status"]["text"]
    assert await images(play) == (image("shop", "2"), image("shop", "2"))


async def test_the_operator_is_away() -> None:
    """Asked for while no operator is there, and again with one that has to continue."""
    play = await two_releases()
    await play.stage.stop_operator()
    name = await play.ask("undo", reason="slow")
    await play.stage.clock.sleep(INTERVAL)
    await play.stage.start_operator()
    assert await play.answer(name) == ("Done", "")
    await play.stage.stop_operator()
    await play.stage.start_operator()
    await play.until("Failed")
    assert await images(play) == (image("shop", "2"), image("shop", "1"))
    assert await outcomes(play) == {1: "Initialized", 2: "Promoted", 3: "Undone"}


async def test_what_it_costs() -> None:
    """The record is read twice, before the decision and for the copy; nothing is asked afterwards."""
    play = await two_releases()
    before = len(play.stage.audit)
    await play.done("undo", reason="slow")
    await play.until("Failed")
    await play.rest(2)
    asked = [each for each in play.stage.audit[before:] if each.agent == "flagger" and each.verb != "watch"]
    found = [(each.verb, each.path.rsplit("/", 2)[-2]) for each in asked]
    print([(each.verb, each.path) for each in asked])
    assert found.count(("get", "canaryreleases")) == 2 and len(asked) <= 26
    before = len(play.stage.audit)
    await play.rest(20)
    assert not [each for each in play.stage.audit[before:] if each.agent == "flagger" and each.verb != "watch"]
