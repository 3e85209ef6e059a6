"""Objects of the user's own by names that flagger derives: named, never written, and waited for."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api import names
from pyflagger.objects import Delete, Obj, Patch, Ref
from pyflagger.operator.act.render import Renderer
from stage.manifests import canary, image, ingress, scaler
from stage.routes import definitions, main_kind
from stage.stage import MERGE, Stage, path_of
from stage.targets import plain

pytestmark = pytest.mark.looptime

BETA = {"app": "shop-beta"}
NEW: Obj = {"name": "shop-canary", "port": 80, "weight": 0}
LEGACY: Obj = {"name": "legacy", "port": 80, "weight": 20}
SECONDS_MAX = 300


def service(name: str, **meta: Any) -> Obj:
    """A Service of the user's, for beta testers."""
    spec = {"selector": BETA, "ports": [{"name": "http", "port": 80, "targetPort": 9}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **meta}, "spec": spec}


def theirs(kind: str, name: str) -> Obj:
    """An object of the user's by a name that flagger derives."""
    if kind == "Service":
        return service(name)
    if kind == "Ingress":
        made = ingress("beta")
        return {**made, "metadata": {"name": name}}
    made = {"Deployment": plain, "HorizontalPodAutoscaler": scaler}[kind]("beta")
    return {**made, "metadata": {"name": name}}


class Cluster:
    """One canary `shop`, and objects of other owners."""

    def __init__(self, *objs: Obj, **spec: Any) -> None:
        self.stage, self.objs, self.spec = Stage(), objs, spec

    async def begin(self, own: Obj | None = None, *definitions: Obj) -> None:
        """Everything up, the objects of others first; `own` is of a kind that has to be defined."""
        await self.stage.start()
        await self.stage.namespace("test")
        for definition in definitions:
            await self.stage.create(definition)
        if own:
            path = main_kind(self.spec["provider"]).path("test")
            await self.stage.client.call("POST", path, own)
        for obj in (*self.objs, plain("shop"), ingress("shop"), scaler("shop"), canary("shop", **self.spec)):
            await self.stage.create(obj)

    async def status(self) -> Obj:
        """That of the Canary."""
        return await self.stage.status("shop")

    async def until(self, phase: str) -> None:
        """Wait for a phase."""
        for _ in range(SECONDS_MAX):
            if (await self.status()).get("phase") == phase:
                return
            await self.stage.clock.sleep(1)
        raise AssertionError(await self.status())

    async def blocked(self) -> str:
        """Wait for the condition; its message."""
        for _ in range(SECONDS_MAX):
            for each in (await self.status()).get("conditions") or ():
                if each["type"] == "Blocked" and each["status"] == "True":
                    return str(each["message"])
            await self.stage.clock.sleep(1)
        raise AssertionError(await self.status())

    async def events(self) -> list[str]:
        """The texts of all events."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [f"{event['type']} {event['message']}" for event in listed["items"]]

    async def names(self, kind: str) -> set[str]:
        """What there is of a kind."""
        listed = await self.stage.client.call("GET", path_of(kind, "test"))
        return {obj["metadata"]["name"] for obj in listed["items"]}

    async def version(self, kind: str, name: str) -> tuple[str, str]:
        """It changes with each write."""
        meta = (await self.stage.get(kind, name))["metadata"]
        return meta["uid"], meta["resourceVersion"]


SCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "shop"}
TAKEN = [
    ("Service", "shop-canary"),
    ("Service", "shop-primary"),
    ("Ingress", "shop-canary"),
    ("HorizontalPodAutoscaler", "shop-primary"),
    ("Deployment", "shop-primary"),
]


@pytest.mark.parametrize(("kind", "name"), TAKEN, ids=["-".join(each) for each in TAKEN])
async def test_a_name_that_somebody_else_has(kind: str, name: str) -> None:
    """Blocked before the first write, told once with owner and way out; the Canary goes on once the name is free."""
    cluster = Cluster(theirs(kind, name), autoscalerRef=SCALER)
    await cluster.begin()
    if kind == "Deployment":
        await cluster.stage.clock.sleep(5)
    before = await cluster.stage.get(kind, name)
    text = await cluster.blocked()
    assert text.startswith(f"{kind.lower()} {name}.test exists and does not belong to this canary (it names no owner)")
    assert f"Rename or delete {kind.lower()} {name}.test" in text and "flagger.app/canary=shop.test" in text
    await cluster.stage.clock.sleep(30)
    assert (await cluster.stage.get(kind, name))["spec"] == before["spec"]
    assert (await cluster.stage.get(kind, name))["metadata"].get("ownerReferences") is None
    made = {(kind, each) for kind in ("Service", "Deployment", "Ingress") for each in await cluster.names(kind)}
    own = {("Deployment", "shop"), ("Ingress", "shop"), ("Service", "kubernetes")}
    assert made - {(kind, name)} - own == set(), "nothing is made before the name is free"
    assert len([each for each in await cluster.events() if "does not belong to this canary" in each]) == 1
    await cluster.stage.delete(kind, name)
    await cluster.until("Initialized")
    assert not [
        each for each in (await cluster.status())["conditions"] if (each["type"], each["status"]) == ("Blocked", "True")
    ]


async def test_somebody_takes_a_name_in_the_middle_of_a_release() -> None:
    """The route that is gone is not made in the user's object; with the name free again the release ends well."""
    cluster = Cluster(provider="nginx")
    await cluster.begin()
    await cluster.until("Initialized")
    await cluster.stage.set_image("shop", "shop", image("shop", "2"))
    for _ in range(SECONDS_MAX):
        if (await cluster.status()).get("canaryWeight"):
            break
        await cluster.stage.clock.sleep(1)
    await cluster.stage.stop_operator()
    await cluster.stage.delete("Ingress", "shop-canary")
    await cluster.stage.create(theirs("Ingress", "shop-canary"))
    before = await cluster.version("Ingress", "shop-canary")
    await cluster.stage.start_operator()
    assert "ingress shop-canary.test exists and does not belong to this canary" in await cluster.blocked()
    await cluster.stage.clock.sleep(60)
    assert await cluster.version("Ingress", "shop-canary") == before
    await cluster.stage.delete("Ingress", "shop-canary")
    await cluster.until("Succeeded")


