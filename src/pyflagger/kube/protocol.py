"""The Transport protocol: the only interface between the client and an API server.

`kube.http` implements it over aiohttp for real servers, and `kube.brief` for commands that end after a few calls. The
sandbox's embedded server implements it in process. Client, cache, Lease and Events are the same code on all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One call. `path` is absolute (`/apis/apps/v1/...`), `query` unencoded.

    `timeout` in seconds covers the whole call, or the start of a watch. `headers` are sent besides those of the
    transport: credentials of a user, where one connection serves many users.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    timeout: float = 30.0
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """The answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ApiStream:
    """An open watch: the answer's status, the body of an error, or the lines (one JSON event each)."""

    status: int
    headers: Mapping[str, str]
    lines: AsyncIterator[bytes]
    body: bytes = b""


class TransportError(Exception):
    """No answer: the server is unreachable, the connection broke, or the call timed out. A retry may succeed."""


class Transport(Protocol):
    """A connection to an API server."""

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Make a call. Raises TransportError when there is no answer; any HTTP status is an answer."""

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch. The iteration ends when the server closes it; raises TransportError when it breaks."""

    async def close(self) -> None:
        """Close all connections."""
