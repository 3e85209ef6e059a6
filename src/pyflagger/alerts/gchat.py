"""Google Chat, by the webhook of a space."""

from __future__ import annotations

from typing import Any

from pyflagger.alerts import markup
from pyflagger.alerts.base import LINK, Alert, Exchange, Settings, json_object, parsed, post

_IMAGE = "https://flagger.app/favicon.png"


class GoogleChat:
    """One space of Google Chat. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        parsed(settings.address)
        self._url = settings.address

    def send(self, alert: Alert) -> Exchange[None]:
        """Post a card. Google Chat answers with the message in JSON."""
        header = {"title": "Flagger", "subtitle": alert.author, "imageUrl": _IMAGE}
        sections = [_section(f"<font color=#848484><strong>{_lines(alert.marked(markup.entities))}</strong></font>")]
        for name, value in alert.fields:
            shown = f"<font color=#848484><strong>{_html(value)}</strong></font>"
            sections.append(_section(f"{_html(name)}<br>{shown}"))
        if alert.about.link:
            sections.append({"widgets": [{"buttons": [_button(alert.about.link)]}]})
        answer = yield from post(self._url, {"cards": [{"header": header, "sections": sections}]})
        json_object(answer)


def _button(link: str) -> dict[str, Any]:
    return {"textButton": {"text": LINK, "onClick": {"openLink": {"url": link}}}}


def _section(text: str) -> dict[str, Any]:
    return {"widgets": [{"textParagraph": {"text": text}}]}


def _html(text: str) -> str:
    return _lines(markup.entities(text))


def _lines(html: str) -> str:
    return html.replace("\n", "<br>")
