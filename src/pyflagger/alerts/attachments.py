"""The message with attachments that Slack, Discord and Rocket.Chat read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyflagger.alerts.base import Alert, Settings, Severity
from pyflagger.alerts.markup import Escape


def message(settings: Settings, alert: Alert, colors: Mapping[Severity, str], escape: Escape) -> dict[str, Any]:
    """The body, with the keys in the reference's order. An empty channel or username is left out."""
    place = {"channel": settings.channel, "username": settings.username}
    return {
        **{key: value for key, value in place.items() if value},
        "icon_url": "",
        "icon_emoji": ":rocket:",
        "attachments": [
            {
                "color": colors[alert.severity],
                "author_name": alert.author,
                **({"author_link": alert.about.link} if alert.about.link else {}),
                "text": alert.marked(escape),
                "mrkdwn_in": ["text"],
                "fields": [{"title": name, "value": escape(value), "short": False} for name, value in alert.fields],
            }
        ],
    }
