"""`PYTHONPATH=tests python -m bench.dashboard [COUNT]`: the cost of the dashboard of a fleet, on a sandbox.

The dashboard is a child process, as `flagger dashboard` runs it. Viewers are streams of the fleet that are read to the
end. Prints a table, each figure beside its budget; exit status 1 when one is missed. Half a minute for 5000 canaries.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from bench.process import Watched
from bench.report import Figure
from pyflagger.clock import SystemClock
from pyflagger.kube.client import Client
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.reach import find

COUNT, VIEWERS, ASKED, REST_SECONDS = 5000, 50, 100, 20.0
READY_SECONDS_MAX, FIRST_BYTE_MS_MAX, HTML_KIB_MAX, REST_PERCENT_MAX = 5.0, 100.0, 40.0, 2.0
EMPTY_MIB_MAX, FLEET_MIB_MAX, VIEWERS_MIB_MAX = 70.0, 90.0, 160.0
CHANGE_SECONDS_MAX = 2.0
AT_ONCE = 20
PATH = "/apis/flagger.app/v1beta1/namespaces/default/canaries"


class Dashboard(NamedTuple):
    """A dashboard that answers: its process, its address with the key, and the seconds that it took to start."""

    process: Watched
    url: str
    seconds: float

    @property
    def base(self) -> str:
        """The address without the key."""
        return self.url.partition("/?")[0]


async def told(log: Path, what: str) -> str:
    """The first line of a log that has a text. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while True:
            found = next((line for line in lines(log) if what in line), None)
            if found is not None:
                return found
            await asyncio.sleep(0.02)


def lines(log: Path) -> list[str]:
    """The lines of a log so far."""
    return log.read_text().splitlines() if log.exists() else []


async def started(kubeconfig: str, folder: Path, stack: AsyncExitStack, name: str) -> Dashboard:
    """Start a dashboard."""
    clock, log = SystemClock(), folder / name
    begin = clock.monotonic()
    argv = [sys.executable, "-m", "pyflagger", "dashboard", "--no-open", "--port", "0"]
    process = Watched(argv, log, {"KUBECONFIG": kubeconfig})
    stack.callback(process.stop)
    line = await told(log, "The dashboard is ready")
    return Dashboard(process, line.rpartition(" ")[2], clock.monotonic() - begin)


def canary(number: int) -> dict[str, Any]:
    """A Canary with an analysis."""
    analysis = {"interval": "30s", "threshold": 5, "stepWeight": 10, "maxWeight": 50}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"app-{number}"}
    spec = {"provider": "nginx", "targetRef": target, "service": {"port": 80}, "analysis": analysis}
    meta = {"name": f"app-{number}", "namespace": "default", "labels": {"team": f"team-{number % 20}"}}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": meta, "spec": spec}


async def create(client: Client, count: int) -> None:
    """Canaries that were initialized."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with room:
            await client.call("POST", PATH, canary(number))
            await weigh(client, number, "Initialized", 0)

    await asyncio.gather(*map(one, range(count)))


async def weigh(client: Client, number: int, phase: str, weight: int) -> None:
    """Write a status."""
    status = {"phase": phase, "canaryWeight": weight, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    kind = "application/merge-patch+json"
    await client.call("PATCH", f"{PATH}/app-{number}/status", {"status": status}, kind)


async def viewer(browser: aiohttp.ClientSession, base: str, wanted: str, seen: list[float]) -> None:
    """An open fleet page: notes when a text comes."""
    async with browser.get(f"{base}/api/v1/stream/fleet", timeout=aiohttp.ClientTimeout(total=None)) as answer:
        async for line in answer.content:
            if wanted.encode() in line:
                seen.append(SystemClock().monotonic())


def p95(values: list[float]) -> float:
    """The value that 95 of 100 stay below."""
    return sorted(values)[int(len(values) * 0.95) - 1]


async def first_bytes(browser: aiohttp.ClientSession, base: str) -> tuple[float, float]:
    """Milliseconds to the first byte of the fleet's page, and its size packed, in KiB."""
    clock, times, body = SystemClock(), list[float](), b""
    for _ in range(ASKED):
        begin = clock.monotonic()
        async with browser.get(f"{base}/") as answer:
            times.append((clock.monotonic() - begin) * 1000)
            body = await answer.read()
    return p95(times), len(gzip.compress(body)) / 1024


async def watched(dashboard: Dashboard, client: Client, browser: aiohttp.ClientSession, count: int) -> list[Figure]:
    """Figures with many viewers."""
    clock, seen = SystemClock(), list[float]()
    viewers = [asyncio.create_task(viewer(browser, dashboard.base, "41 %", seen)) for _ in range(VIEWERS)]
    await asyncio.sleep(3)
    begin, cpu = clock.monotonic(), dashboard.process.cpu_seconds
    await asyncio.sleep(REST_SECONDS)
    busy = (dashboard.process.cpu_seconds - cpu) / (clock.monotonic() - begin) * 100
    begin = clock.monotonic()
    await weigh(client, 0, "Progressing", 41)
    await asyncio.sleep(5)
    changed = p95([at - begin for at in seen]) if len(seen) >= VIEWERS else 99.0
    memory = dashboard.process.memory_mib
    for task in viewers:
        task.cancel()
    await asyncio.gather(*viewers, return_exceptions=True)
    return [
        Figure(f"CPU at rest with {VIEWERS} viewers, % of a core", count, busy, REST_PERCENT_MAX),
        Figure(f"change to {VIEWERS} streams, p95, s", count, changed, CHANGE_SECONDS_MAX),
        Figure(f"memory with {VIEWERS} viewers, MiB", count, memory, VIEWERS_MIB_MAX),
    ]


async def measured(count: int) -> list[Figure]:
    """All figures."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        argv = [sys.executable, "-m", "pyflagger", "sandbox", "--no-operator", "--json"]
        sandbox = Watched(argv, folder / "sandbox")
        stack.callback(sandbox.stop)
        kubeconfig = json.loads(await told(folder / "sandbox", '"kubeconfig"'))["kubeconfig"]
        clock = SystemClock()
        client = Client(AiohttpTransport(await find(kubeconfig, "", clock), "bench"), clock)
        stack.push_async_callback(client.transport.close)
        empty = await started(kubeconfig, folder, stack, "empty")
        found = [Figure("memory of an empty fleet, MiB", 0, empty.process.memory_mib, EMPTY_MIB_MAX)]
        empty.process.stop()
        await create(client, count)
        dashboard = await started(kubeconfig, folder, stack, "fleet")
        found.append(Figure("start to ready, s", count, dashboard.seconds, READY_SECONDS_MAX))
        connections = aiohttp.TCPConnector(limit=0)
        jar = aiohttp.CookieJar(unsafe=True)
        browser = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar, connector=connections))
        await browser.get(dashboard.url)
        found.append(Figure("memory, MiB", count, dashboard.process.memory_mib, FLEET_MIB_MAX))
        taken, size = await first_bytes(browser, dashboard.base)
        found.append(Figure("fleet's page, first byte p95, ms", count, taken, FIRST_BYTE_MS_MAX))
        found.append(Figure("fleet's page, packed, KiB", count, size, HTML_KIB_MAX))
        return found + await watched(dashboard, client, browser, count)


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("count", nargs="?", type=int, default=COUNT)
    figures = asyncio.run(measured(reader.parse_args().count))
    print("\n".join(each.line() for each in figures))
    sys.exit(0 if all(each.holds for each in figures) else 1)
