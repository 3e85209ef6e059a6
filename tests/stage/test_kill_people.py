"""Killed after every write where people have their hands in: Services that work, autoscalers, routes that they keep.

Each story is played once in peace, then once for each write of the operator that dies. The end is the same each time,
and what must not happen happens at no moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.resources import CANARIES, DEPLOYMENTS, SERVICES, resource_of
from pyflagger.objects import Obj, Ref, Resource
from pyflagger_sandbox.network.routes import KEDA
from stage import fakes, manifests
from stage.killable import image_of
from stage.routes import accept, definitions, main_kind, services
from stage.targets import scaled_object
from stage.test_deaf_ports import USERS, pods_ports
from stage.test_kill import DEADLINE_SECONDS, NEW, Play
from stage.test_scaled_by_people import HPA, PAUSE
from stage.test_scaled_by_people import KEDA as SCALED
from stage.visitors import Visitors

pytestmark = [pytest.mark.looptime, pytest.mark.long]

HPAS = resource_of(Ref("autoscaling/v2", "HorizontalPodAutoscaler", "", ""))
SCALED_OBJECTS = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
READS = ("get", "list", "watch")


class Watch:
    """Every version of the objects of some kinds, as seen from outside; None: it was deleted."""

    def __init__(self, play: Play, *kinds: Resource) -> None:
        self.play, self.kinds = play, kinds
        self.seen: dict[tuple[str, str], list[Obj | None]] = {}

    async def start(self) -> None:
        """Begin to watch."""
        self.cache = Cache(self.play.stage.client, self.play.stage.clock)
        self.cache.subscribe(self._saw)
        for kind in self.kinds:
            await self.cache.wait(kind)

    def of(self, kind: Resource, name: str) -> list[Obj | None]:
        """The versions of one object, each once."""
        return self.seen.get((kind.kind, name), [])

    def _saw(self, change: ObjectChange) -> None:
        self.seen.setdefault((change.resource.kind, change.ref.name), []).append(change.new)


class Touched(Play):
    """A playing whose objects are watched from before the first write of the operator that dies."""

    kinds: tuple[Resource, ...] = ()
    provider = "nginx"

    async def start(self, *more: Obj, initialized: bool = True) -> None:
        """As `begin`, with the watch and, once it is initialized, visitors."""
        self.watch = Watch(self, *self.kinds)
        self.visitors = Visitors(self.stage, self.provider)
        await self.begin(*more, initialized=initialized)
        await self.watch.start()
        await self.visitors.start()
        self.begun = self.stage.clock.now()

    async def until(self, what: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so."""
        end = self.stage.clock.now() + DEADLINE_SECONDS
        while not await what():
            assert self.stage.clock.now() < end, f"never: {await self.stage.status('shop')}"
            await self.stage.clock.sleep(0.25)

    async def told(self, kind: str) -> str:
        """The message of a condition that is True; empty when it is not."""
        found = (await self.stage.status("shop")).get("conditions") or ()
        return next((str(each["message"]) for each in found if (each["type"], each["status"]) == (kind, "True")), "")

    async def telling(self, kind: str, text: str) -> None:
        """Wait until a condition has this text in it."""

        async def says() -> bool:
            return text in await self.told(kind)

        await self.until(says)

    def written(self) -> set[str]:
        """The kinds that an operator wrote so far."""
        found = (entry for entry in self.stage.audit if entry.agent == "flagger" and entry.verb not in READS)
        return {entry.resource for entry in found}

    async def ended(self, **more: Any) -> Obj:
        """What is left when all is quiet, and no visitor had failed."""
        await self.stage.clock.sleep(3 * manifests.INTERVAL)
        assert self.visitors.failed(self.begun) == 0
        for each in (self.watch.cache, self.visitors.cache):
            await each.stop()
        return {**await self.end(), **more}


async def killed(story: Callable[[int | None, bool], Awaitable[tuple[Play, Any]]], heard: bool, least: int) -> None:
    """Play a story in peace, and again for each of its writes; `least`: how many there are at least."""
    calm, wanted = await story(None, heard)
    writes = calm.mortal.writes
    for fatal in range(1, len(writes) + 1):
        try:
            play, found = await story(fatal, heard)
            assert play.mortal.dead.is_set()
            assert found == wanted
        except AssertionError as error:
            raise AssertionError(f"killed after write {fatal}, {writes[fatal - 1]}: {error}") from error
    print(f"killed at {len(writes)} points")
    assert len(writes) >= least


