"""Bodies against the facts that the services publish: fields, types, allowed values and limits.

`SOURCES` names where the facts come from. Our bodies were also validated by hand against the whole schemas of
CloudEvents, Adaptive Cards (without `msteams`) and Google Chat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from alerts.receiver import alert, body_of, delivered
from alerts.test_notifiers import GOOD, SETTINGS, notifier
from pyflagger.alerts.base import Alert, Severity
from pyflagger.alerts.record import TEXT_MAX as RECORD_MAX
from pyflagger.alerts.wording import TEXT_MAX

SOURCES = {
    "slack": "npm @slack/types 3.2.0: MessageAttachment, MessageAttachmentField",
    "msteams workflow": "microsoft/AdaptiveCards, schemas/1.4.0; `msteams` is an addition of Teams",
    "gchat": "google-api-python-client 2.202.0: the discovery document of chat v1, Message",
    "webhook": "npm cloudevents 10.0.0: the JSON schema of CloudEvents 1.0",
    "pagerduty": "PagerDuty's documentation of the Events API v2 and of PD-CEF",
    "opsgenie": "Opsgenie's documentation of alert fields; PyPI opsgenie-sdk 2.1.5: CreateAlertPayload",
    "grafana": "Grafana's documentation of the annotations API",
    "discord": "npm discord-api-types 0.38.57: the limits of APIEmbed, which attachments become",
}


class Rule(NamedTuple):
    """One field. `limit`: maximum number of characters of a text, or of items. `one_of`: allowed values, if limited."""

    type: type | tuple[type, ...]
    required: bool = False
    limit: int = 0
    one_of: tuple[str, ...] = ()


TEXT, NEEDED, NUMBER = Rule(str), Rule(str, required=True), Rule((int, float))
ATTACHMENTS = {
    "channel": TEXT,
    "username": TEXT,
    "icon_url": TEXT,
    "icon_emoji": TEXT,
    "attachments": Rule(list, required=True),
    "attachments[].color": TEXT,
    "attachments[].author_name": TEXT,
    "attachments[].author_link": TEXT,
    "attachments[].text": TEXT,
    "attachments[].mrkdwn_in": Rule(list),
    "attachments[].mrkdwn_in[]": TEXT,
    "attachments[].fields": Rule(list),
    "attachments[].fields[].title": NEEDED,
    "attachments[].fields[].value": NEEDED,
    "attachments[].fields[].short": Rule(bool),
}
COLORS = ("default", "dark", "light", "accent", "good", "warning", "attention")
CARD, BUTTON = "attachments[].content", "cards[].sections[].widgets[].button"
SHAPES: dict[str, dict[str, Rule]] = {
    "slack": ATTACHMENTS,
    "discord": ATTACHMENTS
    | {
        "attachments": Rule(list, required=True, limit=10),
        "attachments[].author_name": Rule(str, limit=256),
        "attachments[].text": Rule(str, limit=4096),
        "attachments[].fields": Rule(list, limit=25),
        "attachments[].fields[].title": Rule(str, required=True, limit=256),
        "attachments[].fields[].value": Rule(str, required=True, limit=1024),
    },
    "msteams workflow": {
        "type": Rule(str, required=True, one_of=("message",)),
        "attachments": Rule(list, required=True),
        "attachments[].contentType": Rule(str, required=True, one_of=("application/vnd.microsoft.card.adaptive",)),
        CARD: Rule(dict, required=True),
        f"{CARD}.$schema": TEXT,
        f"{CARD}.type": Rule(str, required=True, one_of=("AdaptiveCard",)),
        f"{CARD}.version": Rule(str, one_of=("1.4",)),
        f"{CARD}.msteams": Rule(dict),
        f"{CARD}.msteams.width": Rule(str, one_of=("Full",)),
        f"{CARD}.actions": Rule(list),
        f"{CARD}.actions[].type": Rule(str, required=True, one_of=("Action.OpenUrl",)),
        f"{CARD}.actions[].title": TEXT,
        f"{CARD}.actions[].url": NEEDED,
        f"{CARD}.body": Rule(list),
        f"{CARD}.body[].type": Rule(str, required=True, one_of=("TextBlock", "FactSet")),
        f"{CARD}.body[].text": TEXT,
        f"{CARD}.body[].wrap": Rule(bool),
        f"{CARD}.body[].color": Rule(str, one_of=COLORS),
        f"{CARD}.body[].size": Rule(str, one_of=("default", "small", "medium", "large", "extraLarge")),
        f"{CARD}.body[].weight": Rule(str, one_of=("default", "lighter", "bolder")),
        f"{CARD}.body[].facts": Rule(list),
        f"{CARD}.body[].facts[].title": NEEDED,
        f"{CARD}.body[].facts[].value": NEEDED,
    },
    "gchat": {
        "cards": Rule(list),
        "cards[].header": Rule(dict),
        "cards[].header.title": NEEDED,
        "cards[].header.subtitle": TEXT,
        "cards[].header.imageUrl": TEXT,
        "cards[].sections": Rule(list),
        "cards[].sections[].widgets": Rule(list),
        f"{BUTTON}s": Rule(list),
        f"{BUTTON}s[].textButton": Rule(dict),
        f"{BUTTON}s[].textButton.text": TEXT,
        f"{BUTTON}s[].textButton.onClick": Rule(dict),
        f"{BUTTON}s[].textButton.onClick.openLink": Rule(dict),
        f"{BUTTON}s[].textButton.onClick.openLink.url": TEXT,
        "cards[].sections[].widgets[].textParagraph": Rule(dict),
        "cards[].sections[].widgets[].textParagraph.text": TEXT,
    },
    "webhook": {
        "specversion": Rule(str, required=True, one_of=("1.0",)),
        **dict.fromkeys(("id", "source", "type"), NEEDED),
        **dict.fromkeys(("subject", "time", "datacontenttype", "severity"), TEXT),
        "data": Rule(dict),
        **{f"data.{name}": TEXT for name in ("name", "namespace", "cluster", "severity", "message", "link")},
        "data.fields": Rule(dict),
        "data.fields.*": TEXT,
    },
    "pagerduty": {
        "routing_key": NEEDED,
        "event_action": Rule(str, required=True, one_of=("trigger", "acknowledge", "resolve")),
        "dedup_key": Rule(str, limit=255),
        "links": Rule(list),
        "links[].href": NEEDED,
        "links[].text": TEXT,
        "payload": Rule(dict, required=True),
        "payload.summary": Rule(str, required=True, limit=1024),
        "payload.source": NEEDED,
        "payload.severity": Rule(str, required=True, one_of=("critical", "error", "warning", "info")),
        **{f"payload.{name}": TEXT for name in ("timestamp", "component", "group", "class")},
        "payload.custom_details": Rule(dict),
        "payload.custom_details.*": TEXT,
    },
    "opsgenie": {
        "message": Rule(str, required=True, limit=130),
        "alias": Rule(str, limit=512),
        "description": Rule(str, limit=15_000),
        "entity": Rule(str, limit=512),
        "source": Rule(str, limit=100),
        "priority": Rule(str, one_of=("P1", "P2", "P3", "P4", "P5")),
        "tags": Rule(list, limit=20),
        "tags[]": Rule(str, limit=50),
        "details": Rule(dict),
        "details.*": TEXT,
    },
    "grafana": {"time": NUMBER, "text": NEEDED, "tags": Rule(list), "tags[]": TEXT},
}
NAME = "n" * 63
LONG = ("Traffic routing", f"Weight steps: {','.join(map(str, range(101)))} max: 100")


def wrong(shape: dict[str, Rule], body: Any, path: str = "") -> Iterator[str]:
    """What a body breaks: unknown and missing fields, types, values and limits."""
    rule = shape.get(path) or shape.get(f"{path.rpartition('.')[0]}.*")
    if path and rule is None and not path.endswith("[]"):
        yield f"{path} is unknown"
    if rule is not None:
        yield from _breaks(rule, body, path)
    if isinstance(body, list):
        for each in body:
            yield from wrong(shape, each, f"{path}[]")
    if isinstance(body, dict):
        for key, value in body.items():
            yield from wrong(shape, value, f"{path}.{key}".lstrip("."))
        inside = {name: one for name, one in shape.items() if one.required and name.rpartition(".")[0] == path}
        yield from (f"{name} is missing" for name in inside if name.rpartition(".")[2] not in body)


def _breaks(rule: Rule, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, rule.type) or (isinstance(value, bool) and rule.type is not bool):
        yield f"{path} is of type {type(value).__name__}"
    elif rule.limit and len(value) > rule.limit:
        yield f"{path} has more than {rule.limit}"
    elif (rule.one_of and value not in rule.one_of) or (rule.required and value == ""):
        yield f"{path} is {value!r}"


def alerts_of(severity: Severity) -> Iterator[Alert]:
    """Short ones, and the longest that there can be."""
    yield alert(severity)
    yield alert(severity, fields=(), cluster="")
    yield alert(severity, "x" * RECORD_MAX, fields=(("Cluster", "prod"), LONG))
    yield replace(alert(severity, "line\n" * (TEXT_MAX // 5)), name=NAME, namespace=NAME)


def test_every_service_has_its_shape() -> None:
    """Rocket.Chat and the connectors of Teams publish none: the reference's bodies are theirs."""
    assert SHAPES.keys() == SOURCES.keys()
    assert SETTINGS.keys() - SHAPES.keys() == {"slack bot", "rocket", "msteams connector"}


