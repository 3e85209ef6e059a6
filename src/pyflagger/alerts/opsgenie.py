"""Opsgenie, by its Alert API. The token is the key of an API integration."""

from __future__ import annotations

from pyflagger.alerts import markup
from pyflagger.alerts.base import Alert, Exchange, Settings, Severity, json_object, needed, parsed, post

ADDRESS = "https://api.opsgenie.com/v2/alerts"
_PRIORITIES: dict[Severity, str] = {"info": "P5", "warn": "P3", "error": "P2"}
_MESSAGE_MAX, _DESCRIPTION_MAX = 130, 15_000


class Opsgenie:
    """One API integration of Opsgenie. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._url, key = settings.address or ADDRESS, needed(settings, "Opsgenie", "an API key")
        self._headers = (("Authorization", f"GenieKey {key}"),)
        parsed(self._url)

    def send(self, alert: Alert) -> Exchange[None]:
        """Create an alert. Opsgenie merges two alerts with the same `alias`, and shows HTML."""
        text = alert.marked(markup.untagged)
        body = {
            "message": markup.cut_entities(f"{alert.author}: {' '.join(text.split())}", _MESSAGE_MAX),
            "alias": alert.id,
            "description": markup.cut_entities(text, _DESCRIPTION_MAX),
            "source": "flagger",
            "entity": alert.author,
            "priority": _PRIORITIES[alert.severity],
            "tags": ["flagger", alert.severity],
            "details": alert.details,
        }
        json_object((yield from post(self._url, body, self._headers)))
