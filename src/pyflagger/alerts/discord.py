"""Discord, by the part of its webhooks that reads messages of Slack."""

from __future__ import annotations

from urllib.parse import urlunsplit

from pyflagger.alerts import markup
from pyflagger.alerts.attachments import message
from pyflagger.alerts.base import Alert, Exchange, Settings, Severity, parsed, post

COLORS: dict[Severity, str] = {"info": "good", "warn": "good", "error": "danger"}


class Discord:
    """One webhook of Discord. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        parts, self._settings = parsed(settings.address), settings
        path = parts.path.rstrip("/")
        self._url = urlunsplit(parts._replace(path=path if path.endswith("/slack") else f"{path}/slack"))

    def send(self, alert: Alert) -> Exchange[None]:
        """Post a message."""
        yield from post(self._url, message(self._settings, alert, COLORS, markup.discord))
