"""Canaries that meet: on one Ingress each has an Ingress of its own; where they cannot both run, the younger waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyflagger.objects import Obj
from stage.killable import WEIGHT, Killable, awake
from stage.manifests import canary, image, scaler
from stage.routes import definitions, main_kind
from stage.stage import MERGE, Stage, path_of
from stage.targets import plain

pytestmark = pytest.mark.looptime

SECONDS_MAX = 600
MALL = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "mall"}
SCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "front"}


def mall() -> Obj:
    """One Ingress with a path for each of two apps."""
    paths = [
        {"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}}
        for path, name in (("/", "front"), ("/orders", "orders"))
    ]
    spec = {"ingressClassName": "nginx", "rules": [{"host": "mall.example", "http": {"paths": paths}}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "mall"}, "spec": spec}


class Mall:
    """Canaries `front` and `orders`; `weights` are those that the Ingress of each was seen to have."""

    def __init__(self, **orders: Any) -> None:
        self.stage, self.orders = Stage(), orders
        self.weights: dict[str, list[int]] = {"front": [], "orders": []}

    async def begin(self, *, operator: bool = True, together: bool = False) -> None:
        """Everything up; `orders` comes second, and later if it is not `together` with the first."""
        await self.stage.start(operator=operator)
        await self.stage.namespace("test")
        for obj in (plain("front"), plain("orders"), mall(), scaler("front")):
            await self.stage.create(obj)
        await self.stage.create(canary("front", ingressRef=MALL, **({"autoscalerRef": SCALER} if self.orders else {})))
        if not together:
            await self.until("front", "Initialized")
        await self.stage.create(canary("orders", **{"ingressRef": MALL, **self.orders}))

    async def until(self, name: str, *phases: str) -> str:
        """Wait for a phase, looking at the weights meanwhile."""
        phase = ""
        for _ in range(SECONDS_MAX):
            await self.look()
            phase = (await self.stage.status(name)).get("phase", "")
            if phase in phases:
                return phase
            await self.stage.clock.sleep(1)
        raise AssertionError((name, phase, await self.events()))

    async def look(self) -> None:
        """Take note of each canary's weight; nobody has an Ingress with a path of the other."""
        for ingress in (await self.all("Ingress")).values():
            for owner in ingress["metadata"].get("ownerReferences") or ():
                (rule,) = ingress["spec"]["rules"]
                led = {path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
                assert led == {f"{owner['name']}-canary"}, ingress
                seen, weight = self.weights[owner["name"]], int(ingress["metadata"]["annotations"][WEIGHT])
                seen += [weight] if seen[-1:] != [weight] else []

    async def all(self, kind: str) -> dict[str, Obj]:
        """All objects of a kind by name."""
        listed = await self.stage.client.call("GET", path_of(kind, "test"))
        return {obj["metadata"]["name"]: obj for obj in listed["items"]}

    async def owners(self) -> dict[str, str]:
        """Whose each generated Ingress is."""
        found = await self.all("Ingress")
        return {name: obj["metadata"]["ownerReferences"][0]["name"] for name, obj in found.items() if name != "mall"}

    async def events(self) -> list[str]:
        """The texts of all events, with the canary's name."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [f"{event['involvedObject']['name']}: {event['message']}" for event in listed["items"]]

    async def blocked(self, name: str) -> str:
        """Wait for the condition; its message."""
        for _ in range(SECONDS_MAX):
            for each in (await self.stage.status(name)).get("conditions") or ():
                if each["type"] == "Blocked" and each["status"] == "True":
                    return str(each["message"])
            await self.stage.clock.sleep(1)
        raise AssertionError(await self.stage.status(name))


@pytest.mark.parametrize("together", [False, True])
async def test_two_canaries_release_behind_one_ingress(together: bool) -> None:
    """At the same time, each with its own paths and weights; the first has the name that the reference gives."""
    place = Mall()
    await place.begin(together=together)
    for name in ("front", "orders"):
        await place.until(name, "Initialized")
    assert await place.owners() == {"mall-canary": "front", "mall-orders-canary": "orders"}
    for name in ("front", "orders"):
        await place.stage.set_image(name, name, image(name, "2"))
        await place.stage.clock.sleep(6)
    for name in ("front", "orders"):
        await place.until(name, "Succeeded")
    assert place.weights == {"front": [0, 25, 50, 0], "orders": [0, 25, 50, 0]}
    assert not [
        each for each in await place.events() if "flagger restores it" in each or "each time flagger writes" in each
    ]


async def test_names_stay_after_restarts_and_when_the_elder_goes() -> None:
    """What a canary has it keeps; what is deleted comes back by a name that is free; a newcomer takes it, too."""
    place = Mall()
    await place.begin()
    await place.until("orders", "Initialized")
    await place.stage.set_image("orders", "orders", image("orders", "2"))
    while 25 not in place.weights["orders"]:
        await place.look()
        await place.stage.clock.sleep(1)
    await place.stage.stop_operator()
    await place.stage.delete("Canary", "front")
    await place.stage.clock.sleep(2)
    await place.stage.start_operator()
    await place.until("orders", "Succeeded")
    assert await place.owners() == {"mall-orders-canary": "orders"}
    assert place.weights["orders"] == [0, 25, 50, 0]
    await place.stage.create(canary("front", ingressRef=MALL))
    await place.until("front", "Initialized")
    assert await place.owners() == {"mall-canary": "front", "mall-orders-canary": "orders"}
    await place.stage.delete("Ingress", "mall-orders-canary")
    await place.stage.clock.sleep(5)
    assert await place.owners() == {"mall-canary": "front", "mall-orders-canary": "orders"}


MEETINGS = {
    "a Service's name": ({"service": {"name": "front", "port": 80}}, "service front, service front-primary"),
    "a derived name": (
        {"service": {"name": "front-canary", "port": 80}},
        "service front-canary already belongs to canary front",
    ),
    "an autoscaler": (
        {"autoscalerRef": SCALER},
        "horizontalpodautoscaler front, horizontalpodautoscaler front-primary",
    ),
    "a target": (
        {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "front"}},
        "canary front, which is older, already releases target deployment front",
    ),
    "a primary": (
        {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "front-primary"}},
        "deployment front-primary",
    ),
}


@pytest.mark.parametrize("meeting", MEETINGS)
async def test_the_younger_one_waits_for_the_elder_to_go(meeting: str) -> None:
    """Told before it writes anything; the elder's release is none the later, and once it is gone the other goes on."""
    spec, text = MEETINGS[meeting]
    place = Mall(**spec)
    await place.begin()
    told = await place.blocked("orders")
    assert text in told and "canary front, which is older" in told
    before = {
        name: obj["metadata"]["ownerReferences"]
        for name, obj in (await place.all("Service")).items()
        if "front" in name
    }
    await place.stage.set_image("front", "front", image("front", "2"))
    await place.until("front", "Succeeded")
    assert place.weights == {"front": [0, 25, 50, 0], "orders": []}
    after = {
        name: obj["metadata"]["ownerReferences"]
        for name, obj in (await place.all("Service")).items()
        if "front" in name
    }
    assert before == after and (await place.all("Deployment")).keys() == {"front", "front-primary", "orders"}
    assert len([each for each in await place.events() if "which is older" in each]) == 1
    assert not [each for each in await place.events() if "does not belong to this canary" in each]
    await place.stage.delete("Canary", "front")
    await place.stage.clock.sleep(30)
    assert "canary front" not in str((await place.stage.status("orders")).get("conditions"))


async def test_a_canary_of_another_namespace_is_no_rival() -> None:
    """Names are the namespace's."""
    place = Mall()
    await place.begin()
    await place.stage.namespace("other")
    for obj in (plain("front"), {**mall()}, canary("front", ingressRef=MALL)):
        await place.stage.create(obj, "other")
    for _ in range(SECONDS_MAX):
        if (await place.stage.status("front", "other")).get("phase") == "Initialized":
            break
        await place.stage.clock.sleep(1)
    assert (await place.stage.status("front", "other"))["phase"] == "Initialized"


async def test_an_ingress_that_was_made_for_a_canary_is_no_source() -> None:
    """Its paths and weights are the other release's."""
    place = Mall(ingressRef={**MALL, "name": "mall-canary"})
    await place.begin()
    assert "ingress mall-canary belongs to canary front" in await place.blocked("orders")


@pytest.mark.long
@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard"])
async def test_killed_after_every_write_behind_one_ingress(heard: bool) -> None:
    """Whenever the operator dies while the second canary is initialized, the next one ends up with the same names."""
    fatal = 1
    while True:
        place = Mall()
        await place.begin(operator=False, together=True)
        mortal = Killable(place.stage, fatal, heard)
        await awake(place.stage, mortal).start()
        first = asyncio.ensure_future(mortal.dead.wait())
        ready = asyncio.ensure_future(place.until("orders", "Initialized"))
        await asyncio.wait({first, ready}, return_when=asyncio.FIRST_COMPLETED)
        over = ready.done()
        if not over:
            await place.stage.clock.sleep(1)
            await awake(place.stage, Killable(place.stage, None, True)).start()
        await ready
        await place.until("front", "Initialized")
        owners = await place.owners()
        assert sorted(owners.values()) == ["front", "orders"] and "mall-canary" in owners, (fatal, owners)
        first.cancel()
        await place.stage.stop()
        if over:
            break
        fatal += 1
    assert fatal > 20, "the writes of two canaries"


async def test_two_routes_of_one_host_do_not_take_each_others_visitors() -> None:
    """The younger canary, of another namespace, writes nothing until it has a path of its own."""
    stage = Stage()
    await stage.start()
    for definition in definitions("istio"):
        await stage.create(definition)
    service = {"port": 80, "targetPort": 8080, "hosts": ["mall.example"], "gateways": ["infra/public"]}
    for name, space in (("front", "mall"), ("orders", "town")):
        await stage.namespace(space)
        await stage.create(plain(name), space)
        made = canary(name, provider="istio", service=service)
        made["spec"].pop("ingressRef", None)
        await stage.create(made, space)
        await stage.clock.sleep(30)
    assert (await stage.status("front", "mall"))["phase"] == "Initialized"
    found = (await stage.status("orders", "town"))["conditions"]
    (told,) = (each["message"] for each in found if each["type"] == "Blocked" and each["status"] == "True")
    assert "host mall.example at gateway infra/public already belongs to canary front.mall, which is older" in told
    for path in (path_of("Service", "town"), main_kind("istio").path("town")):
        assert not (await stage.client.call("GET", path))["items"]
    path = path_of("Canary", "town") + "/orders"
    match = [{"uri": {"prefix": "/orders"}}]
    await stage.client.call("PATCH", path, {"spec": {"service": {"match": match}}}, content_type=MERGE)
    await stage.clock.sleep(30)
    assert (await stage.status("orders", "town"))["phase"] == "Initialized"
