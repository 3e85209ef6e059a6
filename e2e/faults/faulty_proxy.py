"""A server between an operator and the API server, or Prometheus, that does harm on demand.

The operator's kubeconfig names it as the API server, in plain HTTP; everything is passed on as it is until one of its
switches is set. It counts writes, so that a fault can come after each. One event loop in a thread serves them all.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from pyflagger_sandbox.network.ingress import free_port

READS = ("GET", "HEAD")
HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "accept-encoding", "content-encoding"})
BODY_MAX = 64 << 20
Done = TypeVar("Done")


class FaultyProxy:
    """Stands before `upstream`; `port` is where. The switches are public, and may be set at any time."""

    def __init__(self, upstream: str, authority: Path | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._upstream = upstream
        self._tls = ssl.create_default_context(cafile=str(authority)) if authority else None
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self.writes: list[str] = []
        """Writes that were carried out, Events aside: method and path."""
        self.on_write: Callable[[], None] | None = None
        """Called after each, before the operator hears of it."""
        self.delay = 0.0
        """Seconds that each call takes longer."""
        self.deaf = False
        """Break every connection off."""
        self.refuse: Callable[[web.Request], tuple[int, Mapping[str, str]] | None] | None = None
        """Answer in the server's place, with a status and headers."""
        self.cut_after = 0
        """Break a watch off in the middle of its n-th event; 0: never."""
        self._streams: set[asyncio.Transport] = set()
        self.statuses: dict[int, int] = {}
        """How often each status was answered, errors within watches among them."""

    async def start(self) -> None:
        """Listen."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        app = web.Application(client_max_size=BODY_MAX)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.deaf:
            return self._cut(request)
        refused = self.refuse(request) if self.refuse else None
        if refused:
            status, headers = refused
            self._count(status)
            return web.json_response(_said(status), status=status, headers=headers)
        try:
            return await self._pass(request)
        except (aiohttp.ClientError, OSError):
            return self._cut(request)

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: text for name, text in request.headers.items() if name.lower() not in HOP}
        async with self._session.request(
            request.method,
            self._upstream + request.raw_path,
            data=await request.read(),
            headers=headers,
            ssl=self._tls if self._tls else True,
            allow_redirects=False,
        ) as answer:
            self._count(answer.status)
            kept = {
                name: text for name, text in answer.headers.items() if name.lower() not in HOP - {"content-encoding"}
            }
            if "watch" in request.query and answer.status < 400:
                return await self._stream(request, answer, kept)
            body = await answer.read()
            if request.method not in READS and answer.status < 400 and not request.path.endswith("/events"):
                self._wrote(request)
            return web.Response(status=answer.status, body=body, headers=kept)

    def _wrote(self, request: web.Request) -> None:
        if "/events/" in request.path or "/leases" in request.path:
            return
        self.writes.append(f"{request.method} {request.path}")
        if self.on_write:
            self.on_write()

    async def _stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        out = web.StreamResponse(status=answer.status, headers=headers)
        await out.prepare(request)
        if isinstance(request.transport, asyncio.Transport):
            self._streams.add(request.transport)
        events = 0
        async for chunk in answer.content.iter_any():
            events += chunk.count(b"\n")
            if b'"type":"ERROR"' in chunk and b'"code":410' in chunk:
                self._count(410)
            if self.deaf or (self.cut_after and events >= self.cut_after):
                await out.write(chunk[: len(chunk) // 2])
                return self._cut(request, out)
            await out.write(chunk)
        return out

    async def drop_connections(self) -> None:
        """Break every watch off, now."""
        streams, self._streams = self._streams, set()
        for stream in streams:
            stream.abort()

    def _cut(self, request: web.Request, out: web.StreamResponse | None = None) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return out or web.Response(status=502)

    def _count(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1


def _said(status: int) -> dict[str, Any]:
    reasons = {410: "Expired", 429: "TooManyRequests"}
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reasons.get(status), "code": status}


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Done]) -> Done:
        """Do it there, and wait."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def through(kubeconfig: Path, proxy: FaultyProxy) -> Path:
    """A kubeconfig of the same user that goes through a proxy."""
    config = json.loads(kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": proxy.url}
    path = kubeconfig.with_name(f"{kubeconfig.name}-{proxy.port}")
    path.write_text(json.dumps(config))
    return path
