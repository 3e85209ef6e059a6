"""Releases whose rollout of the primary differs: a strategy, a provider, and what visitors met. Used by the matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from pyflagger.core.view import View
from pyflagger.objects import Obj
from stage import manifests
from stage.routes import accept, definitions
from stage.stage import Stage
from stage.targets import daemonset, iterated, plain
from stage.visitors import Visitors

PODS_TAKE = 5.0
PATIENCE_SECONDS = 400

PROVIDERS = {
    "ingress weights": "nginx",
    "Gateway API": "gatewayapi:v1",
    "mesh split": "linkerd",
    "apex Service": "kubernetes",
}
"""One of each class."""


@dataclass(frozen=True)
class Strategy:
    """How the target says that it is to be updated."""

    name: str
    make: Callable[[], list[Obj]]
    """The target and what belongs to it."""
    drains: bool = True
    takes: float = PODS_TAKE
    """Seconds until a pod is ready."""


def _rolling(replicas: int, **bounds: int | str) -> Callable[[], list[Obj]]:
    def make() -> list[Obj]:
        made = plain("shop")
        made["spec"] |= {"replicas": replicas}
        if bounds:
            made["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": bounds}
        return [made]

    return make


def _recreate() -> list[Obj]:
    made = plain("shop")
    made["spec"]["strategy"] = {"type": "Recreate"}
    return [made]


def _daemonset() -> list[Obj]:
    made = daemonset("shop")
    made["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}}
    return [made]


def _scaled() -> list[Obj]:
    (made,) = _rolling(1, maxUnavailable=1)()
    scaler = manifests.scaler("shop")
    scaler["spec"] |= {"minReplicas": 1}
    return [made, scaler]


STRATEGIES = (
    Strategy("RollingUpdate 25%", _rolling(4), drains=False),
    Strategy("maxUnavailable 1 of 1", _rolling(1, maxUnavailable=1)),
    Strategy("maxUnavailable 100%", _rolling(2, maxUnavailable="100%")),
    Strategy("Recreate", _recreate),
    Strategy("DaemonSet, maxUnavailable 100%", _daemonset),
    Strategy("one replica, 10 s to readiness", _rolling(1), drains=False, takes=10.0),
    Strategy("autoscaler at its minimum of 1, maxUnavailable 1", _scaled),
)


@dataclass(frozen=True)
class Met:
    """What visitors met from the new revision to the end: failed visits, peak share of the canary, seconds."""

    failed: int
    peak: int
    seconds: float


class Release:
    """A release of `shop`, watched by visitors."""

    def __init__(self, provider: str, objects: list[Obj], takes: float = PODS_TAKE, **spec: object) -> None:
        self.provider, self.objects = provider, objects
        self.stage = Stage()
        self.stage.pods_take = takes
        self.visitors = Visitors(self.stage, provider)
        self.begun = 0.0
        kinds = {obj["kind"]: obj for obj in objects}
        target = kinds.get("DaemonSet") or kinds["Deployment"]
        self.target = str(target["kind"])
        ref = {"apiVersion": "apps/v1", "kind": self.target, "name": "shop"}
        asked = {"provider": provider, "targetRef": ref, "progressDeadlineSeconds": 120, **spec}
        if "HorizontalPodAutoscaler" in kinds:
            asked["autoscalerRef"] = {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "name": "shop",
            }
        made = manifests.canary("shop", **asked)
        if provider == "kubernetes":
            made["spec"]["analysis"] = iterated()
        if provider != "nginx":
            del made["spec"]["ingressRef"]
        if provider.startswith("gatewayapi"):
            made["spec"]["service"] |= {"gatewayRefs": [{"name": "gw"}]}
        self.canary = made

    async def begin(self) -> None:
        """To Initialized."""
        stage = self.stage
        await stage.start(definitions=[] if self.provider in ("nginx", "kubernetes") else definitions(self.provider))
        await stage.namespace("test")
        for obj in (*self.objects, manifests.ingress("shop"), self.canary):
            await stage.create(obj)
        await self.until("Initialized")
        await self.visitors.start()
        await stage.clock.sleep(5)

    async def change(self, version: str = "2") -> None:
        """A new image; visitors are counted from here."""
        self.begun = self.stage.clock.now()
        await self.stage.set_image("shop", "shop", manifests.image("shop", version), kind=self.target)

    async def until(self, *phases: str) -> str:
        """Look often until one of these phases."""
        phase = ""
        for _ in range(PATIENCE_SECONDS * 4):
            await self.stage.clock.sleep(0.25)
            await self._accept()
            phase = (await self.stage.status("shop")).get("phase", "")
            if phase in phases:
                return phase
        raise AssertionError(f"{phase}, never {phases}: {await self.stage.status('shop')}")

    async def _accept(self) -> None:
        if self.provider.startswith("gatewayapi"):
            kind = self.visitors._kinds()[0]
            listed = await self.stage.client.call("GET", kind.path("test"))
            for route in listed["items"]:
                await accept(self.stage, route)

    async def met(self) -> Met:
        """Wait for the end, and for what is put off until after it; what visitors met."""
        assert await self.until("Succeeded", "Failed") == "Succeeded"
        seconds = self.stage.clock.now() - self.begun
        await self.stage.clock.sleep(10)
        return Met(self.visitors.failed(self.begun), self.visitors.peak, round(seconds, 1))

    async def said(self) -> list[str]:
        """The texts of all events."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [event["message"] for event in listed["items"]]


async def played(provider: str, strategy: Strategy, **spec: object) -> Met:
    """A release from its beginning to its end."""
    release = Release(provider, strategy.make(), strategy.takes, **spec)
    await release.begin()
    await release.change()
    met = await release.met()
    await release.stage.stop()
    return met


@contextmanager
def unaware() -> Iterator[None]:
    """An operator that does not know which rollouts drain a primary."""
    with patch.object(View, "drains", False):
        yield
