"""How bytes reach an API server: the one seam between the client and a server.

Implemented over aiohttp (`kube.http`) for real servers and in process by the sandbox's embedded server. Everything
above it (client, cache, Lease, Events) is the same code on both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One call. `path` is absolute (`/apis/apps/v1/...`), `query` unencoded, `timeout` seconds (watch: its start)."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """The answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ApiStream:
    """An open watch: the status of its answer, the body if that is an error, else its lines (one JSON event each)."""

    status: int
    headers: Mapping[str, str]
    lines: AsyncIterator[bytes]
    body: bytes = b""


class TransportError(Exception):
    """No answer: the server is away, the connection broke, or time ran out. Always worth another try."""


class Transport(Protocol):
    """A way to an API server."""

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Make a call. Raises TransportError when there is no answer; any HTTP status is an answer."""

    def stream(self, request: ApiRequest) -> AbstractAsyncContextManager[ApiStream]:
        """Open a watch. The iteration ends when the server closes it; raises TransportError when it breaks."""

    async def close(self) -> None:
        """Release connections."""
