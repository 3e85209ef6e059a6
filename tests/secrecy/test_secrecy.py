"""A release whose hook and metric system echo what they were sent: no secret in logs, events, status or metrics."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Iterator

import pytest
import structlog
from e2e.planted import PASSWORD, QUERY, SECRETS, TOKEN, forms, leaks, secret

from pyflagger import logs
from pyflagger.operator.alerting import dispatcher
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest, SmtpReply, SmtpRequest, hidden, secrets_of
from stage.manifests import analysis, canary, deployment, image, ingress, settings
from stage.stage import Stage

HOOK = f"http://user:{PASSWORD.replace('/', '%2F')}@gate.example/check?key={QUERY}"
TEMPLATE = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "MetricTemplate",
    "metadata": {"name": "errors"},
    "spec": {
        "provider": {"type": "prometheus", "address": "http://metrics.example", "secretRef": {"name": "login"}},
        "query": "errors{}",
    },
}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The operator's log."""
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    yield stream
    structlog.reset_defaults()


async def echo(request: HttpRequest) -> HttpAnswer:
    """A server in debug mode: it answers with all that it was sent."""
    if "vector" in request.url:
        value = {"status": "success", "data": {"resultType": "vector", "result": [{"value": [0, "1"]}]}}
        return HttpAnswer(200, json.dumps(value).encode())
    shown = {"url": request.url, "headers": request.headers, "body": (request.body or b"").decode()}
    return HttpAnswer(400, json.dumps(shown).encode())


async def broken(request: HttpRequest) -> HttpAnswer:
    """A way out that names the whole URL in its failures."""
    if "vector" in request.url:
        return await echo(request)
    raise HttpFailure("malformed", f"{request.url} {request.headers}")


@pytest.mark.looptime
@pytest.mark.parametrize("answer", [echo, broken], ids=["echo", "broken"])
@pytest.mark.parametrize(
    "login", [{"token": TOKEN}, {"username": "user", "password": PASSWORD}], ids=["token", "basic"]
)
@pytest.mark.parametrize("kind", ["rollout", "event", "confirm-promotion"])
async def test_a_whole_release(log: io.StringIO, answer: object, login: dict[str, str], kind: str) -> None:
    """From the first look to the rollback; the hook was called with its secrets, and nobody else saw them."""
    asked: list[HttpRequest] = []

    async def told(request: HttpRequest) -> HttpAnswer:
        asked.append(request)
        return await answer(request)  # type: ignore[operator,no-any-return]

    stage = Stage(told)
    await stage.start()
    await stage.namespace("test")
    metrics = [{"name": "errors", "interval": "1m", "thresholdRange": {"max": 1}, "templateRef": {"name": "errors"}}]
    hooks = [{"name": "gate", "type": kind, "url": HOOK}]
    spec = canary("app", analysis=analysis(metrics=metrics, webhooks=hooks))
    for obj in (secret("login", **login), TEMPLATE, settings("app"), deployment("app"), ingress("app"), spec):
        await stage.create(obj)
    await stage.clock.sleep(60)
    await stage.set_image("app", "app", image("app", "2"))
    await stage.clock.sleep(120)
    events = await stage.client.call("GET", "/api/v1/namespaces/test/events")
    status = await stage.status("app")
    assert stage.operator is not None
    texts = {
        "log": log.getvalue(),
        "events": json.dumps(events, ensure_ascii=False),
        "status": json.dumps(status, ensure_ascii=False),
        "metrics": stage.operator.metrics().decode(),
    }
    await stage.stop()
    assert leaks(texts) == []
    sent = "".join(f"{request.url} {request.headers}" for request in asked)
    assert any(form in sent for form in forms(login.get("token") or login["password"])), "the secret was never used"
    assert "***" in texts["events"] + texts["log"], "nothing was echoed"


@pytest.mark.parametrize("planted", SECRETS)
@pytest.mark.parametrize("form", range(5))
def test_the_search_finds_what_is_there(planted: str, form: int) -> None:
    """A search that finds nothing anywhere proves nothing."""
    assert leaks({"log": f"said {list(forms(planted))[form]}."})
    assert leaks({"log": "said nothing"}) == []


@pytest.mark.parametrize(
    ("request_", "text", "want"),
    [
        (HttpRequest("GET", "http://h", (("Authorization", "Bearer abcdef"),)), "bad token abcdef", "bad token ***"),
        (HttpRequest("GET", "http://h", (("Authorization", "Basic dTpzM2NyZXQ="),)), "s3cret u:s3cret", "*** u:***"),
        (HttpRequest("GET", "http://h", (("X-Query-Key", "kkkk"),)), "kkkk", "***"),
        (HttpRequest("GET", "http://h", (("Accept", "text/html"),)), "text/html", "text/html"),
        (HttpRequest("GET", "http://u:p%2Fass@h"), "p/ass p%2Fass", "*** ***"),
        (HttpRequest("GET", "http://u:p%2Fass@h"), "Basic dTpwL2Fzcw==", "Basic ***"),
        (HttpRequest("GET", "http://u:p%C3%A4ss@h"), "dTpww6Rzcw== dTpw5HNz", "*** ***"),
        (HttpRequest("GET", "http://token-4f1c@h"), "dG9rZW4tNGYxYzo= token-4f1c", "*** ***"),
        (HttpRequest("GET", "http://h", (("Authorization", "x"),)), "axe", "axe"),
        (HttpRequest("GET", "http://[broken"), "text", "text"),
    ],
)
def test_what_is_hidden(request_: HttpRequest, text: str, want: str) -> None:
    """Credentials, encoded and plain; nothing else of a text."""
    assert hidden(text, secrets_of(request_)) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("bad token planted-tok", "bad token ***"),
        ("bad token planted-tok…", "bad token ***…"),
        ("bad token plan", "bad token ***"),
        ("bad token pla", "bad token pla"),
        ("bad token planted-tok is bad", "bad token planted-tok is bad"),
        ("", ""),
    ],
)
def test_a_secret_that_is_cut_is_hidden(text: str, want: str) -> None:
    """An excerpt may end inside of a secret."""
    assert hidden(text, (TOKEN, "x")) == want


