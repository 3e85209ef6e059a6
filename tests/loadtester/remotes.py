"""Servers on loopback that play Concord and nGrinder by a script, and a clock on which polls take no time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pyflagger.clock import SystemClock


class Polling(SystemClock):
    """A clock on which the intervals of polls take no time, and limits of tests end when the test sets `up`."""

    INTERVALS = frozenset({1.0, 5.0})
    LIMITS = frozenset({7.5, 30.0, 60.0, 90.0, 3600.0})

    def __init__(self) -> None:
        self.up = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds in self.LIMITS:
            await self.up.wait()
        else:
            await super().sleep(0.001 if seconds in self.INTERVALS else seconds)


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of the script. A document becomes JSON; `path` of a redirect goes to Location."""

    status: int = 200
    body: Any = None
    location: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    authorization: str
    body: str


class Server:
    """Answers with the script, line by line; the last line repeats for polls."""

    def __init__(self, script: Sequence[Said]) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.polled = asyncio.Event()
        self._script = list(script)

    async def answer(self, request: web.Request) -> web.Response:
        """The next line of the script; DELETE and PUT, which stop a test, are not part of it."""
        body = (await request.read()).decode()
        self.asked.append(Asked(request.method, request.path_qs, request.headers.get("Authorization", ""), body))
        if request.method in ("DELETE", "PUT"):
            return web.json_response({"success": True})
        if len(self.asked) > 1:
            self.polled.set()
        line = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        text = line.body if isinstance(line.body, str) else json.dumps(line.body)
        return web.Response(status=line.status, text=text, headers={"Location": line.location} if line.location else {})

    def methods(self) -> list[str]:
        """Method and path of each request."""
        return [f"{one.method} {one.path}" for one in self.asked]


@asynccontextmanager
async def server(*script: Said) -> AsyncIterator[Server]:
    """A server on a free port of loopback."""
    one = Server(script)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()
