"""`PYTHONPATH=tests python -m bench.incluster [COUNT]`: the cost of a dashboard for users of a cluster, on a sandbox.

The dashboard is a child process. Each of 50 users has a token, and an open page of the fleet, while 1000 releases are
under way; 10 of them also have the page of a canary. Each user has rights and watches of its own. Prints a table as
`bench.dashboard` does, and the first paint in Chromium where there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from bench.dashboard import (
    CHANGE_SECONDS_MAX,
    COUNT,
    FIRST_BYTE_MS_MAX,
    READY_SECONDS_MAX,
    REST_PERCENT_MAX,
    REST_SECONDS,
    VIEWERS,
    VIEWERS_MIB_MAX,
    create,
    first_bytes,
    p95,
    told,
    viewer,
    weigh,
)
from bench.process import Watched
from bench.report import Figure
from pyflagger.clock import SystemClock
from pyflagger.dashboard.guard import loopback
from pyflagger.dashboard.incluster import Settings, running
from pyflagger.dashboard.people import Ways
from pyflagger.kube.client import Client
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.reach import find
from pyflagger.operator.options import Options
from pyflagger_sandbox.network.ingress import free_port

UNDER_WAY, DETAILS = 1000, 10
PAINT_MS_MAX, SLOWER = 1000.0, 4
READY = "the dashboard is ready"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


async def serve(kubeconfig: str, port: int) -> None:
    """The child: as `flagger dashboard --in-cluster`, with connections to the API server of a kubeconfig."""
    clock = SystemClock()
    own = await find(kubeconfig, "", clock)
    ways = Ways(*(AiohttpTransport(replace(own)) for _ in range(3)))
    async with running(ways, clock, Settings(loopback(port), None, "", port, "127.0.0.1"), Options(mesh_provider="")):
        print(READY, flush=True)
        await asyncio.Event().wait()


def bearing(number: int) -> aiohttp.ClientSession:
    """The browser of a user."""
    headers = {"Authorization": f"Bearer user-{number}"}
    return aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0))


async def opened(browser: aiohttp.ClientSession, url: str) -> None:
    """An open page of a canary."""
    async with browser.get(url, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        assert answer.status == 200, url
        async for _ in answer.content:
            pass


async def painted(url: str) -> float:
    """Milliseconds to the first paint of the fleet in Chromium, on a processor that is SLOWER times slower."""
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(extra_http_headers={"Authorization": "Bearer user-0"})
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        times = list[float]()
        for _ in range(5):
            await page.goto(url, wait_until="load")
            await page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
            times.append(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        await browser.close()
        return sorted(times)[2]


async def busy(
    process: Watched, client: Client, users: list[aiohttp.ClientSession], url: str, count: int
) -> list[Figure]:
    """Figures with open pages of all users."""
    clock, seen = SystemClock(), list[float]()
    pages = [asyncio.create_task(viewer(user, url, "41 %", seen)) for user in users]
    await asyncio.sleep(3)
    begin, cpu = clock.monotonic(), process.cpu_seconds
    await asyncio.sleep(REST_SECONDS)
    load = (process.cpu_seconds - cpu) / (clock.monotonic() - begin) * 100
    memory = process.memory_mib
    one = f"{url}/api/v1/stream/canaries/default/app-"
    pages += [asyncio.create_task(opened(users[at], f"{one}{at}")) for at in range(DETAILS)]
    await asyncio.sleep(5)
    begin = clock.monotonic()
    await weigh(client, 0, "Progressing", 41)
    await asyncio.sleep(5)
    changed = p95([at - begin for at in seen]) if len(seen) >= len(users) else 99.0
    detailed = process.memory_mib
    for task in pages:
        task.cancel()
    await asyncio.gather(*pages, return_exceptions=True)
    return [
        Figure(f"CPU at rest with {len(users)} users, % of a core", count, load, REST_PERCENT_MAX),
        Figure(f"memory with {len(users)} users, MiB", count, memory, VIEWERS_MIB_MAX),
        Figure(f"memory with {DETAILS} pages of canaries besides, MiB", count, detailed, VIEWERS_MIB_MAX),
        Figure(f"change to {len(users)} users, p95, s", count, changed, CHANGE_SECONDS_MAX),
    ]


async def measured(count: int) -> list[Figure]:
    """All figures."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sandbox = Watched([sys.executable, "-m", "pyflagger", "sandbox", "--no-operator", "--json"], folder / "sandbox")
        stack.callback(sandbox.stop)
        kubeconfig = json.loads(await told(folder / "sandbox", '"kubeconfig"'))["kubeconfig"]
        clock, port = SystemClock(), free_port()
        client = Client(AiohttpTransport(await find(kubeconfig, "", clock), "bench"), clock)
        stack.push_async_callback(client.transport.close)
        await create(client, count)
        for number in range(min(UNDER_WAY, count)):
            await weigh(client, number, "Progressing", 10)
        begin = clock.monotonic()
        argv = [sys.executable, "-m", "bench.incluster", "--serve", kubeconfig, str(port)]
        process = Watched(argv, folder / "dashboard")
        stack.callback(process.stop)
        await told(folder / "dashboard", READY)
        found = [Figure("start to ready, s", count, clock.monotonic() - begin, READY_SECONDS_MAX)]
        found.append(Figure("memory, MiB", count, process.memory_mib))
        url = f"http://127.0.0.1:{port}"
        users = [await stack.enter_async_context(bearing(number)) for number in range(VIEWERS)]
        taken, _ = await first_bytes(users[0], url)
        found.append(Figure("fleet's page of a user, first byte p95, ms", count, taken, FIRST_BYTE_MS_MAX))
        if CHROMIUM:
            what = f"first paint of the fleet, processor {SLOWER} times slower, ms"
            found.append(Figure(what, count, await painted(url), PAINT_MS_MAX))
        return found + await busy(process, client, users, url, count)


def main() -> int:
    """Serve, or measure."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("count", nargs="?", type=int, default=COUNT)
    reader.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    given: Any = reader.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve[0], int(given.serve[1])))
        return 0
    figures = asyncio.run(measured(given.count))
    print("\n".join(each.line() for each in figures))
    return 0 if all(each.holds for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
