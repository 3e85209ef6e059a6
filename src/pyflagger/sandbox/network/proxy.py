"""A forward proxy on loopback: commands that run in pods reach cluster names through it.

`curl http://podinfo-canary/` in a pod of namespace `test` works because `http_proxy` is set to this proxy with the
namespace as its user name. Started by `sandbox.cluster`; resolves through `Names` and knows nothing of canaries.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Mapping

import aiohttp
from aiohttp import web
from yarl import URL

from pyflagger.sandbox.network.names import Names, NoSuchService

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


class ForwardProxy:
    """An HTTP proxy for plain requests in absolute form."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def start(self, host: str = "127.0.0.1") -> None:
        """Listen on a free port."""
        timeout = aiohttp.ClientTimeout(total=None, connect=10)
        self._session = aiohttp.ClientSession(
            timeout=timeout, auto_decompress=False, connector=aiohttp.TCPConnector(limit=0, force_close=True)
        )
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection."""
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()

    def url(self, namespace: str) -> str:
        """What to put into `http_proxy` for a pod of this namespace."""
        return f"http://{namespace}@127.0.0.1:{self.port}"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = URL(request.raw_path, encoded=True)
        if not target.absolute or target.host is None or target.port is None:
            return web.Response(status=400, text="this is a forward proxy: absolute http:// addresses only\n")
        try:
            address = self._names.resolve(target.host, target.port, _namespace(request.headers))
        except NoSuchService as error:
            return web.Response(status=503, text=f"{error}\n")
        if address is not None:
            target = target.with_host(address.host).with_port(address.port)
        try:
            return await self._forward(request, target)
        except (aiohttp.ClientError, OSError) as error:
            return web.Response(status=502, text=f"{request.raw_path}: {error}\n")

    async def _forward(self, request: web.BaseRequest, target: URL) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        body = request.content if request.can_read_body else None
        async with self._session.request(
            request.method, target, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            reply = web.StreamResponse(status=answer.status, reason=answer.reason, headers=kept)
            await reply.prepare(request)
            with contextlib.suppress(ConnectionResetError, asyncio.CancelledError):
                async for chunk in answer.content.iter_any():
                    await reply.write(chunk)
            await reply.write_eof()
            return reply


def _namespace(headers: Mapping[str, str]) -> str:
    """The user name of the proxy's credentials."""
    scheme, _, text = headers.get("Proxy-Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(text).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
