"""What the reference plays on real meshes, here in virtual time: takeover and return, delegates, TCP, no analysis."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest

from pyflagger.objects import Obj
from stage.manifests import analysis, image
from stage.routes import everybody
from stage.stage import MERGE
from stage.story import Story

pytestmark = pytest.mark.looptime

SERVICE: Obj = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop"},
    "spec": {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}
MINE: dict[str, Obj] = {
    "istio": {
        "hosts": ["shop.example"],
        "gateways": ["istio-system/public"],
        "http": [{"route": [{"destination": {"host": "shop"}}], "retries": {"attempts": 3}}],
    },
    "gatewayapi:v1": {
        "parentRefs": [{"name": "gw"}],
        "hostnames": ["shop.example"],
        "rules": [{"backendRefs": [{"name": "shop", "port": 80}], "timeouts": {"request": "7s"}}],
    },
}


def mine(story: Story) -> Obj:
    """A route that was there before any Canary."""
    kind = story.kind
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "shop"},
        "spec": copy.deepcopy(MINE[story.provider]),
    }


@pytest.mark.parametrize("provider", MINE)
async def test_what_was_there_before_is_given_back(provider: str) -> None:
    """A Service and a route of the user's: taken over without a gap, released by, and as before after the Canary."""
    story = Story(provider, revertOnDeletion=True, service={"port": 80, "targetPort": 8080, "hosts": ["shop.example"]})
    await story.begin(SERVICE, mine(story))
    assert "finalizer.flagger.app" in str((await story.stage.get("Canary", "shop"))["metadata"]["finalizers"])
    assert (await story.stage.get("Service", "shop"))["spec"]["selector"] == {"app": "shop-primary"}
    await story.change()
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    assert story.seen == [0, 25, 50, 0]
    await story.stage.delete("Canary", "shop")
    await story.stage.clock.sleep(30)
    listed = await story.stage.client.call("GET", "/apis/flagger.app/v1beta1/namespaces/test/canaries")
    assert listed["items"] == []
    assert (await story.route())["spec"] == MINE[provider]
    assert (await story.stage.get("Service", "shop"))["spec"]["selector"] == {"app": "shop"}
    assert (await story.stage.get("Deployment", "shop"))["spec"]["replicas"] == 2


async def test_a_route_that_another_one_delegates_to() -> None:
    """No hosts and no gateways in it, at no time: those of the root hold."""
    service = {"port": 80, "targetPort": 8080, "delegation": True, "portDiscovery": True}
    story = Story("istio", service=service)
    await story.begin()
    await story.change()
    await story.until("Progressing")
    while 25 not in story.seen:
        await story.until("Progressing")
    spec = (await story.route())["spec"]
    assert "hosts" not in spec and "gateways" not in spec
    assert {each["destination"]["port"]["number"] for each in everybody({"spec": spec})["route"]} == {80}
    await story.until("Succeeded")
    assert story.seen == [0, 25, 50, 0]


async def test_a_delegate_with_hosts_is_told() -> None:
    """Istio would refuse it; nothing is made of it."""
    service = {"port": 80, "delegation": True, "hosts": ["shop.example"]}
    story = Story("istio", service=service)
    with pytest.raises(AssertionError, match="never"):
        await story.begin()
    assert any("cannot have hosts and gateways when delegation enabled" in text for text in await story.said())
    assert await story.routed() == []


async def test_a_release_below_http() -> None:
    """Weights in the TCP section, and no HTTP section beside it."""
    service = {"port": 6379, "targetPort": 8080, "appProtocol": "TCP"}
    metric = {"name": "errors", "interval": "1m", "query": "errors", "thresholdRange": {"min": 99}}
    story = Story("istio", service=service, analysis=analysis(metrics=[metric]))
    await story.begin()
    await story.change()
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    spec = (await story.route())["spec"]
    assert story.seen == [0, 25, 50, 0] and len(spec["tcp"]) == 1 and "http" not in spec


@pytest.mark.parametrize("provider", ["istio", "gatewayapi:v1", "traefik"])
async def test_a_release_without_analysis(provider: str) -> None:
    """Promoted as soon as its pods are ready and never led to; one that never gets ready fails, and changes nothing."""
    story = Story(provider, skipAnalysis=True)
    await story.begin()
    await story.change()
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    assert story.seen == [0]
    await story.change("3-broken")
    await story.until("Progressing")
    assert await story.until("Succeeded", "Failed") == "Failed"
    pods = (await story.stage.get("Deployment", "shop-primary"))["spec"]
    assert pods["template"]["spec"]["containers"][0]["image"] == image("shop", "2") and pods["replicas"] == 2
    assert story.seen == [0]


