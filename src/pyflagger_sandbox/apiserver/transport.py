"""A Transport to the server in process, without sockets.

For virtual time and for speed. The operator's client and the sandbox's controllers use it unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, TransportError
from pyflagger_sandbox.apiserver.faults import Broken
from pyflagger_sandbox.apiserver.messages import Request, Response, WatchStream
from pyflagger_sandbox.apiserver.server import ApiServer


class InProcess:
    """A Transport to `server`. The audit lists its requests under `agent`."""

    def __init__(self, server: ApiServer, agent: str = "in-process") -> None:
        self._server, self._agent = server, agent

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Send a request. Raises TransportError when the server breaks the connection."""
        said = await self._handle(request)
        if isinstance(said, WatchStream):
            raise TransportError("use stream() to open a watch")
        return ApiAnswer(said.status, said.headers, said.body)

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch. Its lines raise TransportError when the server breaks the watch."""
        said = await self._handle(request)
        if isinstance(said, Response):
            yield ApiStream(said.status, said.headers, _none(), said.body)
            return
        async with aclosing(_lines(said)) as lines:
            yield ApiStream(said.status, said.headers, lines)

    async def close(self) -> None:
        """Nothing to close."""

    async def _handle(self, request: ApiRequest) -> Response | WatchStream:
        asked = Request(
            method=request.method,
            path=request.path,
            query=request.query,
            body=request.body or b"",
            content_type=request.content_type,
            accept=request.accept,
            agent=self._agent,
        )
        try:
            async with asyncio.timeout(request.timeout):
                return await self._server.handle(asked)
        except (Broken, TimeoutError) as error:
            raise TransportError(str(error) or f"no answer within {request.timeout:g} s") from error


async def _lines(stream: WatchStream) -> AsyncGenerator[bytes, None]:
    async with aclosing(stream.lines) as lines:
        try:
            async for line in lines:
                yield line
        except Broken as error:
            raise TransportError(str(error)) from error


async def _none() -> AsyncIterator[bytes]:
    lines: tuple[bytes, ...] = ()
    for line in lines:
        yield line
