"""The canary `shop`, its people, and what they do to bring it into a state and out of it again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from explain.kubelet import Kubelet
from pyflagger.kube.resources import EVENTS
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from seeing.test_single import Scene
from stage import manifests
from stage.stage import healthy
from stage.trouble import Answer, nothing

STANDS_SECONDS = 16
"""After this time flagger has said in a condition what a release waits for."""


class Shop(Scene):
    """A cluster on virtual time with the canary `shop`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.kubelet = Kubelet(self.stage.clock)
        self.stage.runtime = self.kubelet
        self.beside: asyncio.Task[None] | None = None
        """Somebody else at work."""
        self.answers: Answer = nothing
        """What metric servers and hooks answer; None for the usual answer."""

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        return await self.answers(request) or await healthy(request)

    async def passes(self, seconds: float) -> None:
        """Let time pass."""
        await self.stage.clock.sleep(seconds)

    # What people do ---------------------------------------------------------------------------------------------------

    async def release(self, version: str) -> None:
        """What `kubectl set image` does."""
        await self.stage.set_image("shop", "shop", manifests.image("shop", version))

    async def template(self, version: str, **pod: Any) -> None:
        """Apply a pod template with another image, and other fields of the pod spec. None removes one."""
        containers = [{**manifests.deployment("shop")["spec"]["template"]["spec"]["containers"][0]}]
        containers[0] |= {"image": manifests.image("shop", version), **pod.pop("container", {})}
        spec = {"containers": containers, **pod}
        await self.stage.patch("Deployment", "shop", {"spec": {"template": {"spec": spec}}})

    async def stands(self, version: str, **pod: Any) -> None:
        """Release a version, and look when flagger has waited for its pods for a while."""
        await self.begin()
        await (self.template(version, **pod) if pod else self.release(version))
        await self.passes(STANDS_SECONDS)

    async def restart(self, part: str) -> None:
        """Delete the pods that have this in their names, so that new ones start."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/pods")
        for pod in listed["items"]:
            if part in pod["metadata"]["name"]:
                await self.stage.delete("Pod", pod["metadata"]["name"])

    # What flagger says ------------------------------------------------------------------------------------------------

    async def halted(self) -> bool:
        """Whether a check has failed."""
        conditions = (await self.stage.status("shop")).get("conditions") or []
        return any((each["type"], each["status"]) == ("Halted", "True") for each in conditions)

    async def said(self) -> list[str]:
        """The conditions that are True, as `TYPE REASON: MESSAGE`, and the texts of the Canary's Events."""
        conditions = (await self.stage.status("shop")).get("conditions") or []
        listed = await self.stage.client.call("GET", EVENTS.path("test"))
        events = [each["message"] for each in listed["items"] if each["involvedObject"]["kind"] == "Canary"]
        true = [each for each in conditions if each["status"] == "True"]
        return [*(f"{each['type']} {each['reason']}: {each['message']}" for each in true), *events]


async def corrected(shop: Shop) -> None:
    """A new revision without the trouble is promoted."""
    await shop.template("3", nodeSelector=None, initContainers=None)
    await promoted(shop)


async def promoted(shop: Shop) -> None:
    """The release goes on, and ends with its promotion."""
    await shop.until("Progressing", "Succeeded", seconds=60)
    await shop.until("Succeeded")


def config_map(name: str, data: Mapping[str, str]) -> Obj:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data)}
