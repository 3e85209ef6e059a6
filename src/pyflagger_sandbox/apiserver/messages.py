"""Requests and responses as values, between the frontends (in process, HTTP) and the server.

The frontends translate them. The server never uses a socket.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
WATCH_JSON = "application/json;stream=watch"


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `query` is unencoded, the names of `headers` are lower-case, and `agent` names the client."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = JSON
    accept: str = JSON
    agent: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response. Header names are lower-case and always include `content-type`."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": JSON})


@dataclass(frozen=True, slots=True)
class WatchStream:
    """An open watch. Each line is one JSON event that ends in a newline. Close the iterator to end it."""

    lines: AsyncGenerator[bytes, None]
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": WATCH_JSON})
    status: int = 200


def switched_on(query: Mapping[str, str], name: str) -> bool:
    """A boolean in a query, read as the real server reads it: every value that is not false is true."""
    return name in query and query[name].lower() not in ("false", "0")


def dump(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def answer(value: Any, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
    """A JSON response, with a `Warning` header for each warning."""
    headers = {"content-type": JSON}
    if warnings:
        headers["warning"] = ", ".join(f"299 - {json.dumps(text)}" for text in warnings)
    return Response(status, value if isinstance(value, bytes) else dump(value), headers)