@pytest.mark.parametrize("provider", ["nginx", "skipper"])
async def test_deletion_leaves_what_belongs_to_others(provider: str) -> None:
    """The Canary goes although it was never initialized, and takes nothing with it."""
    cluster = Cluster(theirs("Ingress", "shop-canary"), provider=provider, revertOnDeletion=True)
    await cluster.begin()
    await cluster.blocked()
    before = await cluster.version("Ingress", "shop-canary")
    await cluster.stage.delete("Canary", "shop")
    for _ in range(SECONDS_MAX):
        if not await cluster.names("Canary"):
            break
        await cluster.stage.clock.sleep(1)
    assert not await cluster.names("Canary")
    await cluster.stage.clock.sleep(10)
    assert await cluster.version("Ingress", "shop-canary") == before


async def test_the_last_check_stops_what_a_renderer_gets_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change and a deletion of an object of the user's: refused and told as our bug, however often it is tried."""
    bystander = Ref("v1", "Service", "test", "bystander")
    cluster = Cluster(service("bystander"))
    await cluster.begin()
    await cluster.until("Initialized")
    before = await cluster.version("Service", "bystander")
    for write, verb in (
        (Patch(bystander, {"spec": {"selector": {"app": "shop"}}}), "change"),
        (Delete(bystander), "delete"),
    ):
        monkeypatch.setattr(Renderer, "scale", lambda self, seen, replicas, write=write: (write,))
        await cluster.stage.set_image("shop", "shop", image("shop", verb))
        await cluster.stage.clock.sleep(30)
        text = f"flagger refused to {verb} service bystander.test: it does not belong to canary shop"
        assert [each for each in await cluster.events() if text in each]
        assert await cluster.version("Service", "bystander") == before
    monkeypatch.undo()
    await cluster.until("Succeeded")


DERIVED = [
    ("Service", "shop-canary"),
    ("Service", "shop-primary"),
    ("Ingress", "shop-canary"),
    ("Deployment", "shop-primary"),
]


async def orphaned(cluster: Cluster) -> None:
    """An initialized Canary is deleted, its objects stay without owners, and it is created again."""
    stage = cluster.stage
    await cluster.begin()
    await cluster.until("Initialized")
    await stage.stop_operator()
    for kind, name in (*DERIVED, ("Service", "shop")):
        await stage.patch(kind, name, {"metadata": {"ownerReferences": None}})
    await stage.delete("Canary", "shop")
    await stage.clock.sleep(5)
    await stage.create(canary("shop", **cluster.spec))
    await stage.start_operator()


