"""One canary on a cluster on virtual time: what is read, what is shown of it, and what it is said to wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pyflagger import __version__
from pyflagger.cli.explaining import text as explained
from pyflagger.cli.getting import text as shown
from pyflagger.cli.text import Screen
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.objects import Key, Obj
from pyflagger.operator.options import Options
from pyflagger.seeing import documents
from pyflagger.seeing.explain import explain
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import CanaryView, Explanation, Verdict
from pyflagger.seeing.picture import picture
from pyflagger.seeing.single import look
from pyflagger.wire import HttpAnswer, HttpRequest
from pyflagger_sandbox.apiserver.transport import InProcess
from stage import manifests
from stage.stage import Stage, healthy, vector

pytestmark = pytest.mark.looptime
KEY = Key("test", "shop")
Denies = Callable[[ApiRequest], bool]


class Reading(InProcess):
    """A person's way to the API server: it fails on every verb that writes, and may be denied some reads."""

    def __init__(self, stage: Stage, denies: Denies) -> None:
        super().__init__(stage.server, "person")
        self._denies, self.asked = denies, list[str]()

    async def call(self, request: ApiRequest) -> ApiAnswer:
        assert request.method == "GET", f"{request.method} {request.path}"
        self.asked.append(request.path)
        if self._denies(request):
            return ApiAnswer(403, {}, b'{"reason": "Forbidden", "message": "no"}')
        return await super().call(request)


class Scene:
    """The canary `shop` of a stage, and a person who looks at it."""

    def __init__(self, **options: Any) -> None:
        self.bad = False
        self.stage = Stage(self._answer, **options)

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if self.bad and "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector("50"))
        return await healthy(request)

    async def begin(self, **canary: Any) -> None:
        """To Initialized."""
        await self.stage.start()
        await self.stage.namespace("test")
        for obj in (manifests.settings("shop"), manifests.deployment("shop"), manifests.ingress("shop")):
            await self.stage.create(obj)
        await self.stage.create(manifests.canary("shop", **canary))
        await self.until("Initialized")

    async def until(self, *phases: str, seconds: int = 300) -> None:
        """Until the canary is in one of these phases."""
        for _ in range(seconds):
            if (await self.stage.status("shop")).get("phase") in phases:
                return
            await self.stage.clock.sleep(1)
        raise AssertionError(await self.stage.status("shop"))

    async def release_until(self, field: str, value: int) -> None:
        """Begin a release, and wait until a field of the status has a value."""
        await self.stage.set_image("shop", "shop", manifests.image("shop", "2"))
        await self.until("Progressing")
        while (await self.stage.status("shop")).get(field) != value:
            await self.stage.clock.sleep(1)

    async def look(self, denies: Denies = lambda request: False) -> tuple[Look, CanaryView, Explanation]:
        """What a person sees."""
        client = Client(Reading(self.stage, denies), self.stage.clock)
        found = await look(client, self.stage.clock, KEY, Options())
        view = picture(found)
        documents.canary(view)
        return found, view, explain(found, view)


async def test_an_idle_canary() -> None:
    """Everything is there, nothing is missing, and it is healthy."""
    scene = Scene()
    await scene.begin()
    _, view, why = await scene.look()
    assert view.canary.verdict is Verdict.IDLE and why.healthy and why.causes == () and view.missing == ()
    assert [(each.role, each.ready, each.desired) for each in view.workloads] == [("primary", 2, 2), ("canary", 0, 0)]
    assert view.traffic is not None and (view.traffic.primary, view.traffic.source) == (100, "route")
    assert view.traffic.route is not None and view.traffic.route.hosts == ("shop.example",)
    assert [(each.role, each.ports) for each in view.services] == [
        ("apex", (80,)),
        ("primary", (80,)),
        ("canary", (80,)),
    ]
    assert [(step.what, step.state) for step in view.steps] == [
        ("25 %", "next"), ("50 %", "next"), ("promotion", "next")
    ]  # fmt: skip
    assert why.agreement == "same" and view.canary.release == 1
    assert view.operator.version == __version__ and not view.operator.foreign


async def test_a_release_under_way() -> None:
    """Its images, its step, its pods by revision; between rounds it is healthy."""
    scene = Scene()
    await scene.begin()
    await scene.release_until("canaryWeight", 25)
    found, view, why = await scene.look()
    assert view.canary.verdict is Verdict.MOVING and why.healthy
    assert view.canary.release == 2 and [each.new for each in view.canary.images] == [manifests.image("shop", "2")]
    assert view.images == (("shop", manifests.image("shop", "1"), manifests.image("shop", "2")),)
    assert [step.state for step in view.steps] == ["now", "next", "next"]
    canary = next(each for each in view.workloads if each.role == "canary")
    assert [(len(each.pods), each.current) for each in canary.sets] == [(2, True)]
    assert all(pod.state == "ready" for each in canary.sets for pod in each.pods)
    assert why.next.startswith("judged again in ") and view.canary.weight == (25, 50)
    lines = list(shown(view, found.now, Screen(unicode=False)))
    assert any("canary  ######..." in line for line in lines) and all(line.isascii() for line in lines)


