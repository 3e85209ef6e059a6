"""The link of an alert to its Canary's page on the dashboard, in the form that each receiver opens."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from typing import Any

import pytest

from alerts.receiver import alert, body_of, delivered
from alerts.test_notifiers import GOOD, SETTINGS, notifier
from alerts.test_shapes import SHAPES, wrong
from pyflagger.alerts.base import LINK, About, Settings
from pyflagger.alerts.compose import link_of
from pyflagger.alerts.email import Email
from pyflagger.alerts.wording import worded

URL = "https://flagger.example.com/c/test/shop"
LINKED = alert(about=About(link=URL))
WHERE: dict[str, str] = {
    "slack": ".attachments.0.author_link",
    "slack bot": ".attachments.0.author_link",
    "discord": ".attachments.0.author_link",
    "rocket": ".attachments.0.author_link",
    "msteams connector": ".potentialAction.0.targets.0.uri",
    "msteams workflow": ".attachments.0.content.actions.0.url",
    "gchat": ".cards.0.sections.3.widgets.0.buttons.0.textButton.onClick.openLink.url",
    "webhook": ".data.link",
    "pagerduty": ".links.0.href",
    "opsgenie": ".details.Dashboard",
    "grafana": ".text",
}
"""Where the body of each notifier has the address."""


def texts(body: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The texts of a body, with their places."""
    if isinstance(body, dict | list):
        for name, each in body.items() if isinstance(body, dict) else enumerate(body):
            yield from texts(each, f"{path}.{name}")
    else:
        yield path, str(body)


def body(which: str, **more: Any) -> Any:
    """What a receiver gets."""
    (request,) = delivered(notifier(which), [GOOD[which]], alert(**more))
    return body_of(request)


@pytest.mark.parametrize("which", SETTINGS)
def test_where_the_link_is(which: str) -> None:
    """Once, in a field that the receiver knows. Without a dashboard, the body is the same but for it."""
    linked, plain = body(which, about=LINKED.about), body(which)
    assert [path for path, text in texts(linked) if URL in text] == [WHERE[which]]
    assert not [text for _, text in texts(plain) if LINK in text or URL in text]
    assert dict(texts(plain)).keys() <= dict(texts(linked)).keys()
    if which in SHAPES:
        assert [*wrong(SHAPES[which], linked)] == []


def test_grafana_shows_the_link_as_html() -> None:
    """On a line of its own."""
    assert body("grafana", about=LINKED.about)["text"].endswith(f'\n<a href="{URL}">{LINK}</a>')


def test_an_e_mail_has_the_address() -> None:
    """On a line of its own."""
    mailer = Email(Settings("smtp://mail.example:25?tls=none", "", "ann@example.com", "flagger@example.com"))
    linked, plain = (
        message_from_bytes(mailer.mail(each).message).get_payload(decode=True) for each in (LINKED, alert())
    )
    assert isinstance(plain, bytes) and linked == plain + f"Dashboard: {URL}\r\n".encode()


def test_a_template_may_place_it() -> None:
    """Empty without a dashboard, so `if` and `with` leave it out."""
    template = "{{ text }}{{ with link }} <{{ . }}>{{ end }}"
    assert worded(LINKED, template)[0].text.endswith(f" <{URL}>")
    assert worded(alert(), template)[0].text == alert().text


def test_the_address_of_a_canary() -> None:
    """That of its page; none without a dashboard."""
    assert link_of("https://flagger.example.com", "test", "shop") == URL
    assert link_of("", "test", "shop") == ""
