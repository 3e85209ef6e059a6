"""Actions of people on an API server: what each does, in which order, once, and what a release does without them."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger.api import actions
from pyflagger.api.crds import crds
from pyflagger.api.durations import stamp
from pyflagger.kube.resources import ACTIONS
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from pyflagger_sandbox.apiserver.messages import Request
from stage.definitions import reference
from stage.manifests import INTERVAL, MAX, STEP, analysis, canary, deployment, image, ingress, settings
from stage.stage import Stage, healthy, vector

pytestmark = pytest.mark.looptime

RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}


class Play:
    """A canary `shop`, and people."""

    def __init__(self, hooks: tuple[Obj, ...] = (), **options: Any) -> None:
        self.stage = Stage(self._answer, **options)
        self.success, self.hooks, self.closed = "100", hooks, False

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector(self.success))
        return HttpAnswer(403, b"closed") if self.closed and "gate" in request.url else await healthy(request)

    async def begin(self) -> Play:
        """To Initialized."""
        await self.stage.start()
        await self.stage.namespace("test")
        made = canary("shop", analysis=analysis(threshold=2, metrics=[RATE], webhooks=list(self.hooks)))
        for obj in (settings("shop"), deployment("shop"), ingress("shop"), made):
            await self.stage.create(obj)
        await self.until("Initialized")
        return self

    async def change(self, version: int) -> None:
        """Another image."""
        await self.stage.set_image("shop", "shop", image("shop", str(version)))

    async def until(self, *phases: str, limit: float = 400) -> None:
        """Wait for a phase."""
        end = self.stage.clock.now() + limit
        while (await self.status()).get("phase") not in phases:
            assert self.stage.clock.now() < end, f"never {phases}: {await self.status()}"
            await self.stage.clock.sleep(0.25)

    async def weight(self, wanted: int) -> None:
        """Wait until the canary has this weight."""
        while (await self.status()).get("canaryWeight", 0) != wanted:
            await self.stage.clock.sleep(0.25)

    async def status(self) -> Obj:
        """The status of the canary."""
        return await self.stage.status("shop")

    async def ask(self, action: str, **spec: Any) -> str:
        """Create an action. Returns its name."""
        uid = (await self.stage.get("Canary", "shop"))["metadata"]["uid"]
        body = {"canary": "shop", "action": action, "by": "ann", **spec}
        return str((await self.stage.create(actions.rendered("shop", "test", uid, body)))["metadata"]["name"])

    async def answer(self, name: str, limit: float = 30) -> tuple[str, str]:
        """Wait for the answer: state and code."""
        end = self.stage.clock.now() + limit
        while not (found := (await self.stage.get("CanaryAction", name)).get("status") or {}):
            assert self.stage.clock.now() < end, f"nobody took {name}"
            await self.stage.clock.sleep(0.25)
        return found["state"], found.get("code", "")

    async def done(self, action: str, **spec: Any) -> None:
        """An action that is taken on."""
        assert await self.answer(await self.ask(action, **spec)) == ("Done", "")

    async def rest(self, intervals: float) -> None:
        """Let time pass."""
        await self.stage.clock.sleep(intervals * INTERVAL)

    async def events(self) -> list[str]:
        """The texts of all Events of the canary."""
        found = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [each["message"] for each in found["items"] if each["involvedObject"]["kind"] == "Canary"]

    def asked(self, plural: str = "canaryactions") -> list[str]:
        """The verbs of the operator's requests to a kind."""
        return [each.verb for each in self.stage.audit if each.agent == "flagger" and plural in each.path]


async def test_pause_and_resume() -> None:
    """No step while it is paused; an interval after it goes on, the next one follows."""
    play = await Play().begin()
    await play.change(2)
    await play.weight(STEP)
    name = await play.ask("pause", reason="checking logs")
    assert await play.answer(name) == ("Done", "")
    await play.rest(8)
    status = await play.status()
    assert (status["phase"], status["canaryWeight"]) == ("Progressing", STEP)
    assert (status["hold"]["by"], status["hold"]["reason"]) == ("ann", "checking logs")
    assert f"Paused shop.test at canary weight {STEP} by ann: checking logs" in await play.events()
    await play.done("resume")
    assert (await play.status())["canaryWeight"] == STEP and "hold" not in await play.status()
    await play.until("Succeeded")
    marked = (await play.stage.get("CanaryAction", name))["status"]
    assert marked["release"] == 2 and marked["operator"] and marked["text"].startswith("Paused")


async def test_a_paused_canary_starts_no_release() -> None:
    """The pause is there before the new revision, and outlives an operator that was away."""
    play = await Play().begin()
    await play.stage.stop_operator()
    name = await play.ask("pause")
    await play.stage.start_operator()
    assert await play.answer(name) == ("Done", "")
    await play.change(2)
    await play.rest(5)
    assert (await play.status())["phase"] == "Initialized"
    await play.stage.stop_operator()
    await play.stage.start_operator()
    await play.rest(3)
    assert (await play.status())["phase"] == "Initialized"
    await play.done("resume")
    await play.until("Succeeded")


async def test_opposite_actions_in_order() -> None:
    """Each is judged by the state that the one before left; the same one twice changes nothing."""
    play = await Play().begin()
    await play.change(2)
    await play.weight(STEP)
    names = [await play.ask(each) for each in ("pause", "pause", "resume", "abort", "promote")]
    answers = [await play.answer(name) for name in names]
    assert answers == [
        ("Done", ""),
        ("Done", "already-so"),
        ("Done", ""),
        ("Done", ""),
        ("Refused", "rolling-back"),
    ]
    await play.until("Failed")


