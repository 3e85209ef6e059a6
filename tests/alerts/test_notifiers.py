"""Each notifier: its request as the reference or the service's documentation has it, and its reading of each answer."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from alerts.receiver import TOKEN, Answer, alert, body_of, delivered
from pyflagger.alerts.base import AlertError, Settings
from pyflagger.alerts.registry import known_types, notifier_for
from pyflagger.api.facts import Problem
from pyflagger.wire import FailureKind, HttpAnswer, HttpFailure

SLACK_API = "https://slack.com/api/chat.postMessage"
CONNECTOR = "https://acme.webhook.office.com/webhookb2/secret-part"
SETTINGS: dict[str, tuple[str, Settings]] = {
    "slack": ("slack", Settings("https://hooks.slack.example/services/T/B/secret-part", "", "general", "flagger")),
    "slack bot": ("slack", Settings(SLACK_API, TOKEN, "general", "flagger")),
    "msteams connector": ("msteams", Settings(CONNECTOR)),
    "msteams workflow": ("msteams", Settings("https://prod-1.westeurope.logic.azure.example/workflows/w?sig=s")),
    "discord": ("discord", Settings("https://discord.example/api/webhooks/1/secret-part", "", "general", "flagger")),
    "rocket": ("rocket", Settings("https://rocket.example/hooks/1/secret-part", "", "general", "flagger")),
    "gchat": ("gchat", Settings("https://chat.googleapis.example/v1/spaces/S/messages?key=k&token=t")),
    "webhook": ("webhook", Settings("https://alerts.example/in", TOKEN)),
    "pagerduty": ("pagerduty", Settings("", TOKEN)),
    "opsgenie": ("opsgenie", Settings("", TOKEN)),
    "grafana": ("grafana", Settings("https://grafana.example/root/", TOKEN)),
}
GOOD: dict[str, HttpAnswer] = {
    "slack": HttpAnswer(200, b"ok"),
    "slack bot": HttpAnswer(200, b'{"ok":true,"channel":"C1","ts":"1.2"}'),
    "msteams connector": HttpAnswer(200, b"1"),
    "msteams workflow": HttpAnswer(202),
    "discord": HttpAnswer(200, b"ok"),
    "rocket": HttpAnswer(200, b'{"success":true}'),
    "gchat": HttpAnswer(200, b'{"name":"spaces/S/messages/1"}'),
    "webhook": HttpAnswer(204),
    "pagerduty": HttpAnswer(202, b'{"status":"success","message":"Event processed","dedup_key":"3f2a"}'),
    "opsgenie": HttpAnswer(202, b'{"result":"Request will be processed","took":0.1,"requestId":"r"}'),
    "grafana": HttpAnswer(200, b'{"message":"Annotation added","id":1}'),
}
ATTACHMENT = {
    "author_name": "shop.test",
    "text": "Failed checks threshold reached 2",
    "mrkdwn_in": ["text"],
    "fields": [
        {"title": "Cluster", "value": "prod", "short": False},
        {"title": "Target", "value": "Deployment/shop.test", "short": False},
    ],
}
MESSAGE = {"channel": "general", "username": "flagger", "icon_url": "", "icon_emoji": ":rocket:"}
FONT = "<font color=#848484><strong>{}</strong></font>"
DETAILS = {"Cluster": "prod", "Target": "Deployment/shop.test"}
WANTED: dict[str, tuple[str, dict[str, str], Any]] = {
    "slack": (
        "https://hooks.slack.example/services/T/B/secret-part",
        {},
        {**MESSAGE, "attachments": [{"color": "danger", **ATTACHMENT}]},
    ),
    "slack bot": (
        SLACK_API,
        {"Authorization": f"Bearer {TOKEN}"},
        {**MESSAGE, "attachments": [{"color": "danger", **ATTACHMENT}]},
    ),
    "msteams connector": (
        CONNECTOR,
        {},
        {
            "@type": "MessageCard",
            "@context": "http://schema.org/extensions",
            "themeColor": "FF0000",
            "summary": "shop.test",
            "sections": [
                {
                    "activityTitle": "Failed checks threshold reached 2",
                    "activitySubtitle": "shop.test",
                    "facts": [
                        {"name": "Cluster", "value": "prod"},
                        {"name": "Target", "value": "Deployment/shop.test"},
                    ],
                }
            ],
        },
    ),
    "msteams workflow": (
        "https://prod-1.westeurope.logic.azure.example/workflows/w?sig=s",
        {},
        {
            "type": "message",
            "attachments": [
                {
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.4",
                        "body": [
                            {
                                "type": "TextBlock",
                                "text": "shop.test",
                                "weight": "bolder",
                                "size": "medium",
                                "wrap": True,
                            },
                            {
                                "type": "TextBlock",
                                "text": "Failed checks threshold reached 2",
                                "wrap": True,
                                "color": "attention",
                            },
                            {
                                "type": "FactSet",
                                "facts": [
                                    {"title": "Cluster", "value": "prod"},
                                    {"title": "Target", "value": "Deployment/shop.test"},
                                ],
                            },
                        ],
                        "msteams": {"width": "Full"},
                    },
                }
            ],
        },
    ),
    "discord": (
        "https://discord.example/api/webhooks/1/secret-part/slack",
        {},
        {**MESSAGE, "attachments": [{"color": "danger", **ATTACHMENT}]},
    ),
    "rocket": (
        "https://rocket.example/hooks/1/secret-part",
        {},
        {**MESSAGE, "attachments": [{"color": "#FF0000", **ATTACHMENT}]},
    ),
    "gchat": (
        "https://chat.googleapis.example/v1/spaces/S/messages?key=k&token=t",
        {},
        {
            "cards": [
                {
                    "header": {
                        "title": "Flagger",
                        "subtitle": "shop.test",
                        "imageUrl": "https://flagger.app/favicon.png",
                    },
                    "sections": [
                        {"widgets": [{"textParagraph": {"text": text}}]}
                        for text in (
                            FONT.format("Failed checks threshold reached 2"),
                            "Cluster<br>" + FONT.format("prod"),
                            "Target<br>" + FONT.format("Deployment/shop.test"),
                        )
                    ],
                }
            ]
        },
    ),
    "webhook": (
        "https://alerts.example/in",
        {"Authorization": f"Bearer {TOKEN}"},
        {
            "specversion": "1.0",
            "id": "3f2a",
            "source": "/apis/flagger.app/v1beta1/namespaces/test/canaries/shop",
            "type": "app.flagger.canary.alert",
            "subject": "test/shop",
            "time": "2026-01-02T03:04:05.000000Z",
            "severity": "error",
            "datacontenttype": "application/json",
            "data": {
                "name": "shop",
                "namespace": "test",
                "cluster": "prod",
                "severity": "error",
                "message": "Failed checks threshold reached 2",
                "fields": DETAILS,
            },
        },
    ),
    "pagerduty": (
        "https://events.pagerduty.com/v2/enqueue",
        {},
        {
            "routing_key": TOKEN,
            "event_action": "trigger",
            "dedup_key": "3f2a",
            "payload": {
                "summary": "shop.test: Failed checks threshold reached 2",
                "source": "prod",
                "severity": "error",
                "timestamp": "2026-01-02T03:04:05.000000Z",
                "component": "shop",
                "group": "test",
                "class": "canary",
                "custom_details": DETAILS,
            },
        },
    ),
    "opsgenie": (
        "https://api.opsgenie.com/v2/alerts",
        {"Authorization": f"GenieKey {TOKEN}"},
        {
            "message": "shop.test: Failed checks threshold reached 2",
            "alias": "3f2a",
            "description": "Failed checks threshold reached 2",
            "source": "flagger",
            "entity": "shop.test",
            "priority": "P2",
            "tags": ["flagger", "error"],
            "details": DETAILS,
        },
    ),
    "grafana": (
        "https://grafana.example/root/api/annotations",
        {"Authorization": f"Bearer {TOKEN}"},
        {
            "time": 1_767_323_045_000,
            "tags": ["flagger", "canary:shop.test", "severity:error"],
            "text": "shop.test: Failed checks threshold reached 2\nCluster: prod\nTarget: Deployment/shop.test",
        },
    ),
}


def notifier(which: str) -> Any:
    """The notifier of a row."""
    kind, settings = SETTINGS[which]
    factory = notifier_for(kind)
    assert not isinstance(factory, Problem)
    return factory(settings)


def test_every_notifier_is_in_the_tables() -> None:
    """No type is left out of the tests of this file."""
    assert {kind for kind, _ in SETTINGS.values()} == set(known_types()) - {"email"}, "see test_email.py"
    assert SETTINGS.keys() == GOOD.keys() == WANTED.keys()


@pytest.mark.parametrize("which", WANTED)
def test_the_request(which: str) -> None:
    """One POST: the address, the credentials, and each key of the body in its order."""
    (request,) = delivered(notifier(which), [GOOD[which]])
    url, headers, body = WANTED[which]
    kind = "application/cloudevents+json" if which == "webhook" else "application/json"
    assert (request.method, request.url, request.redirects, request.verify) == ("POST", url, 0, True)
    assert dict(request.headers) == {"Content-Type": kind, **headers}
    assert (request.body or b"").decode() == json.dumps(body, separators=(",", ":"), ensure_ascii=False)


PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"
ANSWERS: dict[str, tuple[Answer, str]] = {
    "a wrong token": (HttpAnswer(401, b'{"message":"Unauthorized"}'), "unauthorized"),
    "a forbidden one": (HttpAnswer(403, b"invalid_token"), "unauthorized"),
    "a webhook that was deleted": (HttpAnswer(404, b"no_team"), "unauthorized"),
    "a message that it does not take": (HttpAnswer(400, b"invalid_payload"), "rejected"),
    "a redirect": (HttpAnswer(302, b"", {"location": "http://169.254.169.254/"}), "rejected"),
    "too many messages": (HttpAnswer(429, b"slow down", {"retry-after": "7"}), "limited"),
    "an error of its own": (HttpAnswer(503, b"down"), "failed"),
    "a login page": (HttpAnswer(200, PAGE), "unreadable"),
    "half an HTML page of a proxy": (HttpAnswer(502, PAGE), "failed"),
    "a hang": (HttpFailure("timeout", "no answer within 5s"), "timeout"),
    "no connection": (HttpFailure("connect", "Connection refused"), "unreachable"),
    "an unknown name": (HttpFailure("connect", "cannot resolve host"), "unreachable"),
    "a bad certificate": (HttpFailure("tls", "certificate: expired"), "misconfigured"),
    "a body without end": (HttpFailure("too-large", "the answer is larger than 65536 bytes"), "unreadable"),
    "something that is no HTTP": (HttpFailure("malformed", "the answer is not HTTP"), "unreadable"),
    "no credentials": (HttpFailure("credentials", "AWS gave no credentials"), "unauthorized"),
    "redirects without end": (HttpFailure("redirects", "more than 10 redirects"), "rejected"),
}


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("which", SETTINGS)
def test_what_every_notifier_reads(which: str, case: str) -> None:
    """Each answer has one outcome, whatever the receiver; the text has the cause and never the token."""
    answer, outcome = ANSWERS[case]
    with pytest.raises(AlertError) as caught:
        delivered(notifier(which), [answer])
    error = caught.value
    assert (error.outcome, error.retriable) == (outcome, outcome in ("limited", "failed", "unreachable", "timeout"))
    assert error.text and error.todo and TOKEN not in error.text
    assert error.retry_after == (answer.headers.get("retry-after", "") if isinstance(answer, HttpAnswer) else "")


def test_every_kind_of_failure_is_in_the_table() -> None:
    """A kind without an outcome would be reported as a bug of flagger."""
    kinds = {answer.kind for answer, _ in ANSWERS.values() if isinstance(answer, HttpFailure)}
    assert kinds == set(get_args(FailureKind))


def test_the_texts_of_the_answers_differ() -> None:
    """Nobody has to guess which of them it was."""
    texts = []
    for answer, _ in ANSWERS.values():
        with pytest.raises(AlertError) as caught:
            delivered(notifier("slack"), [answer])
        texts.append(caught.value.text)
    assert len(set(texts)) == len(ANSWERS)


SAID: tuple[tuple[str, HttpAnswer, str, str], ...] = (
    (
        "slack bot",
        HttpAnswer(200, b'{"ok":false,"error":"invalid_auth"}'),
        "unauthorized",
        "Slack answers: invalid_auth",
    ),
    ("slack bot", HttpAnswer(200, b'{"ok":false,"error":"channel_not_found"}'), "rejected", "channel_not_found"),
    ("slack bot", HttpAnswer(200, b'{"ok":false,"error":"ratelimited"}'), "limited", "ratelimited"),
    ("slack bot", HttpAnswer(200, b'{"ok":false,"error":"internal_error"}'), "failed", "internal_error"),
    ("slack bot", HttpAnswer(200, b'{"ok":false}'), "rejected", "ok is not true"),
    ("slack bot", HttpAnswer(200, b"{}"), "rejected", "ok is not true"),
    ("slack bot", HttpAnswer(200, b'{"ok":tr'), "unreadable", 'the answer is not a JSON object: {"ok":tr'),
    ("slack bot", HttpAnswer(200, b"[1]"), "unreadable", "the answer is not a JSON object: [1]"),
    ("slack bot", HttpAnswer(200), "unreadable", "the answer is not a JSON object"),
    ("slack", HttpAnswer(200, b'{"ok":false,"error":"no_service"}'), "rejected", "no_service"),
    ("rocket", HttpAnswer(200, b'{"success":false,"error":"no room"}'), "rejected", "Rocket.Chat answers: no room"),
    ("rocket", HttpAnswer(200, b'{"success":false}'), "rejected", "success is false"),
    (
        "msteams connector",
        HttpAnswer(
            200, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
        ),
        "limited",
        "HTTP error 429",
    ),
    (
        "msteams connector",
        HttpAnswer(
            200, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 400"
        ),
        "rejected",
        "HTTP error 400",
    ),
    ("gchat", HttpAnswer(200, b"fine"), "unreadable", "the answer is not a JSON object: fine"),
    ("pagerduty", HttpAnswer(202, b'{"status":"invalid event","message":"bad key"}'), "rejected", "bad key"),
    ("pagerduty", HttpAnswer(202, b"{}"), "rejected", "PagerDuty answers: None"),
    ("opsgenie", HttpAnswer(200, b"fine"), "unreadable", "the answer is not a JSON object: fine"),
    ("grafana", HttpAnswer(200, b"\xff\x00"), "unreadable", "the answer is not a JSON object"),
)


@pytest.mark.parametrize(("which", "answer", "outcome", "text"), SAID)
def test_what_one_service_says_with_a_status_of_success(
    which: str, answer: HttpAnswer, outcome: str, text: str
) -> None:
    """A status of 200 is no proof that the alert was accepted."""
    with pytest.raises(AlertError) as caught:
        delivered(notifier(which), [answer])
    assert caught.value.outcome == outcome and text in caught.value.text and caught.value.todo


COLORS: tuple[tuple[str, str, str, str], ...] = (
    ("slack", "good", "warning", "danger"),
    ("discord", "good", "good", "danger"),
    ("rocket", "#0076D7", "#0076D7", "#FF0000"),
)


@pytest.mark.parametrize(("which", *("info", "warn", "error")), COLORS)
def test_colors(which: str, info: str, warn: str, error: str) -> None:
    """The reference's. Only Slack has one for warnings."""
    for severity, color in (("info", info), ("warn", warn), ("error", error)):
        (request,) = delivered(notifier(which), [GOOD[which]], alert(severity))  # type: ignore[arg-type]
        assert body_of(request)["attachments"][0]["color"] == color


