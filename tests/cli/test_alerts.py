"""`flagger alerts test` sends a sample once, and prints the answer in one line."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pyflagger.cli import alerts
from pyflagger.cli.main import main
from pyflagger.operator.alerting.dispatcher import Delivered
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.stage import Script, Stage

SECRET = "https://slack.com/api/chat.postMessage"


async def tried(answer: HttpAnswer, spec: dict[str, Any], **data: str) -> tuple[Delivered, list[HttpRequest]]:
    """The result for an AlertProvider of namespace test, and the requests that were sent."""
    stage, sent = Stage(), []

    async def receive(request: HttpRequest) -> HttpAnswer:
        sent.append(request)
        return answer

    await stage.start(operator=False)
    await stage.namespace("test")
    made = {"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": {"name": "p"}, "spec": spec}
    values = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    await stage.create(made)
    await stage.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": values})
    result = await alerts.sample(stage.client, Script(receive), stage.clock, "test", "p", "warn", "east")
    return result, sent


@pytest.mark.looptime
async def test_a_sample_is_accepted() -> None:
    """It is sent with the token, and says that it is a test."""
    spec = {"type": "slack", "secretRef": {"name": "s"}, "channel": "on-call"}
    result, (request,) = await tried(HttpAnswer(200, b'{"ok":true}'), spec, address=SECRET, token="xoxb-1")
    message = json.loads(request.body or b"")["attachments"][0]
    assert dict(request.headers)["Authorization"] == "Bearer xoxb-1"
    assert (message["text"], message["color"], message["author_name"]) == (alerts.TEXT, "warning", "test.test")
    assert message["fields"] == [{"title": "Cluster", "value": "east", "short": False}]
    assert alerts.shown("test", "p", result) == "AlertProvider p.test: the receiver accepted the sample"


@pytest.mark.looptime
async def test_a_sample_is_rejected() -> None:
    """One attempt; the cause and what to do."""
    spec = {"type": "slack", "secretRef": {"name": "s"}}
    refusal = HttpAnswer(200, b'{"ok":false,"error":"channel_not_found"}')
    result, sent = await tried(refusal, spec, address=SECRET, token="xoxb-1")
    assert alerts.shown("test", "p", result) == (
        "AlertProvider p.test: rejected: Slack answers: channel_not_found. "
        "Check spec.channel of the AlertProvider, and invite the bot to that channel."
    )
    result, sent = await tried(HttpAnswer(503), {"type": "webhook", "address": "https://w.example/"})
    assert (result.outcome, len(sent)) == ("failed", 1)


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("template", "text", "said"),
    [
        (
            "{{ oldImage }} {{ newImage }}",
            "registry.example/app:1.0.0 registry.example/app:1.1.0",
            "accepted the sample",
        ),
        ("{{ texd }}", alerts.TEXT, "accepted the sample with the standard text: spec.template cannot be rendered: "),
    ],
)
async def test_a_sample_in_the_words_of_a_template(template: str, text: str, said: str) -> None:
    """A template can be tried without a release."""
    spec = {"type": "webhook", "address": "https://w.example/", "template": template}
    result, (request,) = await tried(HttpAnswer(204), spec)
    assert json.loads(request.body or b"")["data"]["message"] == text
    assert said in alerts.shown("test", "p", result)


@pytest.mark.looptime
async def test_a_provider_that_does_not_exist() -> None:
    """The text names it."""
    stage = Stage()
    await stage.start(operator=False)
    result = await alerts.sample(stage.client, stage.http, stage.clock, "test", "gone", "info", "")
    assert "AlertProvider gone.test not found" in alerts.shown("test", "gone", result)


@pytest.mark.parametrize(
    ("result", "status"), [(Delivered("sent", 1), 0), (Delivered("rejected", 1, "no", "Do this."), 1)]
)
def test_the_command(
    result: Delivered, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status says whether the receiver accepted it. Long options take one dash, too."""
    asked: list[Any] = []

    async def sends(*args: Any) -> Delivered:
        asked.extend(args)
        return result

    monkeypatch.setattr(alerts, "on_cluster", sends)
    assert main(["alerts", "test", "p", "-n", "test", "-severity", "error"]) == status
    assert asked == ["", "test", "p", "error", ""]
    out, err = capsys.readouterr()
    assert (out or err) == alerts.shown("test", "p", result) + "\n" and bool(out) == (status == 0)


def test_the_command_without_a_cluster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and what was tried."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert main(["alerts", "test", "p", "--kubeconfig", "/nowhere"]) == 1
    assert capsys.readouterr().err.startswith("flagger alerts test: kubeconfig /nowhere does not exist")
    assert main(["alerts", "test"]) == 2
