"""The common parts of notifiers: alert, settings, error, exchange.

A notifier is a generator. It yields a request, receives the answer or a thrown failure, and returns when the receiver
has accepted the alert. Its caller (`operator.act`, tests) owns the connection, the retries and the time. No notifier
sees a Canary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable
from urllib.parse import SplitResult, urlsplit

from pyflagger.wire import FailureKind, HttpAnswer, HttpFailure, HttpRequest, SmtpReply, SmtpRequest

T = TypeVar("T")
Exchange: TypeAlias = Generator[HttpRequest, HttpAnswer, T]
"""Yields requests, receives their answers, returns a T. The caller may throw HttpFailure at a yield."""

Severity: TypeAlias = Literal["info", "warn", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warn", "error")

Outcome: TypeAlias = Literal[
    "misconfigured", "unauthorized", "rejected", "limited", "failed", "unreadable", "unreachable", "timeout"
]
"""Why an alert was not accepted.

misconfigured: the settings cannot work, so no request is sent. unauthorized: the receiver rejects the token or URL.
rejected: it rejects the message. limited: it asks for fewer messages. failed: it has an error of its own. unreadable:
its answer does not say whether it accepted the alert. unreachable, timeout: there is no answer.
"""

ANSWER_BYTES_MAX = 64 << 10
EXCERPT_MAX = 300
"""Maximum number of characters of an answer in a text."""

LINK = "Open the dashboard"
"""The text of the link of an alert."""


@dataclass(frozen=True, slots=True)
class About:
    """What a template may say besides. Images of several containers are joined by commas.

    `old_image` is the primary's, `new_image` the target's. `reason` says why the release is in its state, with advice.
    `link` is the address of the Canary's page on the dashboard, empty without a dashboard. It needs no escape in HTML.
    """

    target: str = ""
    old_image: str = ""
    new_image: str = ""
    reason: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    link: str = ""


class Words(NamedTuple):
    """A part of a text. `trusted`: the author of the AlertProvider wrote it, and its markup acts."""

    text: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert about the Canary `name` in `namespace`.

    `id` is the same when the alert is sent again, so that a receiver can merge the two. `time` is in seconds since the
    epoch. `fields` are names and values in order; the first one is the cluster if it has a name. `words` are the parts
    of a text that a template wrote.
    """

    severity: Severity
    text: str
    name: str
    namespace: str
    id: str
    time: float
    fields: tuple[tuple[str, str], ...] = ()
    cluster: str = ""
    about: About = About()
    words: tuple[Words, ...] = field(default=(), compare=False)

    @property
    def line(self) -> str:
        """The text as one line, for titles."""
        return " ".join(self.text.split())

    def marked(self, escape: Callable[[str], str]) -> str:
        """The text in the markup of a receiver. `escape` takes the parts that others may have written."""
        parts = self.words or (Words(self.text, trusted=False),)
        return "".join(each.text if each.trusted else escape(each.text) for each in parts)

    @property
    def details(self) -> dict[str, str]:
        """The fields and the link, for receivers that show names with their values."""
        return dict(self.fields) | ({"Dashboard": self.about.link} if self.about.link else {})

    @property
    def author(self) -> str:
        """The Canary in texts: `podinfo.test`."""
        return f"{self.name}.{self.namespace}"


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach a receiver. An empty `channel` or `username` leaves the choice to the receiver."""

    address: str = ""
    token: str = ""
    channel: str = ""
    username: str = ""


class AlertError(Exception):
    """The receiver has not accepted the alert. `retry_after` is the text of its Retry-After header."""

    def __init__(self, outcome: Outcome, text: str, todo: str = "", retry_after: str = "") -> None:
        super().__init__(text)
        self.outcome, self.text, self.todo, self.retry_after = outcome, text, todo, retry_after

    @property
    def retriable(self) -> bool:
        """Whether a later attempt may succeed."""
        return self.outcome in ("limited", "failed", "unreachable", "timeout")


class Notifier(Protocol):
    """One receiver of alerts."""

    def send(self, alert: Alert) -> Exchange[None]:
        """Send an alert. Returns when the receiver has accepted it. Raises AlertError."""


@runtime_checkable
class Mailer(Protocol):
    """One receiver of alerts that has a mail server."""

    def mail(self, alert: Alert) -> SmtpRequest:
        """The message of an alert."""

    def check(self, reply: SmtpReply) -> None:
        """Raises AlertError if the mail server has not taken the message."""


Factory: TypeAlias = Callable[[Settings], Notifier]
"""Makes a notifier; raises AlertError when the settings cannot work."""


def parsed(address: str) -> SplitResult:
    """The parts of an address. Raises AlertError if it is not a URL."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not address.isprintable() or " " in address:
        text = "the address is not a URL" if address else "there is no address"
        todo = "Set spec.address of the AlertProvider, or the key address of its Secret, to the URL of the receiver."
        raise AlertError("misconfigured", text, todo)
    return parts


