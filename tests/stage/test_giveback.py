"""A Service that was there before: taken over, and the user's again after the Canary, wherever the operator dies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyflagger.kube.errors import NotFound
from pyflagger.objects import Obj
from stage.killable import Killable, awake
from stage.manifests import canary, deployment, ingress, settings
from stage.stage import Stage
from stage.test_kill import Play

pytestmark = pytest.mark.looptime

TAKING = "Taking over Service shop for shop.test. An annotation stores the original. "
BACK = "Restoring Service shop to what it was before shop.test"
LEFT = "Leaving Service shop of shop.test to you: delete it when no visitor uses it"
PATIENCE_SECONDS = 120


def front() -> Obj:
    """A target with two labels; another one of the same app has only one of them."""
    made = deployment("shop")
    labels = {"app": "shop", "tier": "front"}
    made["spec"]["selector"]["matchLabels"] = labels
    made["spec"]["template"]["metadata"]["labels"] = labels
    return made


def service(**spec: Any) -> Obj:
    """The user's, of two ports."""
    ports = [{"name": "web", "port": 80, "targetPort": 8080}, {"name": "metrics", "port": 9797, "targetPort": 9797}]
    wanted = {"selector": {"app": "shop", "tier": "front"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": wanted}


async def begun(*more: Obj, operator: bool = True, **spec: Any) -> Stage:
    """A stage with a target, its Ingress, and a Canary that may be handed back."""
    stage = Stage()
    await stage.start(operator=operator)
    await stage.namespace("test")
    for obj in (
        settings("shop"),
        front(),
        ingress("shop"),
        *more,
        canary("shop", **{"revertOnDeletion": True, **spec}),
    ):
        await stage.create(obj)
    return stage


async def phase(stage: Stage, *wanted: str) -> None:
    """Wait for one of these phases."""
    for _ in range(PATIENCE_SECONDS * 4):
        if (await stage.status("shop")).get("phase") in wanted:
            return
        await stage.clock.sleep(0.25)
    raise AssertionError(f"never {wanted}: {await told(stage)}")


async def gone(stage: Stage) -> None:
    """Delete the Canary and wait until it is gone, and what was its own with it."""
    await stage.delete("Canary", "shop")
    for _ in range(PATIENCE_SECONDS * 4):
        try:
            await stage.get("Canary", "shop")
        except NotFound:
            await stage.clock.sleep(5)
            return
        await stage.clock.sleep(0.25)
    raise AssertionError(f"never gone: {await told(stage)}")


async def told(stage: Stage) -> list[str]:
    """The texts of all events on Canaries."""
    listed = await stage.client.call("GET", "/api/v1/namespaces/test/events")
    return [event["message"] for event in listed["items"] if event["involvedObject"]["kind"] == "Canary"]


def users(obj: Obj) -> Obj:
    """What of an object a user can write."""
    meta = obj["metadata"]
    kept = {key: meta[key] for key in ("labels", "annotations", "ownerReferences") if meta.get(key)}
    return {"metadata": kept, "spec": obj["spec"]}


async def services(stage: Stage) -> set[str]:
    """The names of all Services."""
    listed = await stage.client.call("GET", "/api/v1/namespaces/test/services")
    return {each["metadata"]["name"] for each in listed["items"]}


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
async def test_it_comes_back_to_the_letter(kind: str) -> None:
    """Both ports serve all along, one event says that it is taken over, another that it is back."""
    stage = Stage()
    await stage.start()
    await stage.namespace("test")
    for obj in (settings("shop"), front(), ingress("shop"), service(type=kind)):
        await stage.create(obj)
    before = await stage.get("Service", "shop")
    await stage.create(
        canary("shop", revertOnDeletion=True, service={"port": 80, "targetPort": 8080, "portName": "web"})
    )
    await phase(stage, "Initialized")
    taken = await stage.get("Service", "shop")
    assert taken["spec"]["ports"] == before["spec"]["ports"] and taken["spec"]["selector"] != before["spec"]["selector"]
    await gone(stage)
    assert users(await stage.get("Service", "shop")) == users(before)
    assert await services(stage) == {"shop"}
    texts = await told(stage)
    assert [text for text in texts if "shop" in text and ("Taking" in text or "Restoring" in text)] == [
        f"{TAKING}flagger restores it when the Canary is deleted.",
        BACK,
    ]
    assert texts.index(texts[-1]) and texts[-1] == "Terminated canary shop.test"


async def test_taken_over_twice() -> None:
    """A Canary that comes again finds the user's Service, not what the first one had made of it."""
    stage = await begun(service())
    before = await stage.get("Service", "shop")
    await phase(stage, "Initialized")
    await gone(stage)
    await stage.create(canary("shop", revertOnDeletion=True))
    await phase(stage, "Initialized")
    await gone(stage)
    assert users(await stage.get("Service", "shop")) == users(before)


async def test_a_canary_that_comes_again_after_one_without_a_way_back() -> None:
    """The second one gives back what the first one had found."""
    stage = await begun(service(), revertOnDeletion=False)
    before = await stage.get("Service", "shop")
    await phase(stage, "Initialized")
    assert f"{TAKING}Set spec.revertOnDeletion to restore it when the Canary is deleted." in await told(stage)
    await gone(stage)
    await stage.patch("Deployment", "shop", {"spec": {"replicas": 2}})
    await stage.create(canary("shop", revertOnDeletion=True))
    await phase(stage, "Initialized")
    await gone(stage)
    assert users(await stage.get("Service", "shop")) == users(before)


async def test_a_service_of_ours_is_left_to_the_user() -> None:
    """The Ingress goes on by it: it leads to the target's pods, and nobody collects it."""
    stage = await begun()
    await phase(stage, "Initialized")
    assert not [text for text in await told(stage) if "Taking" in text]
    await gone(stage)
    left = await stage.get("Service", "shop")
    assert left["spec"]["selector"].items() <= front()["spec"]["template"]["metadata"]["labels"].items()
    assert not left["metadata"].get("ownerReferences") and not left["metadata"].get("annotations")
    assert await services(stage) == {"shop"} and LEFT in await told(stage)
    assert (await stage.get("Deployment", "shop"))["spec"]["replicas"] == 2


async def test_a_target_that_goes_as_well_takes_ours_along_but_not_the_users() -> None:
    """As when a chart is uninstalled: nothing waits, nothing of ours is left."""
    for more in ((), (service(),)):
        stage = await begun(*more)
        before = [users(await stage.get("Service", "shop")) for _ in more]
        await phase(stage, "Initialized")
        await stage.delete("Deployment", "shop")
        await gone(stage)
        assert await services(stage) == ({"shop"} if more else set())
        assert [users(await stage.get("Service", "shop")) for _ in more] == before
        await stage.stop()


@pytest.mark.parametrize(
    "spec, text",
    [
        ({"type": "ExternalName", "externalName": "db.example", "selector": None}, "ExternalName"),
        ({"selector": None}, "has no selector"),
        ({"selector": None, "clusterIP": "None"}, "has no selector"),
        ({"selector": {"app": "api"}}, "selects app=api"),
    ],
)
async def test_what_does_not_lead_to_the_target_blocks_before_anything_is_written(spec: Obj, text: str) -> None:
    """The Service, its target and everybody else's stay as they are, until it leads to the target."""
    made = service(**spec)
    made["spec"] = {key: value for key, value in made["spec"].items() if value is not None}
    stage = await begun(made)
    before = await stage.get("Service", "shop")
    await stage.clock.sleep(30)
    status = await stage.status("shop")
    (blocked,) = (each for each in status["conditions"] if each["type"] == "Blocked" and each["status"] == "True")
    assert (
        text in blocked["message"] and "Service shop.test" in blocked["message"] and status["phase"] == "Initializing"
    )
    assert await stage.get("Service", "shop") == before and await services(stage) == {"shop"}
    assert (await stage.get("Deployment", "shop"))["spec"]["replicas"] == 2
    await stage.delete("Service", "shop")
    await stage.create(service())
    await phase(stage, "Initialized")


# Killed after every write -------------------------------------------------------------------------------------------


class Given(Play):
    """From nothing to Initialized, and after the deletion of the Canary; one operator dies on the way."""

    async def play(self, *more: Obj) -> tuple[list[Obj], list[str]]:
        """What there is of Services in the end, and what was told."""
        self.stage = await begun(*more, operator=False)
        self.mortal = Killable(self.stage, self.fatal, self.heard)
        await awake(self.stage, self.mortal).start()
        self._successor = asyncio.ensure_future(self._succeed())
        await phase(self.stage, "Initialized")
        await gone(self.stage)
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/services")
        texts = await told(self.stage)
        assert (await self.stage.get("Deployment", "shop"))["spec"]["replicas"] == 2
        self._successor.cancel()
        await self.stage.stop()
        return [users(each) for each in listed["items"]], texts


@pytest.mark.parametrize(
    "mine, heard", [(True, False), (True, True), (False, False)], ids=["users-unheard", "users-heard", "ours"]
)
@pytest.mark.long
async def test_killed_after_every_write(mine: bool, heard: bool) -> None:
    """Wherever the operator dies, the Service is in the end what it is without a death; a takeover is told before."""
    more = [service()] if mine else []
    calm = Given(None, heard)
    wanted, _ = await calm.play(*more)
    points = len(calm.mortal.writes)
    assert points > 12
    for fatal in range(1, points + 1):
        play = Given(fatal, heard)
        found, texts = await play.play(*more)
        where = f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}"
        assert play.mortal.dead.is_set() and found == wanted, where
        assert any("Taking over Service shop" in text for text in texts) is mine, where