@pytest.mark.parametrize("which", SETTINGS)
def test_an_alert_of_any_text_without_fields(which: str) -> None:
    """Markup, new lines, a text of megabytes, and half a character."""
    for text in ("<b>&\"'\n\t", "x" * 2_000_000, "\ud83d half", "日本"):
        (request,) = delivered(notifier(which), [GOOD[which]], alert("info", text, fields=(), cluster=""))
        assert body_of(request)


def test_markup_is_escaped_where_it_is_read() -> None:
    """Google Chat reads HTML."""
    (request,) = delivered(notifier("gchat"), [GOOD["gchat"]], alert(text="a <b> & c", fields=(("<n>", "<v>"),)))
    texts = [part["widgets"][0]["textParagraph"]["text"] for part in body_of(request)["cards"][0]["sections"]]
    assert texts == [FONT.format("a &lt;b&gt; &amp; c"), f"&lt;n&gt;<br>{FONT.format('&lt;v&gt;')}"]


BROKEN: tuple[tuple[str, Settings, str], ...] = (
    *((kind, Settings("", TOKEN), "there is no address") for kind in ("slack", "msteams", "webhook", "grafana")),
    *((kind, Settings("hooks", TOKEN), "the address is not a URL") for kind in ("discord", "rocket", "gchat")),
    ("slack", Settings("https://[", TOKEN), "the address is not a URL"),
    ("slack", Settings("https://h:99999/", TOKEN), "the address is not a URL"),
    ("slack", Settings("file:///etc/passwd", TOKEN), "the address is not a URL"),
    ("slack", Settings("https://h/a b", TOKEN), "the address is not a URL"),
    ("slack", Settings(SLACK_API, "", "general"), "chat.postMessage of Slack needs the token of a bot"),
    ("slack", Settings(SLACK_API, TOKEN), "chat.postMessage of Slack needs a channel"),
    ("pagerduty", Settings(), "PagerDuty needs an integration key"),
    ("opsgenie", Settings(), "Opsgenie needs an API key"),
    ("grafana", Settings("https://grafana.example"), "Grafana needs the token of a service account"),
)


