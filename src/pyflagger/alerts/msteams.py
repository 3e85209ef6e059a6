"""Microsoft Teams: connectors get a MessageCard, Workflows an Adaptive Card."""

from __future__ import annotations

import re
from typing import Any

from pyflagger.alerts import markup
from pyflagger.alerts.base import EXCERPT_MAX, LINK, Alert, AlertError, Exchange, Settings, Severity, parsed, post

COLORS: dict[Severity, str] = {"info": "0076D7", "warn": "0076D7", "error": "FF0000"}
_STYLES: dict[Severity, str] = {"info": "default", "warn": "warning", "error": "attention"}
_CONNECTORS = (".webhook.office.com", "outlook.office.com")
_DELIVERY = re.compile(r"delivery failed with error.*?(?:error (\d{3})|$)", re.IGNORECASE | re.DOTALL)


class MsTeams:
    """One webhook of Microsoft Teams; its host tells the sort. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.address
        self._connector = (parsed(settings.address).hostname or "").endswith(_CONNECTORS)

    def send(self, alert: Alert) -> Exchange[None]:
        """Post a card. A connector reports some errors in an answer with status 200."""
        answer = yield from post(self._url, message_card(alert) if self._connector else adaptive_card(alert))
        text = answer.text(EXCERPT_MAX)
        if self._connector and (found := _DELIVERY.search(text)):
            todo = "See the reason in the text, or move the channel to a Workflow."
            limited = found[1] == "429"
            raise AlertError("limited" if limited else "rejected", f"Microsoft Teams answers: {text.strip()}", todo)


def message_card(alert: Alert) -> dict[str, Any]:
    """The card of the reference, with its keys in order."""
    escape = markup.markdown_or_html
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": COLORS[alert.severity],
        "summary": alert.author,
        "sections": [
            {
                "activityTitle": _paragraphs(alert.marked(escape)),
                "activitySubtitle": alert.author,
                "facts": [{"name": name, "value": escape(value)} for name, value in alert.fields],
            }
        ],
        **({"potentialAction": [_open(alert.about.link)]} if alert.about.link else {}),
    }


def _open(link: str) -> dict[str, Any]:
    """The button of a MessageCard. It has one address for each kind of device."""
    return {"@type": "OpenUri", "name": LINK, "targets": [{"os": "default", "uri": link}]}


def adaptive_card(alert: Alert) -> dict[str, Any]:
    """A message with one Adaptive Card, for Workflows."""
    facts = [{"title": name, "value": markup.markdown(value)} for name, value in alert.fields]
    title = {"type": "TextBlock", "text": alert.author, "weight": "bolder", "size": "medium", "wrap": True}
    shown = _paragraphs(alert.marked(markup.markdown))
    text = {"type": "TextBlock", "text": shown, "wrap": True, "color": _STYLES[alert.severity]}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, text, *([{"type": "FactSet", "facts": facts}] if facts else [])],
        "msteams": {"width": "Full"},
    }
    if alert.about.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": LINK, "url": alert.about.link}]
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


def _paragraphs(text: str) -> str:
    """The text with each line as a paragraph, since a card joins lines."""
    return text.replace("\n", "\n\n")