@pytest.mark.parametrize("severity", ["info", "warn", "error"])
@pytest.mark.parametrize("which", SHAPES)
def test_a_body_has_its_shape(which: str, severity: Severity) -> None:
    """Whatever the alert says."""
    for sent in alerts_of(severity):
        (request,) = delivered(notifier(which), [GOOD[which]], sent)
        assert list(wrong(SHAPES[which], body_of(request))) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"mesage": "x"}, "mesage is unknown"),
        ({"message": "x" * 131}, "message has more than 130"),
        ({"message": ""}, "message is ''"),
        ({"message": 5}, "message is of type int"),
        ({"message": None}, "message is missing"),
        ({"priority": "P6"}, "priority is 'P6'"),
        ({"tags": ["x" * 51]}, "tags[] has more than 50"),
        ({"details": {"a": 1}}, "details.a is of type int"),
    ],
)
def test_a_body_that_breaks_it_is_noticed(changes: dict[str, Any], found: str) -> None:
    """Each kind of rule can fail."""
    body = {key: value for key, value in ({"message": "x"} | changes).items() if value is not None}
    assert list(wrong(SHAPES["opsgenie"], body)) == [found]


def test_what_google_chat_and_teams_take() -> None:
    """The longest message is far below their limits of 32,000 and 28,000 bytes."""
    for which in ("gchat", "msteams workflow"):
        sent = replace(alert("error", "&\n" * (TEXT_MAX // 2)), name=NAME, namespace=NAME)
        (request,) = delivered(notifier(which), [GOOD[which]], sent)
        assert len(request.body or b"") < 28_000
