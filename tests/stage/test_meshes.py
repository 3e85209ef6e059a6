"""Whole releases on the routes of meshes, in virtual time: good, bad, and with a Gateway that does not accept."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger.routing.gatewayapi import GatewayApi
from pyflagger.routing.istio import Istio
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import analysis, canary, deployment, image
from stage.manifests import settings as configs
from stage.stage import Stage, healthy, path_of, vector

pytestmark = pytest.mark.looptime

ROUTERS = {"gatewayapi:v1": GatewayApi("v1"), "istio": Istio()}
TESTER = {"headers": {"x-canary": {"exact": "insider"}}}
AFFINITY = {"cookieName": "ck", "primaryCookieName": "pk"}
BY_WEIGHT = analysis()
ITERATED = {key: BY_WEIGHT[key] for key in ("interval", "threshold", "metrics")} | {"iterations": 2}


def definitions(provider: str) -> list[Obj]:
    """Open definitions of the kinds that a provider's router declares."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    found: list[Obj] = []
    for kind in ROUTERS[provider].kinds:
        version: Obj = {"name": kind.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        version["subresources"] = {"status": {}}
        names = {"plural": kind.plural, "kind": kind.kind, "singular": kind.kind.lower()}
        spec = {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]}
        head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
        found.append({**head, "metadata": {"name": kind.full_name}, "spec": spec})
    return found


class Story:
    """One release; the weights of everybody's rule, each time they change, as they were seen in the audit."""

    def __init__(self, provider: str, judged: Obj, *, bad: bool = False, accepted: bool = True) -> None:
        self.provider, self.bad, self.accepted = provider, bad, accepted
        self.judged, self.seen = judged, list[tuple[int, ...]]()
        self.stage = Stage(self._answer)

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if self.bad and "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector("50"))
        return await healthy(request)

    async def begin(self) -> None:
        """To Initialized, then a new image."""
        stage = self.stage
        await stage.start(definitions=definitions(self.provider))
        await stage.namespace("test")
        made = canary("shop", provider=self.provider, analysis=self.judged)
        made["spec"].pop("ingressRef", None)
        made["spec"]["service"] |= {"gatewayRefs": [{"name": "gw"}]}
        for obj in (configs("shop"), deployment("shop"), made):
            await stage.create(obj)
        await self.until("Initialized")
        await stage.set_image("shop", "shop", image("shop", "2"))

    async def until(self, *phases: str, seconds: int = 600) -> str:
        """Look every second, and accept routes as a Gateway would."""
        for _ in range(seconds):
            await self.stage.clock.sleep(1.0)
            await self._look()
            phase = (await self.stage.status("shop")).get("phase", "")
            if phase in phases:
                return str(phase)
        raise AssertionError(f"{phase}, never {phases}")

    async def _look(self) -> None:
        try:
            route = await self.route()
        except Exception:
            return
        pair = tuple(self.weights(self.rules(route)[-1]))
        self.seen += [pair] if self.seen[-1:] != [pair] else []
        if self.provider != "istio" and self.accepted:
            generation = route["metadata"].get("generation", 1)
            told = {"type": "Accepted", "status": "True", "observedGeneration": generation}
            parents = [{"parentRef": {"name": "gw"}, "conditions": [told]}]
            if (route.get("status") or {}).get("parents") != parents:
                path, typed = (
                    ROUTERS[self.provider].kinds[0].path("test", "shop", "status"),
                    "application/merge-patch+json",
                )
                await self.stage.client.call("PATCH", path, {"status": {"parents": parents}}, content_type=typed)

    async def route(self) -> Obj:
        """The HTTPRoute or VirtualService."""
        kind = ROUTERS[self.provider].kinds[0]
        found: Obj = await self.stage.client.call("GET", kind.path("test", "shop"))
        return found

    def rules(self, route: Obj) -> list[Obj]:
        """Its rules."""
        found: Any = route["spec"].get("rules") or route["spec"]["http"]
        return list(found)

    def weights(self, rule: Obj) -> list[int]:
        """Those of its backends."""
        return [each["weight"] for each in rule.get("backendRefs") or rule["route"]]


STORIES: list[tuple[str, Obj, bool, str]] = [
    ("weights", BY_WEIGHT, False, "Succeeded"),
    ("weights-bad", BY_WEIGHT, True, "Failed"),
    ("a-b", ITERATED | {"match": [TESTER]}, False, "Succeeded"),
    ("affinity", BY_WEIGHT | {"sessionAffinity": AFFINITY}, False, "Succeeded"),
    ("testers", BY_WEIGHT | {"testers": [TESTER]}, False, "Succeeded"),
    ("mirror", BY_WEIGHT | {"mirror": True, "mirrorWeight": 50}, False, "Succeeded"),
    ("blue-green", ITERATED, False, "Succeeded"),
]


@pytest.mark.parametrize("provider", ROUTERS)
@pytest.mark.parametrize(
    ("judged", "bad", "end"), [story[1:] for story in STORIES], ids=[story[0] for story in STORIES]
)
async def test_a_release(provider: str, judged: Obj, bad: bool, end: str) -> None:
    """Everybody is back on the primary at its end, whatever the end; weights rise in the steps asked for."""
    story = Story(provider, judged, bad=bad)
    await story.begin()
    assert await story.until("Succeeded", "Failed") == end
    assert story.seen[0] == (100, 0) and story.seen[-1] == (100, 0)
    rising = [pair[1] for pair in story.seen if len(pair) == 2]
    if "stepWeight" in judged and not bad:
        assert [weight for weight in rising if weight] == [25, 50]
    if "match" in judged:
        assert set(story.seen) == {(100, 0), (100,)}, "nobody else is led to the canary"
    if "sessionAffinity" in judged:
        status = await story.stage.status("shop")
        assert status["previousSessionAffinityCookie"].startswith("ck=")
        assert len(story.rules(await story.route())) == 2, "the cookie is taken away"
    await story.stage.stop()


async def test_a_gateway_that_never_accepts_holds_a_release_and_is_named() -> None:
    """The traffic stays as it was; once it accepts, the release goes on by itself."""
    story = Story("gatewayapi:v1", BY_WEIGHT, accepted=False)
    await story.begin()
    await story.until("Progressing")
    for _ in range(60):
        await story.stage.clock.sleep(1.0)
        await story._look()
    assert set(story.seen) == {(100, 0)}
    events = (await story.stage.client.call("GET", path_of("Event", "test")))["items"]
    assert any("HTTPRoute shop: parent Gateway gw is not ready" in event["message"] for event in events)
    assert (await story.stage.status("shop"))["failedChecks"] == 0
    story.accepted = True
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    await story.stage.stop()