def needed(settings: Settings, receiver: str, what: str) -> str:
    """The token. Raises AlertError if it is missing or cannot be in a header. `what` it is to the receiver."""
    if not settings.token:
        text, todo = f"{receiver} needs {what}", "Add the key token to the Secret that the AlertProvider refers to."
        raise AlertError("misconfigured", text, todo)
    return settings.token


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The header that has a token; none if there is no token."""
    return (("Authorization", f"Bearer {token}"),) if token else ()


def post(
    url: str, body: Mapping[str, Any], headers: tuple[tuple[str, str], ...] = (), content: str = "application/json"
) -> Exchange[HttpAnswer]:
    """One POST of JSON; the answer has a 2xx status and is not a web page. Raises AlertError otherwise.

    It follows no redirect: a client would send GET to the new address, and the alert would be lost.
    """
    message = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    about = (("Content-Type", content), *headers)
    try:
        answer = yield HttpRequest("POST", url, about, message, max_bytes=ANSWER_BYTES_MAX, redirects=0)
    except HttpFailure as failure:
        raise unanswered(failure) from failure
    if not 200 <= answer.status < 300:
        raise refused(answer)
    if _PAGE.match(answer.text(EXCERPT_MAX).strip()):
        raise AlertError("unreadable", f"the answer is a web page: {answer.summary(EXCERPT_MAX)}", _PAGE_TODO)
    return answer


_PAGE = re.compile(r"<(!doctype\s+html|html)\b", re.IGNORECASE)
_PAGE_TODO = "A proxy or a login page answers at this address. Check the address and the proxy."

_FAILURES: Mapping[FailureKind, tuple[Outcome, str]] = {
    "timeout": ("timeout", "Check that the receiver is reachable from flagger, and its load."),
    "connect": ("unreachable", "Check the host of the address, the proxy, and the NetworkPolicies."),
    "tls": ("misconfigured", "Check the certificate of the receiver."),
    "redirects": ("rejected", "Use the final address."),
    "too-large": ("unreadable", "Check that the address is the receiver's webhook."),
    "malformed": ("unreadable", "The server at this address does not speak the protocol. Check the address."),
    "credentials": ("unauthorized", "Check the identity of the operator's pod in this cloud, and the Secret."),
}


def unanswered(failure: HttpFailure) -> AlertError:
    """The error of a request without an answer."""
    outcome, todo = _FAILURES[failure.kind]
    return AlertError(outcome, f"request failed: {failure}", todo)


def refused(answer: HttpAnswer) -> AlertError:
    """The error of an answer whose status is not 2xx."""
    outcome, todo = _of_status(answer.status)
    return AlertError(
        outcome, f"error response: {answer.summary(EXCERPT_MAX)}", todo, answer.headers.get("retry-after", "")
    )


def _of_status(status: int) -> tuple[Outcome, str]:
    if status in (401, 403, 404, 410):
        return "unauthorized", "The receiver rejects the address or the token. Create a new one and update the Secret."
    if status == 429:
        return "limited", "The receiver gets too many messages. Raise the severity of the alert."
    if 300 <= status < 400:
        return "rejected", "The address redirects. Use the final address."
    if status < 500:
        return "rejected", "Check that the type of the AlertProvider matches its address, and its channel."
    return "failed", "Check the health of the receiver."


def json_object(answer: HttpAnswer) -> dict[str, Any]:
    """The body as a JSON object. Raises AlertError."""
    body = maybe_json(answer)
    if body is None:
        text = f"the answer is not a JSON object: {answer.text(EXCERPT_MAX).strip()}".rstrip(": ")
        todo = "Check that the type of the AlertProvider matches its address."
        raise AlertError("unreadable", text, todo)
    return body


def maybe_json(answer: HttpAnswer) -> dict[str, Any] | None:
    """The body as a JSON object, or None if it is something else."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def cut(text: str, length: int) -> str:
    """A text of at most `length` characters; an ellipsis replaces what is cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
