"""Alerts of releases: sent to a twin of a receiver, once, also by an operator that replaces a killed one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import MAX, STEP, analysis, canary, deployment, image, ingress, settings
from stage.stage import Stage, healthy, vector

SLACK = "https://hooks.slack.example/services/T0001/B0001/secret-part"
STARTED = "New Deployment detected, initialization completed."
NEW = "New revision detected, progressing canary analysis."
DONE = "Canary analysis completed successfully, promotion finished."


def provider(name: str = "slack", **spec: Any) -> Obj:
    """An AlertProvider."""
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "AlertProvider",
        "metadata": {"name": name},
        "spec": {"type": "slack", "address": SLACK, **spec},
    }


def rule(name: str = "slack", **more: Any) -> Obj:
    """An entry of `analysis.alerts`."""
    return {"name": name, "providerRef": {"name": name}, **more}


class Post:
    """A release of `shop`, and what the receiver gets."""

    def __init__(self, **options: Any) -> None:
        self.got: list[HttpRequest] = []
        self.success = "100"
        self.answers: list[HttpAnswer] = []
        """The next answers of the receiver; then it accepts everything."""
        self.stage = Stage(self.answer, **options)

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """The receiver, and Prometheus."""
        if "slack.example" in request.url:
            self.got.append(request)
            return self.answers.pop(0) if self.answers else HttpAnswer(200, b"ok")
        if "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector(self.success))
        return await healthy(request)

    async def begin(self, *more: Obj, **changes: Any) -> None:
        """To Initialized."""
        await self.stage.start()
        await self.stage.namespace("test")
        made = canary("shop", analysis=analysis(**changes))
        for obj in (*more, settings("shop"), deployment("shop"), ingress("shop"), made):
            await self.stage.create(obj)
        await self.phase("Initialized")

    async def release(self, version: str, phase: str) -> None:
        """Release a version up to a phase."""
        await self.stage.set_image("shop", "shop", image("shop", version))
        await self.phase("Progressing")
        await self.phase(phase)

    async def phase(self, wanted: str) -> None:
        """Wait for a phase, and a second for the alerts."""
        end = self.stage.clock.now() + 400
        while (await self.stage.status("shop")).get("phase") != wanted:
            assert self.stage.clock.now() < end, f"never {wanted}: {await self.stage.status('shop')}"
            await self.stage.clock.sleep(0.25)
        await self.stage.clock.sleep(1)

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Color and text of each message."""
        messages = [json.loads(request.body or b"")["attachments"][0] for request in self.got]
        return [(message["color"], message["text"]) for message in messages]

    async def alerted(self) -> Obj:
        """The condition `Alerted`."""
        found = [one for one in (await self.stage.status("shop"))["conditions"] if one["type"] == "Alerted"]
        return found[0] if found else {}


@pytest.mark.looptime
async def test_a_release_is_told_to_a_provider() -> None:
    """Initialized, started, promoted; and the failed one after it as an error."""
    post = Post(cluster_name="prod")
    await post.begin(provider(channel="on-call", username="bot"), alerts=[rule()])
    await post.release("2", "Succeeded")
    post.success = "50"
    await post.release("3", "Failed")
    assert post.texts == [
        ("good", STARTED),
        ("good", NEW),
        ("good", DONE),
        ("good", NEW),
        ("danger", "Failed checks threshold reached 2"),
    ]
    assert {request.url for request in post.got} == {SLACK}
    body = json.loads(post.got[1].body or b"")
    assert (body["channel"], body["username"]) == ("on-call", "bot")
    fields = {field["title"]: field["value"] for field in body["attachments"][0]["fields"]}
    assert fields == {
        "Cluster": "prod",
        "Target": "Deployment/shop.test",
        "Failed checks threshold": "2",
        "Progress deadline": "60s",
        "Traffic routing": f"Weight step: {STEP} max: {MAX}",
    }
    told = await post.alerted()
    assert (told["status"], told["reason"]) == ("True", "Sent")
    assert told["message"].endswith(" error: Failed checks threshold reached 2")
