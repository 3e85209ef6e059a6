"""Somebody deletes the primary, its Service, or scales it to zero: shipping a good version ends the outage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pyflagger.kube.client import NotFound
from stage.killable import image_of
from stage.manifests import analysis, image, scaler
from stage.stage import Stage, path_of
from stage.story import Story
from stage.test_kill import NEW, NEWER, Play

pytestmark = pytest.mark.looptime

BROKEN = image("shop", "broken")
ITERATED = {key: value for key, value in analysis().items() if key not in ("stepWeight", "maxWeight")} | {
    "iterations": 2
}
SPECS: dict[str, dict[str, Any]] = {
    "nginx": {},
    "kubernetes": {"provider": "kubernetes", "analysis": ITERATED},
}


async def delete(stage: Stage) -> None:
    """The workload alone."""
    await stage.delete("Deployment", "shop-primary")


async def delete_both(stage: Stage) -> None:
    """The workload and its Service."""
    await stage.delete("Deployment", "shop-primary")
    await stage.delete("Service", "shop-primary")


async def scale_down(stage: Stage) -> None:
    """To no pods."""
    await stage.patch("Deployment", "shop-primary", {"spec": {"replicas": 0}})


def unrecorded(stage: Stage) -> None:
    """Without records of releases, from which the primary would come back by itself."""
    stage.options = Stage(release_history=0).options


Harm = Callable[[Stage], Awaitable[None]]
HARMS: tuple[Harm, ...] = (delete, delete_both, scale_down)


async def ended(play: Play, harm: Harm) -> None:
    """A release failed, the primary is gone, a good version comes."""
    await play.begin()
    await play.stage.set_image("shop", "shop", BROKEN)
    await play.phase("Progressing")
    await play.phase("Failed")
    await harm(play.stage)
    await play.stage.clock.sleep(5)
    await play.stage.set_image("shop", "shop", NEWER)
    await play.phase("Progressing", "Succeeded")
    await play.phase("Succeeded")


async def serving(stage: Stage) -> None:
    """The primary runs the good version, and visitors are led to it."""
    primary = await stage.get("Deployment", "shop-primary")
    assert image_of(primary) == NEWER and primary["status"]["readyReplicas"] >= 1
    services = [await stage.get("Service", name) for name in ("shop", "shop-primary")]
    assert [each["spec"]["selector"] for each in services] == [{"app": "shop-primary"}] * 2


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("provider", SPECS)
async def test_a_good_version_ends_the_outage(provider: str, harm: Harm) -> None:
    """Until then nothing is made of the version that failed, and a condition says what to do."""
    play = Play(None, True, **SPECS[provider])
    unrecorded(play.stage)
    await ended(play, harm)
    await serving(play.stage)
    assert [int(seen.what) for seen in play.witness.weights][-2:] == ([100, 0] if provider == "nginx" else [])
    assert BROKEN not in [seen.what for seen in play.witness.images]


@pytest.mark.parametrize("provider", ["istio", "gatewayapi:v1"])
async def test_a_good_version_ends_the_outage_in_a_mesh(provider: str) -> None:
    """All traffic goes to the canary as soon as it is ready, and home after the promotion."""
    story = Story(provider)
    unrecorded(story.stage)
    await story.begin()
    await delete_both(story.stage)
    await story.change("broken")
    await story.until("Progressing")
    assert await story.until("Failed", "Succeeded") == "Failed"
    assert story.seen == [0]
    await story.stage.set_image("shop", "shop", NEWER)
    await story.until("Progressing")
    assert await story.until("Failed", "Succeeded") == "Succeeded"
    assert story.seen == [0, 100, 0]
    await serving(story.stage)


@pytest.mark.parametrize("weight", [25, 50])
async def test_deleted_in_the_middle_of_a_release(weight: int) -> None:
    """The canary gets the rest at once."""
    play = Play(None, True)
    await play.begin()
    await play.stage.set_image("shop", "shop", NEWER)
    await play.weight(weight)
    await delete(play.stage)
    await play.stage.clock.sleep(1)
    assert play.witness.weight == 100
    status = await play.stage.status("shop")
    told = {each["type"]: each["message"] for each in status["conditions"]}
    assert told["Promoted"] == "Primary is gone, Deployment gets all traffic and is judged with it."
    await play.phase("Succeeded")
    await serving(play.stage)


async def test_what_the_condition_says_before() -> None:
    """Whose it is, and both ways out; putting the promoted version back is one."""
    play = Play(None, True)
    unrecorded(play.stage)
    await play.begin()
    await play.stage.set_image("shop", "shop", BROKEN)
    await play.phase("Progressing")
    await play.phase("Failed")
    await delete(play.stage)
    await play.stage.clock.sleep(30)
    (blocked,) = (each for each in (await play.stage.status("shop"))["conditions"] if each["type"] == "Blocked")
    assert blocked["reason"] == "Cluster" and "Change the pod template of shop" in blocked["message"]
    with pytest.raises(NotFound):
        await play.stage.get("Deployment", "shop-primary")
    await play.stage.set_image("shop", "shop", image("shop", "1"))
    await play.stage.clock.sleep(5)
    assert image_of(await play.stage.get("Deployment", "shop-primary")) == image("shop", "1")
    told = (await play.stage.status("shop"))["conditions"]
    assert not [each for each in told if each["type"] == "Blocked"]


async def test_scaled_to_zero_beside_an_autoscaler() -> None:
    """A HorizontalPodAutoscaler never scales from zero: somebody did that, and a promotion undoes it."""
    hpa = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "shop"}
    play = Play(None, True, autoscalerRef=hpa)
    await play.begin(scaler("shop"))
    await scale_down(play.stage)
    await play.stage.set_image("shop", "shop", NEWER)
    await play.phase("Progressing", "Succeeded")
    await play.phase("Succeeded")
    await serving(play.stage)


@pytest.mark.long
@pytest.mark.parametrize("provider", SPECS)
async def test_killed_after_every_write(provider: str) -> None:
    """The same end, and the primary never runs what failed."""

    async def played(fatal: int | None) -> tuple[Play, Any]:
        play = Play(fatal, False, **SPECS[provider])
        unrecorded(play.stage)
        await ended(play, delete)
        await serving(play.stage)
        return play, await play.end()

    calm, wanted = await played(None)
    for fatal in range(1, len(calm.mortal.writes) + 1):
        play, found = await played(fatal)
        assert play.mortal.dead.is_set()
        assert found == wanted, f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}"
        assert BROKEN not in [seen.what for seen in play.witness.images]


async def test_deletion_without_a_primary() -> None:
    """The target is handed back all the same."""
    play = Play(None, True, revertOnDeletion=True)
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(25)
    await delete(play.stage)
    await play.stage.delete("Canary", "shop")
    await play.stage.clock.sleep(30)
    listed = await play.stage.client.call("GET", path_of("Canary", "test"))
    assert listed["items"] == []
    assert (await play.stage.get("Deployment", "shop"))["spec"]["replicas"] >= 1