async def test_an_action_that_is_too_late() -> None:
    """Nobody is there to take it; the next operator never does."""
    play = await Play().begin()
    await play.change(2)
    await play.weight(STEP)
    await play.stage.stop_operator()
    name = await play.ask("promote", full=True, expires=stamp(play.stage.clock.now() + 2 * INTERVAL))
    await play.rest(3)
    await play.stage.start_operator()
    assert await play.answer(name) == ("Expired", "expired")
    assert (await play.status())["phase"] == "Progressing"


async def test_promote_and_abort() -> None:
    """A round is judged now. An abort rolls back."""
    play = await Play().begin()
    await play.change(2)
    await play.weight(STEP)
    await play.done("promote")
    await play.until("Succeeded")
    await play.change(3)
    await play.weight(STEP)
    play.success = "50"
    assert await play.answer(await play.ask("promote")) == ("Refused", "checks-fail")
    await play.done("abort", reason="looks odd")
    await play.until("Failed")
    halted = next(c for c in (await play.status())["conditions"] if c["type"] == "Halted")
    assert halted["message"].startswith("Rolling back shop.test aborted by ann: looks odd")
    play.success = "100"
    await play.done("retry")
    await play.until("Progressing")
    await play.done("promote", full=True)
    await play.until("Succeeded")


async def test_a_weight_and_a_restart() -> None:
    """The weight is there at once, the next step is the next larger one, and a restart is at 0."""
    play = await Play().begin()
    await play.change(2)
    await play.weight(STEP)
    await play.done("weight", weight=STEP + 3, hold=True)
    assert (await play.status())["canaryWeight"] == STEP + 3
    await play.rest(4)
    assert (await play.status())["canaryWeight"] == STEP + 3
    await play.done("restart")
    status = await play.status()
    assert (status["canaryWeight"], status["phase"], status["release"]["number"]) == (0, "Progressing", 2)
    await play.done("resume")
    await play.weight(MAX)
    await play.until("Succeeded")


async def test_the_oldest_finished_ones_go() -> None:
    """Ten stay."""
    play = await Play().begin()
    names = []
    for _ in range(12):
        names.append(await play.ask("pause"))
        await play.answer(names[-1])
        await play.rest(0.5)
    left = await play.stage.client.call("GET", ACTIONS.path("test"))
    assert sorted(each["metadata"]["name"] for each in left["items"]) == sorted(names[2:])


async def test_nothing_is_asked_at_rest_or_without_actions() -> None:
    """One watch; with `-actions=false` none."""
    play = await Play().begin()
    await play.rest(5)
    assert play.asked() == ["get", "watch"]
    await play.stage.stop()
    play = await Play(actions=False).begin()
    await play.ask("pause")
    await play.change(2)
    await play.until("Succeeded")
    assert play.asked() == []


@pytest.mark.parametrize("status", [403, 404])
async def test_actions_are_not_there(status: int) -> None:
    """The release goes on, and flagger does not ask again."""
    play = Play()
    if status == 404:
        play.stage.crds = [each for each in crds() if each["spec"]["names"]["kind"] != "CanaryAction"]
    else:
        play.stage.server.faults.fail(lambda _: ApiError(403, "Forbidden", "no", {}), _theirs, times=1_000_000)
    await play.begin()
    await play.change(2)
    await play.until("Succeeded")
    assert play.asked() == ["get"]


def _theirs(request: Request) -> bool:
    return request.agent == "flagger" and "canaryactions" in request.path


async def test_a_result_that_cannot_be_written() -> None:
    """The effect stands, once; no more actions are taken."""
    play = Play()
    play.stage.server.faults.fail(
        lambda _: ApiError(403, "Forbidden", "no", {}), lambda r: _theirs(r) and "status" in r.path, times=1_000_000
    )
    await play.begin()
    await play.ask("pause")
    await play.rest(2)
    assert (await play.status())["hold"]["by"] == "ann"
    await play.ask("resume")
    await play.change(2)
    await play.rest(5)
    assert (await play.status())["phase"] == "Initialized"
    assert play.asked().count("patch") == 1


async def test_an_older_definition_of_canary() -> None:
    """It drops what people ask for: no action is taken, and the release goes on."""
    play = Play()
    kinds = [each for each in crds() if each["spec"]["names"]["kind"] == "CanaryAction"]
    play.stage.crds = [*reference(), *kinds]
    await play.begin()
    name = await play.ask("pause")
    await play.change(2)
    await play.until("Succeeded")
    assert not (await play.stage.get("CanaryAction", name)).get("status")


async def test_what_a_pause_and_a_resume_cost() -> None:
    """A status write, a mark and an Event each: six requests in all."""
    play = await Play().begin()
    await play.change(2)
    await play.weight(STEP)
    before = len(play.stage.audit)
    await play.done("pause")
    await play.stage.clock.sleep(1)
    await play.done("resume")
    await play.stage.clock.sleep(1)
    cost = [(each.verb, each.path) for each in play.stage.audit[before:] if each.agent == "flagger"]
    assert len([verb for verb, _ in cost if verb != "watch"]) == 6, cost
