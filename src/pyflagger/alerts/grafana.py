"""Grafana: an annotation on its dashboards. The token is that of a service account."""

from __future__ import annotations

from urllib.parse import urlunsplit

from pyflagger.alerts import markup
from pyflagger.alerts.base import LINK, Alert, Exchange, Settings, bearer, json_object, needed, parsed, post

_PATH = "/api/annotations"


class Grafana:
    """One Grafana. The address is its root or its annotations API. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        parts = parsed(settings.address)
        path = parts.path.rstrip("/")
        self._url = urlunsplit(parts._replace(path=path if path.endswith(_PATH) else f"{path}{_PATH}"))
        self._headers = bearer(needed(settings, "Grafana", "the token of a service account"))

    def send(self, alert: Alert) -> Exchange[None]:
        """Add an annotation at the time of the alert, in milliseconds. Dashboards show its text as HTML."""
        tags = ["flagger", f"canary:{alert.author}", f"severity:{alert.severity}"]
        fields = (f"{name}: {markup.untagged(value)}" for name, value in alert.fields)
        link = alert.about.link
        linked = [f'<a href="{link}">{LINK}</a>'] if link else []
        lines = (f"{alert.author}: {alert.marked(markup.untagged)}", *fields, *linked)
        body = {"time": int(alert.time * 1000), "tags": tags, "text": "\n".join(lines)}
        json_object((yield from post(self._url, body, self._headers)))
