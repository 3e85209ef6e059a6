"""The stand that things are measured on: the tests' stage behind real HTTP, and processes watched from outside.

The API server with its controllers and a metric server that always says 100 live in the bench's own process; what is
measured runs in processes of its own, so that their CPU time and memory are theirs alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from pyflagger.clock import SystemClock
from pyflagger.sandbox.apiserver.http import HttpFront
from stage.stage import Stage, vector

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Stand:
    """A running stand: the stage, the base URLs of its API server and of its metric server."""

    stage: Stage
    api: str
    metrics: str


@asynccontextmanager
async def stand() -> AsyncIterator[Stand]:
    """A stand while the block runs."""
    stage = Stage(clock=SystemClock())
    await stage.start(operator=False)
    async with HttpFront(stage.server) as front, _metric_server() as metrics:
        yield Stand(stage, front.url, metrics)
    await stage.stop()


@asynccontextmanager
async def _metric_server() -> AsyncIterator[str]:
    async def query(request: web.Request) -> web.Response:
        probe = "vector" in request.query.get("query", "")
        return web.Response(body=vector("1" if probe else "100"), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/api/v1/query", query)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port, *_ = runner.addresses[0]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


class Watched:
    """A child process and what the kernel says of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._folder = Path(f"/proc/{process.pid}")

    @property
    def cpu_seconds(self) -> float:
        """CPU time so far, in user and kernel mode."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    @property
    def memory_mib(self) -> float:
        """Resident memory now."""
        line = next(x for x in (self._folder / "status").read_text().splitlines() if x.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    async def end(self) -> str:
        """Wait for its end; what it printed."""
        out, _ = await self._process.communicate()
        return out.decode()

    async def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()


async def python(*args: str) -> Watched:
    """Start this interpreter with these arguments."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return Watched(
        await asyncio.create_subprocess_exec(
            sys.executable, *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=env
        )
    )


async def scrape(url: str) -> dict[str, float]:
    """The series of a /metrics page by their full names."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        lines = [line.rpartition(" ") for line in (await answer.text()).splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, _, value in lines}
