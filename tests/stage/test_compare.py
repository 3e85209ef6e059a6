"""A release judged by the primary's requests of the same time: counters, queries, evidence, events, the end."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("promql_parser")

from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from pyflagger_sandbox.metrics import Engine, Store, labels_of
from pyflagger_sandbox.metrics.api import Api
from stage.manifests import INTERVAL, analysis, canary, deployment, image, ingress, settings
from stage.stage import Stage

pytestmark = pytest.mark.looptime

STEPS = {"interval": f"{INTERVAL:g}s", "threshold": 2, "stepWeight": 10, "maxWeight": 50}
COMPARE = {"unit": "5s", "warmUp": "5s"}
RATE = {"name": "request-success-rate", "interval": "30s", "thresholdRange": {"min": 99}, "compare": COMPARE}
SCRAPE = 2.5


class Traffic:
    """A release of `shop` with visitors, whose requests ingress-nginx counts. Shares of failures are exact."""

    def __init__(self, bad: float, primary_bad: float, *, primary: bool = True, each_second: float = 200.0) -> None:
        self.stage = Stage(self._answer)
        self._shares = {True: bad, False: primary_bad}
        self._sides = (True, False) if primary else (True,)
        self._each_second = each_second
        self._store, self._totals = Store(), dict[tuple[bool, str], float]()
        self._api = Api(Engine(self._store), self.stage.clock)
        self.statuses: list[Obj] = []

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        parts = urlsplit(request.url)
        if not parts.path.startswith("/api/v1/query"):
            return HttpAnswer(200, b"ok")
        return self._api.answer(request.method, f"{parts.path}?{parts.query}", request.body or b"")

    def _visit(self, weight: float) -> None:
        """The requests of one scrape."""
        many = self._each_second * SCRAPE
        for ours in self._sides:
            requests = many * (weight if ours else 100 - weight) / 100
            for status, share in (("200", 1 - self._shares[ours]), ("503", self._shares[ours])):
                key = (ours, status)
                self._totals[key] = self._totals.get(key, 0.0) + round(requests * share)
                if self._totals[key]:
                    self._scraped(key)

    def _scraped(self, key: tuple[bool, str]) -> None:
        labels = {
            "__name__": "nginx_ingress_controller_requests",
            "namespace": "test",
            "ingress": "shop",
            "canary": "test-shop-canary-80" if key[0] else "",
            "status": key[1],
        }
        self._store.append(labels_of(labels.items()), int(self.stage.clock.now() * 1000), self._totals[key])

    async def ends(self, phase: str, **more: Any) -> Obj:
        """The last status of the release, which ends in this phase."""
        await self.stage.start()
        await self.stage.namespace("test")
        manifest = canary("shop", analysis=analysis(**{**STEPS, "metrics": [RATE], **more}))
        for obj in (settings("shop"), deployment("shop"), ingress("shop"), manifest):
            await self.stage.create(obj)
        await self.until("Initialized")
        await self.stage.set_image("shop", "shop", image("shop", "2"))
        await self.until("Succeeded", "Failed")
        assert self.statuses[-1]["phase"] == phase, self.statuses[-1]
        return self.statuses[-1]

    async def _visits(self) -> None:
        while True:
            await self.stage.clock.sleep(SCRAPE)
            self._visit(float(self.statuses[-1].get("canaryWeight", 0)) if self.statuses else 0.0)

    async def until(self, *phases: str) -> None:
        """Let visitors come until the canary is in one of these phases."""
        visits = asyncio.ensure_future(self._visits())
        try:
            await self._seen(*phases)
        finally:
            visits.cancel()

    def fail_primary(self, share: float) -> None:
        """Let this share of the primary's requests fail from now on."""
        self._shares[False] = share

    async def _seen(self, *phases: str) -> None:
        end = self.stage.clock.now() + 400
        while not self.statuses or self.statuses[-1].get("phase") not in phases:
            await self.stage.clock.sleep(0.5)
            status = await self.stage.status("shop")
            self.statuses += [status] if self.statuses[-1:] != [status] else []
            assert self.stage.clock.now() < end, f"never {phases}: {status}"

    async def events(self, start: str) -> list[str]:
        """The events of the canary that start so."""
        found = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [each["message"] for each in found["items"] if each["message"].startswith(start)]


async def test_a_service_with_errors_of_its_own() -> None:
    """Two failures in a hundred on both sides, beyond the limit: promoted, and whole numbers are counted."""
    play = Traffic(0.02, 0.02)
    status = await play.ends("Succeeded")
    assert status["failedChecks"] == 0
    (state,) = status["comparisons"]
    assert state["units"] >= 6 and state["canary"]["requests"] == int(state["canary"]["requests"]) > 500
    assert not await play.events("Halt")


async def test_a_canary_that_fails_more() -> None:
    """Rolled back by evidence, with the numbers in the event, and without a failed check after the warm-up."""
    play = Traffic(0.2, 0.02)
    status = await play.ends("Failed")
    assert status["failedChecks"] == 0
    (text,) = await play.events("Rolling back")
    assert "evidence" in text and "that request-success-rate is worse than 1.25 times the primary's" in text
    cause = next(each for each in status["conditions"] if each["type"] == "Halted")
    assert "raise compare.margin" in cause["message"]


async def test_a_primary_that_is_not_scraped() -> None:
    """The limit of the metric judges, and an event says why."""
    play = Traffic(0.02, 0.02, primary=False)
    await play.ends("Failed")
    (text,) = await play.events("Not comparing")
    assert text.endswith("the canary or the primary had no requests")


async def test_a_version_that_fails_after_its_promotion() -> None:
    """The bake asks about the primary, and undoes the release: the primary gets the image before."""
    play = Traffic(0.0, 0.0)
    await play.ends("Succeeded", bake={"duration": "5m", "threshold": 2})
    assert any(each["type"] == "Baking" for each in (await play.stage.status("shop"))["conditions"])
    play.fail_primary(0.2)
    await play.until("Failed")
    primary = await play.stage.get("Deployment", "shop-primary")
    (container,) = primary["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image("shop", "1")
    (text,) = await play.events("Undoing")
    assert "failed checks in a row after the promotion" in text
