"""Slack: an incoming webhook, or `chat.postMessage` with the token of a bot."""

from __future__ import annotations

from typing import Any

from pyflagger.alerts import markup
from pyflagger.alerts.attachments import message
from pyflagger.alerts.base import (
    Alert,
    AlertError,
    Exchange,
    Outcome,
    Settings,
    Severity,
    bearer,
    json_object,
    maybe_json,
    needed,
    parsed,
    post,
)

COLORS: dict[Severity, str] = {"info": "good", "warn": "warning", "error": "danger"}
_METHOD = "/chat.postMessage"
_UNAUTHORIZED = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope"}
)
_OURS = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout"})
_TODO = {
    "unauthorized": "Slack rejects the token of the bot. Check the token in the Secret, and its scope chat:write.",
    "rejected": "Check spec.channel of the AlertProvider, and invite the bot to that channel.",
    "limited": "Slack gets too many messages. Raise the severity of the alert.",
    "failed": "Slack has an error of its own. See https://status.slack.com.",
}


class Slack:
    """One channel of Slack. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._api = parsed(settings.address).path.rstrip("/").endswith(_METHOD)
        if self._api:
            needed(settings, "chat.postMessage of Slack", "the token of a bot")
            if not settings.channel:
                todo = "Set spec.channel of the AlertProvider, or -slack-channel."
                raise AlertError("misconfigured", "chat.postMessage of Slack needs a channel", todo)

    def send(self, alert: Alert) -> Exchange[None]:
        """Post a message. An answer with `ok: false` is an error, although its status is 200."""
        body = message(self._settings, alert, COLORS, markup.entities)
        answer = yield from post(self._settings.address, body, bearer(self._settings.token))
        _check(json_object(answer) if self._api else maybe_json(answer) or {"ok": True})


def _check(body: dict[str, Any]) -> None:
    if body.get("ok") is not True:
        error = str(body.get("error") or "ok is not true")
        outcome = _outcome(error)
        raise AlertError(outcome, f"Slack answers: {error}", _TODO[outcome])


def _outcome(error: str) -> Outcome:
    if error in _UNAUTHORIZED:
        return "unauthorized"
    if error in ("ratelimited", "rate_limited"):
        return "limited"
    return "failed" if error in _OURS else "rejected"
