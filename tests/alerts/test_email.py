"""E-mail: the message of an alert, the settings that it needs, and what a mail server replies."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from alerts.receiver import TOKEN, alert
from pyflagger.alerts.base import AlertError, Outcome, Settings
from pyflagger.alerts.email import Email
from pyflagger.wire import SmtpReply, SmtpRequest

SETTINGS = Settings(
    "smtp://bot%40example.com@mail.example:2525", TOKEN, "a@example.com, b@example.com", "f@example.com"
)


def read(request: SmtpRequest) -> EmailMessage:
    """The message as a receiver reads it."""
    found = message_from_bytes(request.message, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def test_the_message() -> None:
    """Headers, and a body with the text and the fields."""
    request = Email(SETTINGS).mail(alert())
    assert replace(request, message=b"") == SmtpRequest(
        "mail.example",
        2525,
        "starttls",
        "f@example.com",
        ("a@example.com", "b@example.com"),
        b"",
        "bot@example.com",
        TOKEN,
    )
    message = read(request)
    assert {name: str(message[name]) for name in message} == {
        "From": "f@example.com",
        "To": "a@example.com, b@example.com",
        "Subject": "[error] shop.test: Failed checks threshold reached 2",
        "Date": "Fri, 02 Jan 2026 03:04:05 +0000",
        "Message-ID": "<3f2a@example.com>",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "base64",
        "MIME-Version": "1.0",
    }
    assert message.get_content().splitlines() == [
        "Failed checks threshold reached 2",
        "",
        "Canary: shop.test",
        "Cluster: prod",
        "Target: Deployment/shop.test",
    ]
    assert Email(SETTINGS).mail(alert()) == request, "a repeated alert is the same message"


@pytest.mark.parametrize(
    "text", ["a\r\nBcc: evil@example.com", "<b>\0&\t", "\ud83d half", "日本 🚀", "x" * 500_000, ""]
)
def test_any_text(text: str) -> None:
    """It stays in the subject and the body: no text adds a header."""
    request = Email(SETTINGS).mail(alert(text=text))
    message = read(request)
    assert len(message) == 9 and len(str(message["Subject"])) <= 200
    said = "\n".join(message.get_content().splitlines())
    assert said.startswith(text.replace("\r\n", "\n").replace("\ud83d", "?")[:50])
    assert max(map(len, request.message.split(b"\r\n"))) < 998, "a line is longer than SMTP allows"


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("smtp://h", ("h", 587, "starttls")),
        ("smtps://h/", ("h", 465, "implicit")),
        ("smtps://h:4650", ("h", 4650, "implicit")),
        ("smtp://h?tls=none", ("h", 25, "none")),
        ("smtp://[::1]:1025?tls=none", ("::1", 1025, "none")),
    ],
)
def test_servers(address: str, server: tuple[str, int, str]) -> None:
    """TLS is on unless the address turns it off. Without a login there is no password to send."""
    request = Email(Settings(address, "", "a@x.y", "f@x.y")).mail(alert())
    assert (request.host, request.port, request.tls) == server
    assert (request.login, request.password) == ("", "")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"address": ""}, "there is no address"),
        *(
            ({"address": address}, "the address is not that of a mail server")
            for address in (
                *("mail.example", "https://mail.example", "smtp://", "smtp://h:0", "smtp://h:99999", "smtp://["),
                *("smtp://h/path", "smtp://h?tls=off", "smtps://h?tls=none", "smtp://h#x", "smtp://h h"),
            )
        ),
        ({"token": ""}, "the login has no password"),
        ({"address": "smtp://h"}, "the password has no login"),
        ({"address": "smtp://me@h?tls=none"}, "the password would be sent without TLS"),
        ({"channel": "general"}, "spec.channel is not the addresses of the recipients"),
        ({"channel": "a@x.y,"}, "spec.channel is not the addresses of the recipients"),
        ({"channel": ""}, "spec.channel is not the addresses of the recipients"),
        ({"channel": "a@x.y\r\nRCPT TO:<b@x.y>"}, "spec.channel is not the addresses of the recipients"),
        ({"username": "flagger"}, "spec.username is not the address of the sender"),
        ({"username": "fé@x.y"}, "spec.username is not the address of the sender"),
    ],
)
def test_settings_that_cannot_work(changes: dict[str, str], text: str) -> None:
    """They are found before a connection, and the text has no secret."""
    with pytest.raises(AlertError) as caught:
        Email(replace(SETTINGS, **changes))
    error = caught.value
    assert (error.outcome, error.text) == ("misconfigured", text) and error.todo and TOKEN not in error.todo


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (SmtpReply(535, "5.7.8 bad\ncredentials"), "unauthorized"),
        (SmtpReply(530, "log in first"), "unauthorized"),
        (SmtpReply(550, "a@example.com: no such user"), "rejected"),
        (SmtpReply(554, "spam"), "rejected"),
        (SmtpReply(421, "busy"), "failed"),
        (SmtpReply(451, "greylisted"), "failed"),
    ],
)
def test_replies(reply: SmtpReply, outcome: Outcome) -> None:
    """Only 250 means that the server has the message. Only replies of 4xx are worth another attempt."""
    with pytest.raises(AlertError) as caught:
        Email(SETTINGS).check(reply)
    error = caught.value
    assert (error.outcome, error.retriable) == (outcome, outcome == "failed") and error.todo
    assert error.text == f"the mail server answers: {reply.code} {' '.join(reply.text.split())}"
    Email(SETTINGS).check(SmtpReply(250, "queued"))
