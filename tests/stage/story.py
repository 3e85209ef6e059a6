"""One release by a provider's objects, in virtual time: begun, watched every second, and what was seen of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyflagger.kube.errors import ApiError
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage import manifests
from stage.routes import accept, announced, definitions, everybody, main_kind, shares
from stage.stage import Stage, healthy, vector


class Story:
    """A release of `shop`. `seen`: the canary's weight for everybody each time that it changed; `accepted`: whether
    somebody accepts HTTPRoutes; `bad`: whether its checks fail."""

    def __init__(self, provider: str, *, bad: bool = False, accepted: bool = True, **spec: Any) -> None:
        self.provider, self.bad, self.accepted = provider, bad, accepted
        self.kind, self.spec = main_kind(provider), spec
        self.seen: list[int] = []
        self.stage = Stage(self._answer)

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if self.bad and "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector("50"))
        return await healthy(request)

    def canary(self) -> Obj:
        """What is asked for; `spec` replaces fields of it, None removes them."""
        asked = {"provider": self.provider, "ingressRef": None, **self.spec}
        made = manifests.canary("shop", **asked)
        made["spec"] = {key: value for key, value in made["spec"].items() if value is not None}
        if self.provider.startswith("gatewayapi"):
            made["spec"]["service"] = {"gatewayRefs": [{"name": "gw"}], **made["spec"]["service"]}
        return made

    async def begin(self, *more: Obj, **parts: Any) -> None:
        """To Initialized, with `more` objects there before."""
        stage = self.stage
        await stage.start(definitions=definitions(self.provider), **parts)
        await stage.namespace("test")
        for obj in more:
            await self.create(obj)
        for obj in (manifests.settings("shop"), manifests.deployment("shop"), self.canary()):
            await stage.create(obj)
        await self.until("Initialized")

    async def create(self, obj: Obj) -> None:
        """An object of whatever kind, in the story's namespace."""
        if obj["kind"] == self.kind.kind:
            body = {**obj, "metadata": {**obj["metadata"], "namespace": "test"}}
            await self.stage.client.call("POST", self.kind.path("test"), body)
        else:
            await self.stage.create(obj)

    async def change(self, version: str = "2") -> None:
        """A new image."""
        await self.stage.set_image("shop", "shop", manifests.image("shop", version))

    async def until(self, *phases: str, seconds: int = 600) -> str:
        """Look every second until one of these phases; which one it is."""
        phase = ""
        for _ in range(seconds):
            await self.stage.clock.sleep(1.0)
            await self.look()
            phase = (await self.stage.status("shop")).get("phase", "")
            if phase in phases:
                return phase
        raise AssertionError(f"{self.provider}: {phase}, never {phases}; seen {self.seen}")

    async def look(self) -> None:
        """Take note of the weight, and accept routes as a Gateway would."""
        for route in await self.routed():
            found = dict(self.split(route)) if not announced(route) else {}
            if announced(route) and self.provider.startswith("gatewayapi") and self.accepted:
                await accept(self.stage, route)
            if not found:
                continue
            weight = found.get("canary", 0)
            assert found.get("primary", 0) == 100 - weight
            self.seen += [weight] if self.seen[-1:] != [weight] else []
            if self.provider.startswith("gatewayapi") and self.accepted:
                await accept(self.stage, route)

    def split(self, obj: Obj) -> Iterable[tuple[str, int]]:
        """What an object leads everybody to."""
        return shares(everybody(obj))

    async def routed(self) -> list[Obj]:
        """The objects of the kind that holds the weights."""
        try:
            listed = await self.stage.client.call("GET", self.kind.path("test"))
        except ApiError:
            return []
        return list(listed["items"])

    async def route(self, name: str = "shop") -> Obj:
        """The one of the canary."""
        found: Obj = await self.stage.client.call("GET", self.kind.path("test", name))
        return found

    async def said(self) -> list[str]:
        """The texts of all events."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [event["message"] for event in listed["items"]]