async def test_failing_checks() -> None:
    """The first cause is the check, in the operator's words."""
    scene = Scene()
    await scene.begin()
    scene.bad = True
    await scene.release_until("failedChecks", 1)
    found, view, why = await scene.look()
    assert view.canary.verdict is Verdict.FAILING and not why.healthy and view.canary.failed == (1, 2)
    assert why.causes[0].code == "metric-bad" and "50" in why.causes[0].text
    said = "\n".join(explained(why, found.now, Screen(), verbose=True))
    assert said.startswith("shop.test is failing: release 2 (shop:1 → shop:2) is under way.") and "WHY    " in said
    assert [(each.name, each.value, each.verdict) for each in view.checks] == [("request-success-rate", 50.0, "bad")]
    await scene.until("Failed")
    _, view, why = await scene.look()
    assert view.canary.verdict is Verdict.FAILED and why.causes[0].code == "rolled-back"


async def test_a_canary_that_is_blocked() -> None:
    """The manifest's problem comes first, with its path."""
    scene = Scene()
    await scene.begin()
    await scene.stage.patch("Canary", "shop", {"spec": {"provider": "nope"}})
    await scene.stage.clock.sleep(5)
    _, view, why = await scene.look()
    assert view.canary.verdict is Verdict.BLOCKED
    assert why.causes[0].code == "manifest" and why.causes[0].evidence == ("spec.provider",)


async def test_a_missing_target() -> None:
    """Its name, and that it must be created."""
    scene = Scene()
    await scene.begin()
    await scene.stage.delete("Deployment", "shop")
    await scene.stage.clock.sleep(5)
    _, view, why = await scene.look()
    assert view.canary.verdict is Verdict.BLOCKED and why.causes[0].code == "target-missing"
    assert "Create deployment shop" in why.causes[0].todo
    assert not next(each for each in view.workloads if each.role == "canary").exists


async def test_no_operator() -> None:
    """Nobody judges: that is the first cause, and no other one is invented."""
    scene = Scene()
    await scene.begin()
    await scene.release_until("canaryWeight", 25)
    await scene.stage.stop_operator()
    await scene.stage.clock.sleep(60)
    _, view, why = await scene.look()
    assert view.canary.verdict is Verdict.SILENT and why.causes[0].code == "silent"


@pytest.mark.parametrize("denied", ["pods", "replicasets", "events", "ingresses", "deployments", "services"])
async def test_what_a_person_may_not_read(denied: str) -> None:
    """The rest is shown, and the part is named; it is no problem of the canary."""
    scene = Scene()
    await scene.begin()
    found, view, why = await scene.look(lambda request: f"/{denied}" in request.path)
    assert {each.resource.partition(".")[0] for each in view.missing} == {denied}
    assert view.canary.verdict is Verdict.IDLE and why.agreement == "partly-seen"
    assert not [cause for cause in why.causes if cause.code == "forbidden"]
    assert f"Not visible to you: {denied}" in "\n".join(shown(view, found.now, Screen()))


async def test_only_the_canary_may_be_read() -> None:
    """The row of the canary is shown all the same."""
    scene = Scene()
    await scene.begin()
    _, view, _ = await scene.look(lambda request: "/canaries" not in request.path)
    assert view.canary.verdict is Verdict.IDLE and len(view.missing) >= 4
    assert view.traffic is not None and view.traffic.source in ("status", "route")


async def test_flaggers_hashes() -> None:
    """A canary that Flagger runs is said to be so."""
    scene = Scene()
    await scene.begin()
    await scene.stage.stop_operator()
    status: Obj = {"status": {"lastAppliedSpec": "5d4f6c7b8", "lastPromotedSpec": "5d4f6c7b8"}}
    await scene.stage.client.call("PATCH", "/apis/flagger.app/v1beta1/namespaces/test/canaries/shop/status", status,
                                  "application/merge-patch+json")  # fmt: skip
    _, view, why = await scene.look()
    assert view.operator.foreign and why.agreement == "foreign"


@pytest.mark.parametrize("default, then", [("abort", "ends the release"), ("open", "opens by itself")])
async def test_a_gate_with_a_deadline(default: str, then: str) -> None:
    """The command that opens it, what happens by itself, and when."""
    ends = {"deadline": "2h", "default": default}
    gate = {"type": "confirm-rollout", "name": "approve", "url": "flagger://gate", "metadata": ends}
    scene = Scene()
    await scene.begin(analysis=manifests.analysis(webhooks=[gate]))
    await scene.stage.set_image("shop", "shop", manifests.image("shop", "2"))
    await scene.until("Waiting")
    await scene.stage.clock.sleep(30)
    _, _, why = await scene.look()
    assert why.causes[0].code == "gate-closed" and "Gate approve is closed since" in why.causes[0].text
    assert why.causes[0].commands == ("flagger gate open shop approve -n test",)
    assert why.causes[0].evidence[0].startswith("At 20") and why.next == f"the gate approve {then} in 1h"
    await scene.stage.patch("Canary", "shop", {"spec": {"analysis": {"webhooks": [{**gate, "metadata": {}}]}}})
    _, _, why = await scene.look()
    assert "the gate" not in why.next
