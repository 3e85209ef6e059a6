"""PagerDuty, by version 2 of its Events API. The token is the integration key of a service."""

from __future__ import annotations

from pyflagger.alerts import markup
from pyflagger.alerts.base import (
    LINK,
    Alert,
    AlertError,
    Exchange,
    Settings,
    Severity,
    cut,
    json_object,
    needed,
    parsed,
    post,
)
from pyflagger.api.durations import precise_stamp

ADDRESS = "https://events.pagerduty.com/v2/enqueue"
_SEVERITIES: dict[Severity, str] = {"info": "info", "warn": "warning", "error": "error"}
_SUMMARY_MAX = 1024


class PagerDuty:
    """One service of PagerDuty. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._url, self._key = settings.address or ADDRESS, needed(settings, "PagerDuty", "an integration key")
        parsed(self._url)

    def send(self, alert: Alert) -> Exchange[None]:
        """Trigger an event. PagerDuty merges two events with the same `dedup_key`."""
        link = alert.about.link
        event = {
            "routing_key": self._key,
            "event_action": "trigger",
            "dedup_key": alert.id,
            "payload": {
                "summary": cut(f"{alert.author}: {markup.plain(alert.line)}", _SUMMARY_MAX),
                "source": alert.cluster or alert.author,
                "severity": _SEVERITIES[alert.severity],
                "timestamp": precise_stamp(alert.time),
                "component": alert.name,
                "group": alert.namespace,
                "class": "canary",
                "custom_details": dict(alert.fields),
            },
            **({"links": [{"href": link, "text": LINK}]} if link else {}),
        }
        body = json_object((yield from post(self._url, event)))
        if body.get("status") != "success":
            text = f"PagerDuty answers: {body.get('message') or body.get('status')}"
            raise AlertError("rejected", text, "Check the integration key in the Secret.")