RECEIVERS = {
    "slack": f"https://user:{PASSWORD.replace('/', '%2F')}@alerts.example/services/T/{QUERY}?key={QUERY}",
    "webhook": f"https://alerts.example/{QUERY}",
    "msteams": f"https://alerts.example/workflows?sig={QUERY}",
    "gchat": f"https://alerts.example/v1/spaces/S/messages?key={QUERY}",
    "pagerduty": "https://alerts.example/v2/enqueue",
    "opsgenie": "https://alerts.example/v2/alerts",
    "grafana": "https://alerts.example",
}


@pytest.mark.looptime
@pytest.mark.parametrize("answer", [echo, broken], ids=["echo", "broken"])
@pytest.mark.parametrize("kind", RECEIVERS)
async def test_alerts(log: io.StringIO, answer: object, kind: str) -> None:
    """The receiver echoes its address, its token and the message; the alert is dropped, and the texts hide them."""
    asked: list[HttpRequest] = []

    async def told(request: HttpRequest) -> HttpAnswer:
        if "alerts.example" not in request.url:
            return HttpAnswer(200, b"ok")
        asked.append(request)
        return await answer(request)  # type: ignore[operator,no-any-return]

    texts = await alerting(log, Stage(told), {"type": kind}, RECEIVERS[kind])
    assert asked and "alert dropped" in texts["log"] and "dropped after" in texts["events"]
    assert leaks(texts) == []


PLAIN = b64encode(f"\0{QUERY}\0{TOKEN}".encode()).decode()
LOGIN = [b64encode(text.encode()).decode() for text in (QUERY, TOKEN)]


async def mail_echo(request: SmtpRequest) -> SmtpReply:
    """A mail server in debug mode. It also shows the login as the client sends it."""
    return SmtpReply(554, f"{request.login} {request.password} AUTH PLAIN {PLAIN} AUTH LOGIN {' '.join(LOGIN)}")


async def mail_broken(request: SmtpRequest) -> SmtpReply:
    """A way out that names the login in its failures."""
    raise HttpFailure("malformed", f"{request.login}:{request.password}@{request.host}")


@pytest.mark.looptime
@pytest.mark.parametrize("answer", [mail_echo, mail_broken], ids=["echo", "broken"])
async def test_alerts_by_mail(log: io.StringIO, answer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail server echoes login and password; the alert is dropped, and the texts hide them."""
    asked: list[SmtpRequest] = []

    async def told(request: SmtpRequest) -> SmtpReply:
        asked.append(request)
        return await answer(request)  # type: ignore[operator,no-any-return]

    async def accepts(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(200, b"ok")

    monkeypatch.setattr(dispatcher, "deliver_mail", told)
    spec = {"type": "email", "channel": "on-call@example.com", "username": "flagger@example.com"}
    texts = await alerting(log, Stage(accepts), spec, f"smtp://{QUERY}@mail.example:587")
    assert asked[0].password == TOKEN and "alert dropped" in texts["log"] and "dropped after" in texts["events"]
    assert leaks(texts, (*SECRETS, PLAIN)) == []


async def alerting(log: io.StringIO, stage: Stage, spec: dict[str, str], address: str) -> dict[str, str]:
    """Every text of a canary's first alert, which goes to an AlertProvider with its address in a Secret."""
    await stage.start()
    await stage.namespace("test")
    receiver = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "AlertProvider",
        "metadata": {"name": "p"},
        "spec": spec | {"secretRef": {"name": "login"}},
    }
    plan = analysis(metrics=[], alerts=[{"name": "p", "providerRef": {"name": "p"}}])
    login = secret("login", address=address, token=TOKEN)
    for obj in (login, receiver, settings("app"), deployment("app"), ingress("app"), canary("app", analysis=plan)):
        await stage.create(obj)
    await stage.clock.sleep(60)
    events = await stage.client.call("GET", "/api/v1/namespaces/test/events")
    assert stage.operator is not None
    texts = {
        "log": log.getvalue(),
        "events": json.dumps(events, ensure_ascii=False),
        "status": json.dumps(await stage.status("app"), ensure_ascii=False),
        "metrics": stage.operator.metrics().decode(),
    }
    await stage.stop()
    return texts
