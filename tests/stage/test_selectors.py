"""Two releases of one chart in a namespace: nobody is ever led to pods of the other one.

Also by an operator that finds primaries and Services with the selector of an earlier version, in whatever phase.
"""

from __future__ import annotations

import asyncio

import pytest

from pyflagger.objects import Obj
from pyflagger.operator.observe import situation
from pyflagger.workloads import selectors
from stage.manifests import canary, deployment, ingress, settings
from stage.stage import Stage

pytestmark = pytest.mark.looptime

NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
BOTH = ("east", "west")
LOOK_SECONDS = 0.25
TOLD = "does not select its pods by app.kubernetes.io/instance"


def helm(name: str, instance: str = "") -> Obj:
    """A Deployment as charts make it."""
    made, labels = deployment(name), {NAME: "app", INSTANCE: instance or name}
    made["spec"]["selector"] = {"matchLabels": labels}
    made["spec"]["template"]["metadata"]["labels"] = dict(labels)
    return made


class Play:
    """Both releases, and a witness of where each Service leads."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.stage.pods_take = 1.0
        self.wrong: list[str] = []

    async def begin(self) -> None:
        """Everything but the Canaries."""
        await self.stage.start(operator=False)
        await self.stage.namespace("test")
        for name in BOTH:
            for obj in (settings(name), helm(name), ingress(name)):
                await self.stage.create(obj)
        await self.stage.clock.sleep(1)

    async def release(self) -> None:
        """Both Canaries, to the end of the bootstrap."""
        for name in BOTH:
            await self.stage.create(canary(name))
        await self.stage.start_operator()
        for name in BOTH:
            await self.phase(name, "Initialized")

    async def phase(self, name: str, *wanted: str, weight: int = -1) -> None:
        """Wait for a phase, or for a weight in it."""
        for _ in range(4000):
            status = await self.stage.status(name)
            if status.get("phase") in wanted and weight in (-1, status.get("canaryWeight")):
                return
            await self.stage.clock.sleep(LOOK_SECONDS)
        raise AssertionError(f"{name} is never {wanted} {weight}: {await self.stage.status(name)}")

    async def witness(self) -> None:
        """Take note of each Service that leads visitors nowhere, or to another app."""
        while True:
            await self.look()
            await self.stage.clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Where each Service with visitors leads now."""
        slices = await self.stage.client.call("GET", "/apis/discovery.k8s.io/v1/namespaces/test/endpointslices")
        led: dict[str, list[str]] = {}
        for each in slices["items"]:
            ready = [one for one in each.get("endpoints") or () if one["conditions"]["ready"]]
            owner = each["metadata"]["labels"]["kubernetes.io/service-name"]
            led.setdefault(owner, []).extend(one["targetRef"]["name"] for one in ready)
        for name in BOTH:
            await self._judge(name, led)

    async def _judge(self, name: str, led: dict[str, list[str]]) -> None:
        for service in (name, f"{name}-primary", f"{name}-canary"):
            pods = led.get(service)
            visited = name in led if service != f"{name}-canary" else await self._weight(name) > 0
            if pods is not None and visited and not pods:
                self.wrong.append(f"{service} leads nowhere")
            self.wrong += [f"{service} leads to {pod}" for pod in pods or () if not pod.startswith(f"{name}-")]

    async def _weight(self, name: str) -> int:
        listed = await self.stage.client.call("GET", "/apis/networking.k8s.io/v1/namespaces/test/ingresses")
        found = {each["metadata"]["name"]: each["metadata"].get("annotations") or {} for each in listed["items"]}
        return int(found.get(f"{name}-canary", {}).get(WEIGHT, 0))

    async def selects(self, service: str) -> dict[str, str]:
        """What a Service selects by."""
        return dict((await self.stage.get("Service", service))["spec"]["selector"])

    async def said(self, part: str) -> list[str]:
        """The events with this text."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [event["message"] for event in listed["items"] if part in event["message"]]


async def test_two_releases_of_one_chart_never_mix() -> None:
    """From the takeover to the end of a release of the one; the other is not touched."""
    play = Play()
    await play.begin()
    watching = asyncio.ensure_future(play.witness())
    await play.release()
    await play.stage.set_image("east", "east", "registry.example/east:2")
    await play.phase("east", "Succeeded")
    watching.cancel()
    assert play.wrong == []
    assert await play.selects("east") == await play.selects("east-primary") == {NAME: "app-primary", INSTANCE: "east"}
    assert await play.selects("east-canary") == {NAME: "app", INSTANCE: "east"}
    primary = (await play.stage.get("Deployment", "west-primary"))["spec"]
    assert primary["selector"]["matchLabels"] == {NAME: "app-primary", INSTANCE: "west"}
    assert primary["template"]["spec"]["containers"][0]["image"].endswith(":1")
    assert await play.said(TOLD) == []


def earlier(patch: pytest.MonkeyPatch) -> None:
    """As versions before this one, and the reference, select: by one label."""
    everything = selectors.selected
    patch.setattr(selectors, "selected", lambda workload: {NAME: everything(workload)[NAME]})
    patch.setattr(situation, "neighbours", lambda *_: ())


@pytest.mark.parametrize(
    "phase, weight", [("Initialized", 0), ("Progressing", 25), ("Promoting", -1), ("Succeeded", 0)]
)
async def test_an_operator_that_finds_short_selectors_loses_nobody(
    phase: str, weight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever phase it takes over in: both get their own pods, from its first look on, and each primary is told of."""
    play = Play()
    await play.begin()
    with monkeypatch.context() as patch:
        earlier(patch)
        await play.release()
        assert await play.selects("east") == {NAME: "app-primary"}
        if phase != "Initialized":
            await play.stage.set_image("east", "east", "registry.example/east:2")
        await play.phase("east", phase, weight=weight)
        await play.stage.stop_operator()
    await play.look()
    assert play.wrong, "the Services of both mean the pods of both"
    await play.stage.start_operator()
    await play.stage.clock.sleep(2)
    play.wrong.clear()
    watching = asyncio.ensure_future(play.witness())
    if phase == "Initialized":
        await play.stage.set_image("east", "east", "registry.example/east:2")
    await play.phase("east", "Succeeded")
    watching.cancel()
    assert play.wrong == []
    for name in BOTH:
        assert await play.selects(name) == {NAME: "app-primary", INSTANCE: name}
        old = (await play.stage.get("Deployment", f"{name}-primary"))["spec"]["selector"]["matchLabels"]
        assert old == {NAME: "app-primary"}, "it is immutable"
    told = await play.said(TOLD)
    assert sorted(text.partition(".")[0] for text in told) == ["east-primary", "west-primary"]


