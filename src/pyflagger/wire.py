"""An HTTP exchange as values: request, answer, failure.

Pure packages build requests and read answers; metric providers are generators that yield requests. Only an `Http`
implementation in a package that does I/O opens connections.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

FailureKind = Literal["timeout", "connect", "tls", "redirects", "too-large", "malformed", "credentials"]


@dataclass(frozen=True, slots=True)
class AwsAuth:
    """Sign a request to an AWS service of a region, with the credentials of the process."""

    service: str
    region: str


@dataclass(frozen=True, slots=True)
class GoogleAuth:
    """Authorize a request with an access token of Google: of a service account's key (JSON), else of the process."""

    scope: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `timeout` in seconds for the whole exchange; `max_bytes` bounds the body that is read.

    `proxy`: the URL of a proxy; empty: that of the environment.
    The sender of metric requests also reads the last four fields. `secrets` are further values that no text may
    contain. `after` is a pause in seconds before the request. `auth` names credentials that the sender adds. With
    `cluster`, `url` is a path and query of the operator's API server.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    timeout: float = 5.0
    verify: bool = True
    max_bytes: int = 1 << 20
    redirects: int = 10
    proxy: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    after: float = 0.0
    auth: AwsAuth | GoogleAuth | None = None
    cluster: bool = False


Tls = Literal["implicit", "starttls", "none"]
"""TLS from the first byte, by the command STARTTLS, or not at all."""


@dataclass(frozen=True, slots=True)
class SmtpRequest:
    """One message for a mail server. `message` is in the Internet Message Format. `timeout` in seconds for all of it.

    Without `login`, flagger does not log in.
    """

    host: str
    port: int
    tls: Tls
    sender: str
    recipients: tuple[str, ...]
    message: bytes
    login: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """The last reply of a mail server: 250 if it took the message for every recipient."""

    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The answer to a request. Header names are lower-case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self, limit: int = 1024) -> str:
        """The body as text, cut to `limit` characters; undecodable bytes are replaced."""
        return self.body[: limit * 4].decode("utf-8", "replace")[:limit]

    def summary(self, limit: int = 1024) -> str:
        """Status and body as text: `Status 404 Not Found: no such hook`."""
        try:
            phrase = f" {HTTPStatus(self.status).phrase}"
        except ValueError:
            phrase = ""
        body = self.text(limit).strip()
        if _PAGE.match(body):
            title = _TITLE.search(self.text(PAGE_MAX))
            body = f"an HTML page{f', {title[1].strip()!r}' if title else ''}"
        return f"Status {self.status}{phrase}: {body}" if body else f"Status {self.status}{phrase}"


_PAGE = re.compile(r"<(!doctype\s+html|html)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*([^<]{1,200})", re.IGNORECASE)
PAGE_MAX = 4096
"""Characters of an HTML page that are searched for its title."""


class HttpFailure(Exception):
    """There is no usable answer. `kind` says which side of the exchange failed. The text is for the user."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def shown_url(url: str) -> str:
    """A URL for texts, without user, password, query and fragment."""
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        scheme, rest = "", scheme
    place = rest.split("?", 1)[0].split("#", 1)[0]
    host, slash, path = place.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


SECRET_MIN = 4
"""Minimum length in characters. Hiding a shorter secret would garble every text and protect little."""

_SECRET_HEADER = re.compile(r"auth|token|key|secret|cookie|password", re.IGNORECASE)


def secrets_of(request: HttpRequest, *, query: bool = False) -> frozenset[str]:
    """The secrets of a request that no text may contain: credentials in its headers and its URL, encoded and plain.

    With `query`, the values of the URL's query too: in hooks they may be tokens, in metric queries they are not. A
    server may echo a request, so pass a text that quotes an answer through `hidden` first.
    """
    found: set[str] = set(request.secrets)
    for name, value in request.headers:
        if is_secret(name, value, request):
            scheme, _, rest = value.partition(" ")
            found |= {value, rest or scheme, *_login(rest)}
    try:
        parts = urlsplit(request.url)
        found |= {unquote(parts.password or ""), parts.password or "", parts.netloc.rpartition("@")[0]}
        found |= set(_basic(parts.username, parts.password))
        found |= {value for _, value in parse_qsl(parts.query)} if query else set()
    except ValueError:
        pass
    return frozenset(text for text in found if len(text) >= SECRET_MIN)


def mail_secrets(request: SmtpRequest) -> frozenset[str]:
    """The login and the password of a message, plain and as the commands AUTH PLAIN and AUTH LOGIN have them."""
    plain = (request.login, request.password)
    sent = (*plain, f"\0{request.login}\0{request.password}") if request.login else ()
    found = {*plain, *(b64encode(text.encode("utf-8", "replace")).decode() for text in sent)}
    return frozenset(text for text in found if len(text) >= SECRET_MIN)


def is_secret(name: str, value: str, request: HttpRequest) -> bool:
    """Whether a header of the request is a credential."""
    return bool(_SECRET_HEADER.search(name)) or value in request.secrets


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret replaced by `***`, longest first.

    Excerpts of answers are cut at a length. So this also replaces the beginning of a secret at the end of the text.
    """
    ordered = sorted(secrets, key=len, reverse=True)
    for secret in ordered:
        text = text.replace(secret, "***")
    body = text.removesuffix("…")
    rest = max((_begun(body, secret) for secret in ordered), default=0)
    return f"{body[:-rest]}***{text[len(body) :]}" if rest else text


def _begun(text: str, secret: str) -> int:
    """The number of characters at the end of a text that begin a secret; 0 if they are fewer than SECRET_MIN."""
    longest = min(len(secret) - 1, len(text))
    return next((size for size in range(longest, SECRET_MIN - 1, -1) if text.endswith(secret[:size])), 0)


def _basic(user: str | None, password: str | None) -> Iterator[str]:
    """The `Authorization` values that HTTP clients derive from a URL's credentials, in both common encodings."""
    if user or password:
        login = f"{unquote(user or '')}:{unquote(password or '')}"
        for encoding in ("utf-8", "latin-1"):
            yield b64encode(login.encode(encoding, "replace")).decode()


def _login(encoded: str) -> Iterator[str]:
    """The password of basic credentials."""
    try:
        yield b64decode(encoded, validate=True).decode().partition(":")[2]
    except ValueError:
        return


class Http(Protocol):
    """An HTTP client."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request. Raises HttpFailure when there is no usable answer."""
