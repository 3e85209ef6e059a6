"""The endpoints of the process: what they answer, and that the longest one holds up nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from pyflagger.operator.process.health import Check, application


@pytest.mark.parametrize(
    ("alive", "ready", "status", "told"),
    [
        ([], [], 200, "OK"),
        ([lambda: None], [lambda: None, lambda: None], 200, "OK"),
        ([lambda: "a"], [lambda: None, lambda: "b", lambda: "c"], 503, "b\nc"),
    ],
)
async def test_what_is_wrong_is_said(alive: Sequence[Check], ready: Sequence[Check], status: int, told: str) -> None:
    """A line each; /healthz knows nothing of what keeps a process from being ready."""
    async with TestClient(TestServer(application(alive, ready, lambda: b""))) as client:
        answer = await client.get("/readyz")
        assert (answer.status, await answer.text()) == (status, told)
        assert (await client.get("/healthz")).status == (503 if any(check() for check in alive) else 200)


async def scraped(client: TestClient[web.Request, web.Application]) -> str:
    """The text of /metrics."""
    answer = await client.get("/metrics")
    assert answer.content_type == "text/plain"
    return await answer.text()


async def test_a_scrape_holds_up_nobody() -> None:
    """The metrics of many canaries take their time, and releases go on meanwhile."""
    written = threading.Event()

    def metrics() -> bytes:
        assert written.wait(30)
        return b"flagger_info 1"

    async with TestClient(TestServer(application([], [], metrics))) as client:
        task = asyncio.ensure_future(scraped(client))
        assert (await client.get("/healthz")).status == 200 and not task.done()
        written.set()
        assert await task == "flagger_info 1"