async def test_targets_that_share_every_label_are_not_touched() -> None:
    """Neither Services nor primaries are made; with another workload in its place the bootstrap goes on."""
    play = Play()
    await play.stage.start()
    await play.stage.namespace("test")
    for obj in (settings("east"), settings("west"), helm("east", "same"), helm("west", "same"), ingress("east")):
        await play.stage.create(obj)
    await play.stage.create(canary("east"))
    await play.stage.clock.sleep(5)
    (blocked,) = [each for each in (await play.stage.status("east"))["conditions"] if each["type"] == "Blocked"]
    assert "deployment east.test selects pods by app.kubernetes.io/instance=same" in blocked["message"]
    assert "deployment west.test" in blocked["message"] and blocked["reason"] == "Manifest"
    services = await play.stage.client.call("GET", "/api/v1/namespaces/test/services")
    deployments = await play.stage.client.call("GET", "/apis/apps/v1/namespaces/test/deployments")
    assert services["items"] == [] and len(deployments["items"]) == 2
    await play.stage.delete("Deployment", "west")
    await play.phase("east", "Initialized")
    await play.stage.create(helm("west", "same"))
    await play.stage.clock.sleep(30)
    status = await play.stage.status("east")
    assert status["phase"] == "Initialized" and [each["type"] for each in status["conditions"]] == ["Promoted"]