@pytest.mark.parametrize(("kind", "settings", "text"), BROKEN)
def test_settings_that_cannot_work(kind: str, settings: Settings, text: str) -> None:
    """They are found before a request, and the text names neither address nor token."""
    factory: Any = notifier_for(kind)
    with pytest.raises(AlertError) as caught:
        factory(settings)
    error = caught.value
    assert (error.outcome, error.text, error.retriable) == ("misconfigured", text, False) and error.todo


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://d.example/api/webhooks/1/t/", "https://d.example/api/webhooks/1/t/slack"),
        ("https://d.example/api/webhooks/1/t/slack?wait=1", "https://d.example/api/webhooks/1/t/slack?wait=1"),
        ("https://d.example/api/webhooks/1/t?wait=1", "https://d.example/api/webhooks/1/t/slack?wait=1"),
    ],
)
def test_the_path_of_discord(address: str, url: str) -> None:
    """It ends in `/slack` exactly once, before the query."""
    factory: Any = notifier_for("discord")
    assert delivered(factory(Settings(address)), [HttpAnswer(200, b"ok")])[0].url == url


def test_a_webhook_of_slack_may_leave_out_channel_and_user() -> None:
    """Modern webhooks have one channel and ignore both."""
    factory: Any = notifier_for("slack")
    (request,) = delivered(factory(Settings("https://hooks.slack.example/x")), [HttpAnswer(200, b"ok")])
    assert list(body_of(request)) == ["icon_url", "icon_emoji", "attachments"]
