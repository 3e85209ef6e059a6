"""Forwards one HTTP request to another address, and returns the response. Streams both bodies.

The forward proxy and the mesh use it. They choose the address.
"""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
from aiohttp import web
from yarl import URL

CONNECT_SECONDS = 10.0
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class Relay:
    """Opens a new connection for each request, so that each request reaches its own endpoint."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Open the client session. Needs a running event loop."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False, connector=connector)

    async def stop(self) -> None:
        """Close every connection."""
        if self._session:
            await self._session.close()

    async def send(self, request: web.BaseRequest, target: URL) -> web.StreamResponse:
        """Forward a request. Returns the sent response, or 502 with the reason if there is none."""
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        body = request.content if request.can_read_body else None
        try:
            async with self._session.request(
                request.method, target, headers=headers, data=body, allow_redirects=False
            ) as answer:
                return await _passed_on(request, answer)
        except (aiohttp.ClientError, OSError) as error:
            return web.Response(status=502, text=f"{request.raw_path}: {error}\n")


async def _passed_on(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
    reply = web.StreamResponse(status=answer.status, reason=answer.reason, headers=kept)
    await reply.prepare(request)
    with contextlib.suppress(ConnectionResetError, asyncio.CancelledError):
        async for chunk in answer.content.iter_any():
            await reply.write(chunk)
    await reply.write_eof()
    return reply