# Ports that lead nowhere --------------------------------------------------------------------------------------------


class Ports(Touched):
    """A Canary of a Service that works."""

    kinds = (SERVICES, DEPLOYMENTS)


QUIET = {"canaries", "events", "leases"}


async def refused(fatal: int | None, heard: bool) -> tuple[Play, Any]:
    """A target port without a container: nothing of the user's is written before the manifest is mended."""
    play = Ports(fatal, heard, service={"port": 80, "targetPort": "htpp"})
    await play.start(USERS, initialized=False)
    before = await play.stage.get("Service", "shop")
    await play.telling("Blocked", "spec.service.targetPort")
    await play.stage.clock.sleep(5)
    assert {"canaries"} <= play.written() <= QUIET, "written while refused"
    assert await play.stage.get("Service", "shop") == before
    await play.stage.patch("Canary", "shop", {"spec": {"service": {"targetPort": "http"}}})
    await play.phase("Initialized")
    await play.stage.clock.sleep(2)
    ready = [is_ready for _, is_ready in play.visitors.pods["shop"]]
    assert ready == [True], "the Service had no pods"
    versions = play.watch.of(SERVICES, "shop")
    assert None not in versions and versions[0] == before
    assert not await play.told("Blocked")
    return play, await play.ended()


async def renamed(fatal: int | None, heard: bool) -> tuple[Play, Any]:
    """A release renames the container's port and gets no visitor; the version that has it again is promoted."""
    play = Ports(fatal, heard, service={"port": 80, "targetPort": "http"})
    await play.start(USERS)
    taken = (await play.stage.get("Service", "shop"))["spec"]
    await pods_ports(play.stage, [{"name": "web", "containerPort": 8080}], "2")
    await play.phase("Failed")
    await play.stage.clock.sleep(5)
    assert {seen.what for seen in play.witness.weights} == {0}, "visitors for a version that nobody hears"
    assert NEW not in {seen.what for seen in play.witness.images}
    await pods_ports(play.stage, [{"name": "http", "containerPort": 8081}], "3")
    await play.phase("Succeeded")
    assert NEW not in {seen.what for seen in play.witness.images}
    assert (await play.stage.get("Service", "shop"))["spec"] == taken
    for name in ("shop", "shop-primary", "shop-canary"):
        assert None not in play.watch.of(SERVICES, name), "a Service was deleted"
    return play, await play.ended()


async def test_a_service_that_works_is_left_alone_while_its_port_is_refused() -> None:
    """Then it is taken over, with pods behind it at every moment."""
    await killed(refused, True, 10)


async def test_a_renamed_port_gets_no_visitors_and_the_mended_version_is_promoted() -> None:
    """Wherever it dies, the primary never gets the version that nobody can reach."""
    await killed(renamed, False, 20)


# Autoscalers ---------------------------------------------------------------------------------------------------------


class Scaled(Touched):
    """A target with an autoscaler that people delete, pause and edit."""

    def __init__(self, kind: str, fatal: int | None, heard: bool) -> None:
        self.kind = kind
        self.kinds = (HPAS,) if kind == HPAS.kind else (SCALED_OBJECTS,)
        super().__init__(fatal, heard, autoscalerRef=HPA if kind == HPAS.kind else SCALED)
        if kind != HPAS.kind:
            self.parts = {"definitions": KEDA, "controllers": (fakes.KEDA,)}

    def scaler(self) -> Obj:
        """The target's."""
        return manifests.scaler("shop") if self.kind == HPAS.kind else scaled_object("shop")

    def specs(self) -> list[Obj]:
        """The different specs that the primary's had one after the other; it never was deleted."""
        found: list[Obj] = []
        for obj in self.versions():
            assert obj is not None, "it was deleted"
            found += [obj["spec"]] if found[-1:] != [obj["spec"]] else []
        return found

    def versions(self) -> list[Obj | None]:
        """Of the primary's."""
        return self.watch.of(self.kinds[0], "shop-primary")

    async def bounds(self) -> tuple[int, int]:
        """Of the primary's HPA."""
        spec = (await self.stage.get(self.kind, "shop-primary"))["spec"]
        return spec["minReplicas"], spec["maxReplicas"]

    async def having(self, wanted: tuple[int, int]) -> None:
        """Wait until the primary's HPA has these bounds."""

        async def has() -> bool:
            return await self.bounds() == wanted

        await self.until(has)