async def test_objects_restored_without_owners_block_until_they_are_handed_over() -> None:
    """As backups restore them. By the annotation they are the Canary's again: the primary serves all the while."""
    cluster = Cluster()
    await orphaned(cluster)
    text = await cluster.blocked()
    told = "; ".join(await cluster.events())
    assert all(f"{kind.lower()} {name}.test exists" in told for kind, name in DERIVED), text
    uid = (await cluster.version("Deployment", "shop-primary"))[0]
    for kind, name in DERIVED:
        await cluster.stage.patch(kind, name, {"metadata": {"annotations": {names.OWNER: "shop.test"}}})
    await cluster.until("Initialized")
    assert (await cluster.version("Deployment", "shop-primary"))[0] == uid
    canary_uid = (await cluster.stage.get("Canary", "shop"))["metadata"]["uid"]
    for kind, name in DERIVED:
        (owner,) = (await cluster.stage.get(kind, name))["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (canary_uid, True)
    assert len([each for each in await cluster.events() if "now belong to shop.test" in each]) >= 1
    await cluster.stage.set_image("shop", "shop", image("shop", "2"))
    await cluster.until("Succeeded")


OWN: dict[str, tuple[Obj, Obj]] = {
    "traefik": (
        {"weighted": {"services": [{"name": "shop", "port": 80, "weight": 80}, LEGACY]}},
        {},
    ),
    "contour": (
        {"routes": [{"services": [{"name": "shop", "port": 80, "weight": 80}, LEGACY]}]},
        {"routes": [{"services": [{"name": "shop", "port": 80, "weight": 80}, NEW, LEGACY]}]},
    ),
    "smi:v1alpha2": (
        {"service": "shop", "backends": [{"service": "shop", "weight": 80}, {"service": "legacy", "weight": 20}]},
        {
            "service": "shop",
            "backends": [
                {"service": "shop", "weight": 80},
                {"service": "shop-canary", "weight": 0},
                {"service": "legacy", "weight": 20},
            ],
        },
    ),
}


@pytest.mark.parametrize("provider", OWN)
async def test_a_split_of_the_users_blocks_until_it_is_adopted(provider: str) -> None:
    """Nothing is written before; then its weights are set, and the third backend keeps its part all along."""
    kind, (spec, adopted) = main_kind(provider), OWN[provider]
    meta = {"name": "shop", "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    own = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": spec}
    front, path = service("shop"), kind.path("test", "shop")
    front["spec"] = {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    cluster = Cluster(front, provider=provider, revertOnDeletion=True)
    await cluster.begin(own, *definitions(provider))
    before = await cluster.stage.client.call("GET", path)
    told = await cluster.blocked()
    where = f"{kind.kind.lower()} shop.test"
    assert (
        f"{where} exists and" in told and "does not belong to this canary (app.kubernetes.io/managed-by Helm)" in told
    )
    assert f"Rename or delete {where}." in told and "name it in spec.routeRef" in told
    await cluster.stage.clock.sleep(30)
    assert await cluster.stage.client.call("GET", path) == before
    named = {"apiVersion": kind.api_version, "kind": kind.kind, "name": "shop"}
    await cluster.stage.patch("Canary", "shop", {"spec": {"routeRef": named}})
    if adopted:
        await cluster.stage.clock.sleep(5)
        assert "Add a rule with backend" in await cluster.blocked()
        await cluster.stage.client.call("PATCH", path, {"spec": adopted}, content_type=MERGE)
    await cluster.until("Initialized")
    await cluster.stage.set_image("shop", "shop", image("shop", "2"))
    seen: list[list[int]] = []
    while (await cluster.status())["phase"] != "Succeeded":
        live = (await cluster.stage.client.call("GET", path))["spec"]
        backends = live.get("backends") or (live.get("weighted") or live["routes"][0])["services"]
        weights = [each["weight"] for each in backends]
        seen += [weights] if seen[-1:] != [weights] else []
        await cluster.stage.clock.sleep(1)
        assert len(seen) < 20
    assert [weights for weights in seen if len(weights) == 3 and weights[1]] == [[60, 20, 20], [40, 40, 20]], seen
    assert all(weights[-1] == 20 and sum(weights) == 100 for weights in seen)
    await cluster.stage.delete("Canary", "shop")
    await cluster.stage.clock.sleep(30)
    assert (await cluster.stage.client.call("GET", path))["spec"] == (adopted or spec)
