"""The token that authenticates flagger to a webhook: read from a file, and sent only to the URLs of -hook-token-urls.

The file is a projected service-account token, or another token that is rotated in place. Authors of Canaries choose the
URLs of webhooks, so only the operator's allow-list decides which URLs get the token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pyflagger.clock import Clock

REREAD_SECONDS = 60.0
_PORTS = {"http": 80, "https": 443}

Headers = tuple[tuple[str, str], ...]


class NoToken(Exception):
    """The token cannot be read. The text names the file and the error."""


class Identity:
    """If `file` is empty, no webhook gets a token."""

    def __init__(self, file: str, prefixes: Sequence[str], clock: Clock) -> None:
        self._file, self._clock = file, clock
        self._places = [urlsplit(prefix) for prefix in prefixes]
        self._token, self._read_at = "", float("-inf")

    def headers(self, url: str) -> Headers:
        """The headers to add to a call of a webhook. Empty for a URL that is not listed. Raises NoToken."""
        if not self._file or not self._named(url):
            return ()
        if self._clock.monotonic() - self._read_at >= REREAD_SECONDS:
            try:
                self._token = Path(self._file).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise NoToken(f"the token of -hook-token-file {self._file} cannot be read: {error}") from None
            self._read_at = self._clock.monotonic()
        return (("Authorization", f"Bearer {self._token}"),)

    def _named(self, url: str) -> bool:
        """Whether the URL is listed. A URL with its own credentials keeps those."""
        try:
            parts = urlsplit(url)
            return "@" not in parts.netloc and any(_within(parts, place) for place in self._places)
        except ValueError:
            return False


def _within(url: SplitResult, place: SplitResult) -> bool:
    """Whether scheme, host and port are equal and the path is below. A path with dots or escaped slashes never is."""
    if (url.scheme, url.hostname, _port(url)) != (place.scheme, place.hostname, _port(place)):
        return False
    folder, path = place.path.rstrip("/"), unquote(url.path)
    plain = ".." not in path.split("/") and path.count("/") == url.path.count("/") and "\\" not in path
    return not folder or (plain and (path == folder or path.startswith(f"{folder}/")))


def _port(parts: SplitResult) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)