async def deleted(kind: str, fatal: int | None, heard: bool) -> tuple[Play, Any]:
    """The target's autoscaler goes in mid-run: the release ends, and the primary's stays as it is."""
    play = Scaled(kind, fatal, heard)
    await play.start(play.scaler())
    if kind == SCALED_OBJECTS.kind:
        await play.stage.patch(kind, "shop-primary", {"metadata": {"annotations": PAUSE}})
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(manifests.STEP)
    await play.stage.delete(kind, "shop")
    await play.phase("Succeeded")
    await play.telling("Degraded", "the primary keeps its current autoscaler")
    assert len(play.specs()) == 1
    assert manifests.MAX in {seen.what for seen in play.witness.judged}, "promoted without judging the last weight"
    assert image_of(await play.stage.get("Deployment", "shop-primary")) == NEW
    await play.stage.create(play.scaler())
    await play.stage.clock.sleep(2)
    assert "keeps its current autoscaler" not in await play.told("Degraded")
    pauses = [PAUSE.items() <= (obj or {})["metadata"].get("annotations", {}).items() for obj in play.versions()]
    assert pauses == sorted(pauses), "a pause of people was removed"
    assert pauses[-1] == (kind == SCALED_OBJECTS.kind)
    return play, await play.ended()


async def edited(fatal: int | None, heard: bool) -> tuple[Play, Any]:
    """`minReplicas` reaches the primary between releases at once, in a run with its promotion."""
    play = Scaled(HPAS.kind, fatal, heard)
    await play.start(play.scaler())
    await play.stage.patch(play.kind, "shop", {"spec": {"minReplicas": 3}})
    await play.having((3, 4))
    await play.stage.set_image("shop", "shop", NEW)
    await play.weight(manifests.STEP)
    await play.stage.patch(play.kind, "shop", {"spec": {"minReplicas": 2}})
    await play.weight(manifests.MAX)
    assert await play.bounds() == (3, 4), "a run is under way"
    await play.having((2, 4))
    await play.phase("Succeeded")
    assert [spec["minReplicas"] for spec in play.specs()] == [2, 3, 2]
    return play, await play.ended(bounds=play.specs()[-1])


@pytest.mark.parametrize("kind", [HPAS.kind, SCALED_OBJECTS.kind])
async def test_an_autoscaler_that_is_deleted_in_mid_run(kind: str) -> None:
    """The release is judged to its end; a pause by people stays."""

    async def story(fatal: int | None, heard: bool) -> tuple[Play, Any]:
        return await deleted(kind, fatal, heard)

    await killed(story, False, 15)


async def test_bounds_that_reach_the_primary() -> None:
    """Each once, and none in a run."""
    await killed(edited, False, 15)


# Routes that people keep ---------------------------------------------------------------------------------------------

GATEWAY = [{"name": "gw"}]
TLS = [{"match": [{"port": 443, "sniHosts": ["a.example"]}], "route": [{"destination": {"host": "shop"}}]}]
USERS_ROUTES: dict[str, Obj] = {
    "gatewayapi:v1": {
        "hostnames": ["a.example"],
        "parentRefs": GATEWAY,
        "rules": [{"backendRefs": [{"name": "shop", "port": 80}]}],
    },
    "istio": {
        "hosts": ["a.example"],
        "gateways": ["gw"],
        "tls": TLS,
        "http": [{"route": [{"destination": {"host": "shop"}}]}],
    },
}


