"""Alerts of releases: sent to a twin of a receiver, once, also by an operator that replaces a killed one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import MAX, STEP, analysis, canary, deployment, image, ingress, settings
from stage.stage import Script, Stage, healthy, vector
from stage.test_kill import STORIES, Play, Story, bad, first, good, restarted, stuck

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


WORDS = """\
{{ severity }}: {{ text }}
{{ oldImage }} → {{ newImage }} ({{ index annotations "example.com/commit" }})
{{ reason }}
"""


@pytest.mark.looptime
async def test_the_words_of_a_template() -> None:
    """Old and new image, the annotation of the commit, the reason and what to do."""
    post = Post()
    await post.begin(provider(template=WORDS), alerts=[rule(severity="error")])
    note = {"metadata": {"annotations": {"example.com/commit": "4f1c9a"}}}
    await post.stage.patch("Deployment", "shop", note)
    post.success = "50"
    await post.release("2", "Failed")
    ((_, text),) = post.texts
    first, images, reason = text.splitlines()
    assert first == "error: Failed checks threshold reached 2"
    assert images == f"{image('shop', '1')} → {image('shop', '2')} (4f1c9a)"
    assert reason.startswith("Halt shop.test advancement success rate 50.00% &lt; 99%") and reason.endswith(".")


@pytest.mark.looptime
async def test_a_bad_template_costs_no_alert() -> None:
    """The standard text is sent; an Event of the AlertProvider names the field."""
    post = Post()
    await post.begin(provider(template="{{ texd }}"), alerts=[rule()])
    await post.release("2", "Succeeded")
    assert post.texts == [("good", STARTED), ("good", NEW), ("good", DONE)]
    events = await post.stage.client.call("GET", "/api/v1/namespaces/test/events")
    said = [one["message"] for one in events["items"] if one["involvedObject"]["kind"] == "AlertProvider"]
    assert said and all("sent with its standard text: spec.template cannot be rendered: 1:4: " in text for text in said)
    assert (await post.alerted())["reason"] == "Sent"


@pytest.mark.looptime
async def test_the_receiver_of_the_flags() -> None:
    """It gets the alerts of a canary without receivers of its own, and those of all severities."""
    post = Post(slack_url=SLACK, slack_channel="releases")
    await post.begin()
    await post.release("2", "Succeeded")
    assert post.texts == [("good", STARTED), ("good", NEW), ("good", DONE)]
    assert json.loads(post.got[0].body or b"")["channel"] == "releases"


@pytest.mark.looptime
async def test_severities_and_independent_receivers() -> None:
    """Only the failure reaches the receiver of errors; a provider that does not exist takes nothing from the others."""
    post = Post(slack_url=SLACK + "-of-the-flags")
    await post.begin(provider(), alerts=[rule("gone"), rule(severity="error")])
    post.success = "50"
    await post.release("2", "Failed")
    assert post.texts == [("danger", "Failed checks threshold reached 2")]
    assert {request.url for request in post.got} == {SLACK}
    assert (await post.alerted())["reason"] == "Dropped"


@pytest.mark.looptime
async def test_a_canary_without_receivers_has_no_condition() -> None:
    """A release writes no more than before."""
    post = Post()
    await post.begin()
    await post.release("2", "Succeeded")
    assert not post.got and not await post.alerted()


@pytest.mark.looptime
async def test_a_secret_has_the_address() -> None:
    """It is read for each alert; a line break at its end is no part of the address, which no text contains."""
    post = Post()
    address = base64.b64encode(f"{SLACK}\n".encode()).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "slack"}, "data": {"address": address}}
    made = provider(secretRef={"name": "slack"})
    del made["spec"]["address"]
    post.answers = [HttpAnswer(404, b"no team " + SLACK.encode())]
    await post.begin(secret, made, alerts=[rule()])
    await post.release("2", "Succeeded")
    assert {request.url for request in post.got} == {SLACK} and len(post.got) == 3
    events = await post.stage.client.call("GET", "/api/v1/namespaces/test/events")
    told = [e["message"] for e in events["items"] if e["involvedObject"]["kind"] == "AlertProvider"]
    assert told == [
        "Alert of shop.test dropped after 1 attempt: error response: Status 404 Not Found: no team "
        "https://hooks.slack.example***. The receiver rejects the address or the token. Create a new one and update "
        "the Secret."
    ]
    assert post.stage.operator is not None
    exposed = post.stage.operator.metrics().decode()
    assert 'flagger_alerts_total{outcome="unauthorized",type="slack"} 1.0' in exposed
    assert 'flagger_alerts_total{outcome="sent",type="slack"} 2.0' in exposed


@pytest.mark.looptime
async def test_a_receiver_that_is_down_for_a_moment() -> None:
    """flagger tries again, after the time that it asks for, and does not hold up the release."""
    post = Post()
    post.answers = [HttpAnswer(429, b"", {"retry-after": "3"}), HttpAnswer(500)]
    await post.begin(provider(), alerts=[rule()])
    assert (await post.alerted())["reason"] == "Sending"
    await post.stage.clock.sleep(10)
    assert post.texts == [("good", STARTED)] * 3
    assert (await post.alerted())["reason"] == "Sent"


GATE = {"name": "gate", "type": "confirm-rollout", "url": "http://gate"}


@pytest.mark.looptime
@pytest.mark.parametrize("muted", [False, True])
async def test_a_gate_and_its_mute(muted: bool) -> None:
    """A closed gate causes one alert, unless its alert is muted."""
    post = Post()
    closed = {**GATE, "muteAlert": muted}

    async def answer(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(403, b"closed") if "gate" in request.url else await post.answer(request)

    post.stage.http = Script(answer)
    await post.begin(provider(), alerts=[rule()], webhooks=[closed])
    await post.stage.set_image("shop", "shop", image("shop", "2"))
    await post.phase("Waiting")
    await post.stage.clock.sleep(60)
    asked = [] if muted else [("warning", "Canary is waiting for approval.")]
    assert post.texts == [("good", STARTED), *asked]


@pytest.mark.looptime
async def test_killed_between_the_delivery_and_its_mark() -> None:
    """The one case in which an alert arrives twice: both have the same identity, so that a receiver can merge them."""
    play = Told(None, False)
    await play.begin(initialized=False)
    play.dies = True
    await play.phase("Initialized")
    await play.stage.clock.sleep(30)
    assert play.told == [STARTED, STARTED] and len(set(play.ids)) == 1
    await play.end()


class Told(Play):
    """The stories of killed operators, with a receiver of alerts."""

    def __init__(self, fatal: int | None, heard: bool, **fields: Any) -> None:
        super().__init__(fatal, heard, **fields)
        self.told: list[str] = []
        self.ids: list[str] = []
        self.dies = False
        """Whether the operator dies when the receiver has got the first alert."""

    def canary(self) -> Obj:
        """The Canary of it, with a receiver."""
        made = super().canary()
        made["spec"]["analysis"]["alerts"] = [rule("hook")]
        return made

    async def begin(self, *more: Obj, initialized: bool = True) -> None:
        """With an AlertProvider of type webhook."""
        await super().begin(provider("hook", type="webhook"), *more, initialized=initialized)

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """The receiver takes everything."""
        if "slack.example" in request.url:
            event = json.loads(request.body or b"")
            self.told.append(event["data"]["message"])
            self.ids.append(event["id"])
            if self.dies and len(self.told) == 1:
                self.mortal.dead.set()
                await self.stage.over.wait()
            return HttpAnswer(204)
        return await super().answer(request)


async def told(story: Story, fatal: int | None, heard: bool) -> Told:
    """Play a story to its end."""
    play = Told(fatal, heard, **STORIES[story])
    await story(play)
    await play.stage.clock.sleep(30)
    condition = [one for one in (await play.stage.status("shop"))["conditions"] if one["type"] == "Alerted"]
    assert [one["status"] for one in condition] == ["True"], condition
    await play.end()
    return play


TOLD_STORIES = (
    pytest.param(first, id="first"),
    *(pytest.param(story, id=story.__name__, marks=pytest.mark.long) for story in (good, bad, stuck, restarted)),
)


@pytest.mark.looptime
@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("story", TOLD_STORIES)
async def test_killed_after_every_write_no_alert_is_lost_or_doubled(story: Story, heard: bool) -> None:
    """Whenever the operator dies, its receiver has got each alert once."""
    calm = await told(story, None, heard)
    assert calm.told
    for fatal in range(1, len(calm.mortal.writes) + 1):
        play = await told(story, fatal, heard)
        assert play.told == calm.told, f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}"
    print(f"{story.__name__}: killed at {len(calm.mortal.writes)} points, told {calm.told}")
