"""An HTTP exchange as values: what to send, what came back, what went wrong.

Pure rooms build requests and read answers (metric providers are generators that yield requests); only an `Http`
implementation in an I/O room ever opens a connection.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

FailureKind = Literal["timeout", "connect", "tls", "redirects", "too-large", "malformed"]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `timeout` in seconds for the whole exchange; `max_bytes` bounds the body that is read."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    timeout: float = 5.0
    verify: bool = True
    max_bytes: int = 1 << 20
    redirects: int = 10


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. Header names are lower-case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self, limit: int = 1024) -> str:
        """The body as text, cut to `limit` characters; undecodable bytes are replaced."""
        return self.body[: limit * 4].decode("utf-8", "replace")[:limit]

    def summary(self, limit: int = 1024) -> str:
        """Status and body for a text: `Status 404 Not Found: no such hook`."""
        try:
            phrase = f" {HTTPStatus(self.status).phrase}"
        except ValueError:
            phrase = ""
        body = self.text(limit).strip()
        if _PAGE.match(body):
            title = _TITLE.search(self.text(PAGE_MAX))
            body = f"a page of HTML{f', {title[1].strip()!r}' if title else ''}"
        return f"Status {self.status}{phrase}: {body}" if body else f"Status {self.status}{phrase}"


_PAGE = re.compile(r"<(!doctype\s+html|html)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*([^<]{1,200})", re.IGNORECASE)
PAGE_MAX = 4096
"""Characters of a page in which its title is looked for."""


class HttpFailure(Exception):
    """No usable answer. `kind` says which side of the exchange broke; the text is for a user."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def shown_url(url: str) -> str:
    """A URL for a text, without user, password, query and fragment."""
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        scheme, rest = "", scheme
    place = rest.split("?", 1)[0].split("#", 1)[0]
    host, slash, path = place.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


SECRET_MIN = 4
"""Characters; what is shorter hides nothing, and would be cut out of every text."""

_SECRET_HEADER = re.compile(r"auth|token|key|secret|cookie|password", re.IGNORECASE)


def secrets_of(request: HttpRequest, *, query: bool = False) -> frozenset[str]:
    """What of a request no text may repeat: credentials of its headers and its URL, encoded and plain.

    With `query`, the values of the URL's query too: hooks carry tokens there, where metric systems carry the question.
    Whoever answers may echo what it was sent, so a text made of an answer goes through `hidden` first.
    """
    found: set[str] = set()
    for name, value in request.headers:
        if _SECRET_HEADER.search(name):
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


def hidden(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret replaced by `***`, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _basic(user: str | None, password: str | None) -> Iterator[str]:
    """The credentials of a URL as an HTTP client makes a header of them, in either encoding that clients use."""
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
    """Somebody who can carry out a request."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Carry it out. Raises HttpFailure when there is no usable answer."""