class Kept(Touched):
    """A Canary that is deleted, and a route that visitors come by: theirs, or ours."""

    def __init__(self, provider: str, theirs: bool, fatal: int | None, heard: bool) -> None:
        super().__init__(fatal, heard, provider=provider, revertOnDeletion=True)
        self.provider, self.theirs, self.route = provider, theirs, main_kind(provider)
        self.parts = {"definitions": definitions(provider)}
        self.kinds = (SERVICES, DEPLOYMENTS, self.route)

    def canary(self) -> Obj:
        """By the provider's route."""
        made = super().canary()
        del made["spec"]["ingressRef"]
        gateways = {"gatewayRefs": GATEWAY} if self.provider == "gatewayapi:v1" else {"gateways": ["gw"]}
        made["spec"]["service"] |= {**gateways, "hosts": ["a.example"]}
        return made

    async def begin(self, *more: Obj, initialized: bool = True) -> None:
        """With somebody who accepts routes."""
        self._gateway = asyncio.ensure_future(self._accept())
        await super().begin(*more, initialized=initialized)

    async def _accept(self) -> None:
        while self.provider.startswith("gatewayapi"):
            await self.stage.clock.sleep(0.25)
            for obj in (await self._routes()).values():
                await accept(self.stage, obj)

    async def _routes(self) -> dict[str, Obj]:
        listed = await self.stage.client.call("GET", self.route.path("test"))
        return {obj["metadata"]["name"]: obj for obj in listed["items"]}

    async def given_back(self) -> Obj:
        """Delete the Canary; what is left of routes once it is gone."""
        await self.stage.delete("Canary", "shop")

        async def is_gone() -> bool:
            listed = await self.stage.client.call("GET", CANARIES.path("test"))
            return not listed["items"]

        await self.until(is_gone)
        await self.stage.clock.sleep(10)
        self._gateway.cancel()
        meta = ("annotations", "labels", "ownerReferences")
        return {
            name: (obj["spec"], [obj["metadata"].get(key) for key in meta])
            for name, obj in (await self._routes()).items()
        }


async def taken(fatal: int | None, heard: bool, provider: str) -> tuple[Play, Any]:
    """A route of the user's is taken over: at each moment proxies have known for a while whom it leads to."""
    play = Kept(provider, True, fatal, heard)
    await play.start(USERS, users_route(play), initialized=False)
    await play.phase("Initialized")
    await play.stage.clock.sleep(5)
    play._gateway.cancel()
    versions = [services(each) for each in play.watch.of(play.route, "shop") if each]
    assert {"shop": 100, "shop-primary": 0, "shop-canary": 0} in [{**each, "shop": 100} for each in versions]
    assert versions[-1] == {"shop-primary": 100, "shop-canary": 0}
    routes = await play._routes()
    return play, await play.ended(routes={name: obj["spec"] for name, obj in routes.items()})


def users_route(play: Kept) -> Obj:
    """What was there before any Canary."""
    head = {"apiVersion": play.route.api_version, "kind": play.route.kind, "metadata": {"name": "shop"}}
    return {**head, "spec": USERS_ROUTES[play.provider]}


async def kept(provider: str, theirs: bool, fatal: int | None, heard: bool) -> tuple[Play, Any]:
    """Deleted in the middle of a release: the route stays, leads to the apex Service, and that to the target."""
    play = Kept(provider, theirs, fatal, heard)
    spec = USERS_ROUTES[provider]
    await play.start(*((USERS, users_route(play)) if theirs else ()))
    await play.stage.set_image("shop", "shop", NEW)
    await play.phase("Progressing")
    await play.stage.clock.sleep(manifests.INTERVAL)
    left = await play.given_back()
    assert None not in play.watch.of(play.route, "shop"), "the route was deleted"
    assert None not in play.watch.of(SERVICES, "shop"), "the Service that it leads to was deleted"
    assert set(left) == {"shop"} and left["shop"][1][2] is None
    if theirs:
        assert left["shop"] == (spec, [None, None, None])
    return play, await play.ended(routes=left)


@pytest.mark.parametrize("provider", USERS_ROUTES)
async def test_routes_of_people_are_taken_over(provider: str) -> None:
    """Wherever it dies, the new backends are there at weight 0 before anybody is led to them."""
    await killed(partial(taken, provider=provider), True, 12)


@pytest.mark.parametrize(
    "provider, theirs",
    [("gatewayapi:v1", False), ("gatewayapi:v1", True), ("istio", True)],
    ids=["ours by a Gateway", "theirs by a Gateway", "theirs with a TLS section"],
)
async def test_routes_are_left_to_people(provider: str, theirs: bool) -> None:
    """Visitors come by them all along."""

    async def story(fatal: int | None, heard: bool) -> tuple[Play, Any]:
        return await kept(provider, theirs, fatal, heard)

    await killed(story, False, 8)
