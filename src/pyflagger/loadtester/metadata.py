"""Readers of a webhook's metadata that several task types share. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pyflagger.goflags import boolean


class BadTask(ValueError):
    """The metadata is invalid. The text becomes the answer (400)."""


def required(kind: str, metadata: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """The values of keys that must be set, in order. Raises BadTask, which names all that are missing."""
    missing = [name for name in names if not metadata.get(name)]
    if missing:
        raise BadTask(f"{', '.join(missing)} not found in metadata, required with type {kind}")
    return [metadata[name] for name in names]


def switch(metadata: Mapping[str, str], key: str) -> bool:
    """A key with Go's text of a bool; False if it is absent. Raises BadTask."""
    try:
        return boolean(metadata.get(key, "false"))
    except ValueError as error:
        raise BadTask(f"{key} {metadata[key]!r} {error}") from None


def positive(metadata: Mapping[str, str], key: str, default: int) -> int:
    """A key with a whole number greater than zero. Raises BadTask."""
    text = metadata.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise BadTask(f"{key} {text!r} is not a whole number of seconds greater than zero")
    return int(text)


def base_url(server: str) -> str:
    """The URL of a server, without a slash at its end. Raises BadTask."""
    try:
        parts = urlsplit(server)
        good = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        good = good and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in server or not server.isprintable() or " " in server:
        raise BadTask("server is not a URL such as http://server:8080, without credentials")
    return server.rstrip("/")