async def test_steps_in_a_list_on_a_service_of_a_mesh() -> None:
    """As with Linkerd, whose routes have a Service for a parent."""
    parent: dict[str, Any] = {"group": "core", "kind": "Service", "name": "shop", "port": 80}
    judged = {key: value for key, value in analysis().items() if key not in ("stepWeight", "maxWeight")}
    service = {"port": 80, "targetPort": 8080, "gatewayRefs": [parent]}
    story = Story("gatewayapi:v1beta1", service=service, analysis=judged | {"stepWeights": [10, 20, 30, 40, 50, 60]})
    await story.begin()
    assert (await story.route())["spec"]["parentRefs"] == [parent]
    await story.change()
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    assert story.seen == [0, 10, 20, 30, 40, 50, 60, 0]


async def test_setting_the_image_back_after_a_failure_and_a_good_one_after_that() -> None:
    """A revision that failed is not tried again by itself; the primary's is left alone; another one is released."""
    story = Story("gatewayapi:v1", bad=True)
    await story.begin()
    await story.change()
    assert await story.until("Succeeded", "Failed") == "Failed"
    before = (await story.stage.get("Deployment", "shop-primary"))["spec"]
    await story.change("1")
    await story.stage.clock.sleep(60)
    assert (await story.stage.status("shop"))["phase"] == "Failed"
    assert (await story.stage.get("Deployment", "shop-primary"))["spec"] == before
    story.bad = False
    await story.change("3")
    await story.until("Progressing")
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    assert story.seen == [0, 25, 0, 25, 50, 0]


async def test_routes_follow_a_status_that_somebody_mends() -> None:
    """What is remembered of a route holds as long as the status that it follows: here a cookie, put back by hand."""
    story = Story("gatewayapi:v1", analysis=analysis(sessionAffinity={"cookieName": "ck"}))
    await story.begin()
    await story.change()
    while 25 not in story.seen:
        await story.until("Progressing")
    await story.stage.clock.sleep(1)
    path = "/apis/flagger.app/v1beta1/namespaces/test/canaries/shop/status"
    await story.stage.client.call("PATCH", path, {"status": {"sessionAffinityCookie": "ck=theirs"}}, content_type=MERGE)
    await story.stage.clock.sleep(1)
    assert "ck=theirs" in str((await story.route())["spec"]["rules"])
    await story.until("Succeeded")


THREE: dict[str, Obj] = {
    "istio": {
        "hosts": ["shop.example"],
        "gateways": ["istio-system/public"],
        "http": [
            {
                "match": [{"uri": {"prefix": "/shop"}}],
                "route": [
                    {"destination": {"host": "shop"}, "weight": 80},
                    {"destination": {"host": "legacy"}, "weight": 20},
                ],
            },
            {"route": [{"destination": {"host": "portal"}}]},
        ],
    },
    "gatewayapi:v1": {
        "parentRefs": [{"name": "gw"}],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/shop"}}],
                "backendRefs": [
                    {"name": "shop", "port": 80, "weight": 80},
                    {"name": "legacy", "port": 80, "weight": 20},
                ],
            },
            {"backendRefs": [{"name": "portal", "port": 80}]},
        ],
    },
}


class Three(Story):
    """A release beside a further backend; `weights` are those of all three that were seen."""

    def __init__(self, provider: str) -> None:
        super().__init__(provider, revertOnDeletion=True)
        self.weights: list[list[int]] = []

    def split(self, obj: Obj) -> Iterable[tuple[str, int]]:
        """Of the user's rule; the one after it stays as it is."""
        first, second = (THREE[self.provider].get(key) or () for key in ("http", "rules"))
        mine, portal = obj["spec"].get("http") or obj["spec"]["rules"]
        assert portal == [*first, *second][1]
        assert "/shop" in str(mine.get("match") or mine["matches"])
        weights = [each["weight"] for each in mine.get("route") or mine["backendRefs"]]
        if weights == [80, 20]:
            return ()
        self.weights += [weights] if self.weights[-1:] != [weights] else []
        share = weights[1] * 100 // 80
        return ("primary", 100 - share), ("canary", share)


@pytest.mark.parametrize("provider", THREE)
async def test_a_further_backend_of_the_users_keeps_its_part(provider: str) -> None:
    """All along: in a rule for some paths, before a rule for all others, which stays as it is."""
    story = Three(provider)
    before = {**mine(story), "spec": copy.deepcopy(THREE[provider])}
    await story.begin(SERVICE, before)
    await story.change()
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    assert story.weights == [[80, 0, 20], [60, 20, 20], [40, 40, 20], [80, 0, 20]]
    await story.stage.delete("Canary", "shop")
    await story.stage.clock.sleep(30)
    assert (await story.route())["spec"] == THREE[provider]
    assert (await story.route())["metadata"].get("annotations") in (None, {})
