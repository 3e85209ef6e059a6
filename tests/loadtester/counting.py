"""A small server that counts what it is asked, and programs run against it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Server:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[web.BaseRequest] = []
        self.bodies: list[bytes] = []
        self.connections: set[object] = set()
        self.slow = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        self.connections.add(request.transport)
        self.bodies.append(await request.read())
        path = request.rel_url.path
        if path == "/moved":
            return web.Response(status=302, headers={"Location": "/there"})
        if path == "/slow":
            await self.slow.wait()
        if path == "/broken" and request.transport is not None:
            request.transport.close()
        return web.Response(status=503 if path == "/bad" else 200, text="hello")


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    """A server on a free port; as a proxy it answers absolute URLs itself."""
    one = Server()
    runner = web.ServerRunner(web.Server(one.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        one.slow.set()
        await runner.cleanup()


async def command(*argv: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run a program; status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *argv, env=os.environ | (environment or {}), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()
