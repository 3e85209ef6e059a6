"""E-mail, by a mail server (SMTP). The token is the password of the login in the address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import SplitResult, unquote, urlsplit

from pyflagger.alerts.base import EXCERPT_MAX, Alert, AlertError, Outcome, Settings, cut
from pyflagger.wire import SmtpReply, SmtpRequest, Tls

PORTS: Mapping[Tls, int] = {"implicit": 465, "starttls": 587, "none": 25}
TAKEN = 250
WITHOUT_TLS = "tls=none"
"""The query of an address without TLS."""

_MODES: Mapping[tuple[str, str], Tls] = {
    ("smtps", ""): "implicit",
    ("smtp", ""): "starttls",
    ("smtp", WITHOUT_TLS): "none",
}
_MAILBOX = re.compile(r"[^@\s,<>\"()]+@[^@\s,<>\"()]+")
_SUBJECT_MAX = 200
_LOGIN = frozenset({530, 534, 535, 538})
"""Replies about the login."""

_TODO: Mapping[Outcome, str] = {
    "unauthorized": "Check the login in the address, and the password in the key token of the Secret.",
    "rejected": "Check spec.channel (the recipients) and spec.username (the sender) of the AlertProvider.",
    "failed": "Check the health of the mail server.",
}


class Email:
    """Recipients at one mail server. Raises AlertError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        parts, self._tls = _server(settings.address)
        self._host, self._port = parts.hostname or "", parts.port or PORTS[self._tls]
        self._login, self._password = unquote(parts.username or ""), settings.token
        _check_login(self._login, settings.token, self._tls)
        self._sender = _mailbox(settings.username, "spec.username", "the address of the sender")
        names = [name.strip() for name in settings.channel.split(",")]
        self._recipients = tuple(_mailbox(name, "spec.channel", "the addresses of the recipients") for name in names)

    def mail(self, alert: Alert) -> SmtpRequest:
        """A message in plain text. A repeated alert has the same Message-ID."""
        message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
        message["From"], message["To"] = self._sender, ", ".join(self._recipients)
        message["Subject"] = cut(_line(f"[{alert.severity}] {alert.author}: {alert.text}"), _SUBJECT_MAX)
        message["Date"] = format_datetime(datetime.fromtimestamp(alert.time, UTC))
        message["Message-ID"] = f"<{alert.id}@{self._sender.partition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        details = (f"{name}: {value}" for name, value in alert.details.items())
        lines = (alert.text, "", f"Canary: {alert.author}", *details)
        message.set_content(_encodable("\n".join(lines)), cte="base64")
        return SmtpRequest(
            self._host,
            self._port,
            self._tls,
            self._sender,
            self._recipients,
            message.as_bytes(),
            self._login,
            self._password if self._login else "",
        )

    def check(self, reply: SmtpReply) -> None:
        """Raises AlertError if the mail server has not taken the message. Replies from 400 to 499 may change."""
        if reply.code == TAKEN:
            return
        outcome: Outcome = "unauthorized" if reply.code in _LOGIN else "failed" if reply.code < 500 else "rejected"
        said = " ".join(reply.text.split())
        raise AlertError(outcome, cut(f"the mail server answers: {reply.code} {said}", EXCERPT_MAX), _TODO[outcome])


def address_of(text: str) -> None:
    """Raises AlertError if a text is no address of a mail server."""
    _server(text)


def _server(address: str) -> tuple[SplitResult, Tls]:
    """The parts of an address, and the use of TLS. Raises AlertError."""
    try:
        parts = urlsplit(address)
        valid = bool(parts.hostname) and parts.port != 0 and address.isprintable() and " " not in address
    except ValueError:
        parts, valid = urlsplit(""), False
    tls = _MODES.get((parts.scheme, parts.query))
    if not valid or tls is None or parts.path.strip("/") or parts.fragment:
        text = "the address is not that of a mail server" if address else "there is no address"
        todo = "Write it as smtp://LOGIN@HOST:587 (STARTTLS), smtps://LOGIN@HOST:465, or smtp://HOST:25?tls=none."
        raise AlertError("misconfigured", text, todo)
    return parts, tls


def _check_login(login: str, password: str, tls: Tls) -> None:
    """Raises AlertError if a login lacks its password, or would send it as plain text."""
    if login and not password:
        raise AlertError("misconfigured", "the login has no password", "Store it in the key token of the Secret.")
    if password and not login:
        raise AlertError("misconfigured", "the password has no login", "Add it to the address: smtp://LOGIN@HOST.")
    if login and tls == "none":
        text = "the password would be sent without TLS"
        raise AlertError("misconfigured", text, "Remove ?tls=none from the address, or the login.")


def _mailbox(text: str, field: str, what: str) -> str:
    """An e-mail address. Raises AlertError."""
    if not _MAILBOX.fullmatch(text) or not text.isascii() or not text.isprintable():
        example = "flagger@example.com"
        raise AlertError("misconfigured", f"{field} is not {what}", f"Write it like {example}, in ASCII.")
    return text


def _line(text: str) -> str:
    """A text as one line that a header can hold."""
    words = " ".join(_encodable(text).split())
    return "".join(each for each in words if each.isprintable())


def _encodable(text: str) -> str:
    """A text without halves of characters."""
    return text.encode("utf-8", "replace").decode()
