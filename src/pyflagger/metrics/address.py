"""Addresses of metric systems as users write them: validates them, joins paths, and removes secrets."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from pyflagger.api.facts import Fault
from pyflagger.metrics.base import ProviderError
from pyflagger.wire import shown_url


@dataclass(frozen=True, slots=True)
class Address:
    """A system's address. `base` has no user, query or final slash. `authorization` is from `user:password@`."""

    base: str
    authorization: str = ""

    def join(self, path: str) -> str:
        """The URL of an absolute path below the base."""
        return f"{self.base}{path}"


def parse_address(text: str) -> Address:
    """Read `http(s)://[user:password@]host[:port][/path]`. Raises ProviderError."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise _bad(f"address is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, parts.netloc + parts.path)):
        raise _bad(f"address {shown_url(text)!r} is not a URL with http:// or https:// and a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port is None else f"{host}:{port}"
    base = urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))
    if not parts.username:
        return Address(base)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Address(base, f"Basic {b64encode(login.encode()).decode()}")


def _bad(text: str) -> ProviderError:
    return ProviderError(text, "Use a URL such as http://prometheus.monitoring:9090.", Fault.MANIFEST)
