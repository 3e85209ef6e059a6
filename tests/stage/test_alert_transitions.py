"""Every end, gate and halt of a release that has an alert, played with a receiver: which alerts it gets, in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pyflagger.core import reasons
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import STEP, image
from stage.stage import Script
from stage.test_alerts import DONE, NEW, STARTED, Post, provider, rule

INFO, WARN, ERROR = "good", "warning", "danger"


class Gated(Post):
    """A release with a webhook that refuses while `refuses`."""

    refuses = True

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """The webhook, and all others. A rollback webhook refuses to roll back."""
        if "gate" in request.url:
            return HttpAnswer(403, b"closed") if self.refuses else HttpAnswer(200, b"open")
        return await super().answer(request)

    async def open_with(self, kind: str) -> None:
        """To Initialized, with one webhook."""
        self.stage.http = Script(self.answer)
        await self.begin(provider(), alerts=[rule()], webhooks=[{"name": "gate", "type": kind, "url": "http://gate"}])

    async def new(self, version: str = "2") -> None:
        """Another image."""
        await self.stage.set_image("shop", "shop", image("shop", version))

    async def weight(self, wanted: int) -> None:
        """Wait for a weight."""
        end = self.stage.clock.now() + 400
        while (await self.stage.status("shop")).get("canaryWeight") != wanted:
            assert self.stage.clock.now() < end, await self.stage.status("shop")
            await self.stage.clock.sleep(0.25)


async def promoted(post: Gated) -> None:
    """A release is promoted."""
    await post.open_with("event")
    await post.new()
    await post.phase("Succeeded")


async def skipped(post: Gated) -> None:
    """One without analysis."""
    await post.open_with("event")
    await post.stage.patch("Canary", "shop", {"spec": {"skipAnalysis": True}})
    await post.new()
    await post.phase("Succeeded")


async def failing(post: Gated) -> None:
    """Its checks fail."""
    post.success = "50"
    await post.open_with("event")
    await post.new()
    await post.phase("Failed")


async def asked_back(post: Gated) -> None:
    """A rollback webhook asks for a rollback."""
    await post.open_with("rollback")
    await post.new()
    await post.weight(STEP)
    post.refuses = False
    await post.phase("Failed")


async def never_ready(post: Gated) -> None:
    """Its pods never get ready."""
    await post.open_with("event")
    await post.new("broken")
    await post.phase("Failed")


async def not_promoted(post: Gated) -> None:
    """The primary does not get ready with it."""
    await post.open_with("event")
    await post.new("brokenprimary")
    await post.phase("Failed")


async def replaced(post: Gated) -> None:
    """A newer version comes during the run."""
    await post.open_with("event")
    await post.new()
    await post.weight(STEP)
    await post.new("3")
    await post.phase("Succeeded")


async def withdrawn(post: Gated) -> None:
    """The promoted version is back."""
    await post.open_with("event")
    await post.new()
    await post.weight(STEP)
    await post.new("1")
    await post.phase("Initialized")


async def waits_for_rollout(post: Gated) -> None:
    """The gate before the run is closed for a while."""
    await post.open_with("confirm-rollout")
    await post.new()
    await post.phase("Waiting")
    await post.stage.clock.sleep(60)
    post.refuses = False
    await post.phase("Succeeded")


async def waits_for_traffic(post: Gated) -> None:
    """The gate before each weight is."""
    await post.open_with("confirm-traffic-increase")
    await post.new()
    await post.phase("Progressing")
    await post.stage.clock.sleep(60)
    post.refuses = False
    await post.phase("Succeeded")


async def waits_for_promotion(post: Gated) -> None:
    """The gate before the promotion is."""
    await post.open_with("confirm-promotion")
    await post.new()
    await post.phase("WaitingPromotion")
    await post.stage.clock.sleep(60)
    post.refuses = False
    await post.phase("Succeeded")


DEADLINE = "Progress deadline exceeded "
STORIES: dict[Callable[[Gated], Awaitable[None]], tuple[tuple[str, str], ...]] = {
    promoted: ((INFO, NEW), (INFO, DONE)),
    skipped: ((INFO, NEW), (INFO, reasons.ALERT_SKIPPED)),
    failing: ((INFO, NEW), (ERROR, "Failed checks threshold reached 2")),
    asked_back: ((INFO, NEW), (WARN, reasons.ALERT_MANUAL)),
    never_ready: ((INFO, NEW), (ERROR, DEADLINE)),
    not_promoted: ((INFO, NEW), (ERROR, "Promotion failed, primary not ready: ")),
    replaced: ((INFO, NEW), (INFO, reasons.ALERT_RESTART), (INFO, DONE)),
    withdrawn: ((INFO, NEW), (INFO, reasons.ALERT_CANCELLED)),
    waits_for_rollout: ((WARN, reasons.ALERT_WAITING), (INFO, NEW), (INFO, DONE)),
    waits_for_traffic: ((INFO, NEW), (WARN, reasons.ALERT_WAITING_INCREASE), (INFO, DONE)),
    waits_for_promotion: ((INFO, NEW), (WARN, reasons.ALERT_WAITING_PROMOTION), (INFO, DONE)),
}


@pytest.mark.looptime
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_each_transition_is_told_once(story: Callable[[Gated], Awaitable[Any]]) -> None:
    """The end of each run has exactly one alert, with its cause if it failed; a closed gate has one however long."""
    post = Gated()
    await story(post)
    await post.stage.clock.sleep(30)
    wanted = ((INFO, STARTED), *STORIES[story])
    assert [color for color, _ in post.texts] == [color for color, _ in wanted], post.texts
    for (_, text), (_, said) in zip(post.texts, wanted, strict=True):
        assert text.startswith(said) and (text == said or said.endswith(" ")), post.texts
        assert not said.endswith(" ") or len(text) > len(said) + 10, "the cause is missing"
