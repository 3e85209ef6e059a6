"""Rocket.Chat, by an incoming webhook."""

from __future__ import annotations

from pyflagger.alerts import markup
from pyflagger.alerts.attachments import message
from pyflagger.alerts.base import Alert, AlertError, Exchange, Settings, Severity, maybe_json, parsed, post

COLORS: dict[Severity, str] = {"info": "#0076D7", "warn": "#0076D7", "error": "#FF0000"}


class Rocket:
    """One webhook of Rocket.Chat. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        parsed(settings.address)
        self._settings = settings

    def send(self, alert: Alert) -> Exchange[None]:
        """Post a message. An answer with `success: false` is an error, although its status is 200."""
        answer = yield from post(self._settings.address, message(self._settings, alert, COLORS, markup.rocket))
        body = maybe_json(answer) or {}
        if body.get("success") is False:
            todo = "Check the script of the integration, and spec.channel of the AlertProvider."
            raise AlertError("rejected", f"Rocket.Chat answers: {body.get('error') or 'success is false'}", todo)
