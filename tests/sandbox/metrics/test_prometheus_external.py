"""A real Prometheus as a child process, and what is written for it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from pyflagger.clock import SystemClock
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from pyflagger_sandbox.metrics import PrometheusError, ScrapeTarget, external_prometheus, find_prometheus
from pyflagger_sandbox.metrics.external import targets_file


class Sockets:
    """An Http over aiohttp, as small as a test needs."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        timeout = aiohttp.ClientTimeout(total=request.timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(request.method, request.url) as answer,
            ):
                return HttpAnswer(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise HttpFailure("connect", str(error)) from error


async def nothing() -> list[ScrapeTarget]:
    return []


def script(path: Path, body: str) -> str:
    """An executable that stands in for Prometheus."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_missing_binary_is_named() -> None:
    """The error says what to do."""
    with pytest.raises(PrometheusError, match="'/nowhere/prometheus' is not an executable: install Prometheus"):
        find_prometheus("/nowhere/prometheus")


def test_targets_become_file_discovery() -> None:
    """Scheme and path travel as labels that Prometheus understands."""
    text = targets_file([ScrapeTarget("https://127.0.0.5:9898/m", {"pod": "p"}), ScrapeTarget("http://[::1]:80", {})])
    assert json.loads(text) == [
        {"targets": ["127.0.0.5:9898"], "labels": {"pod": "p", "__scheme__": "https", "__metrics_path__": "/m"}},
        {"targets": ["[::1]:80"], "labels": {"__scheme__": "http", "__metrics_path__": "/metrics"}},
    ]


async def test_a_prometheus_that_ends_says_why(tmp_path: Path) -> None:
    """Its last words are in the error."""
    binary = script(tmp_path / "prometheus", "echo 'bad flag --config' >&2; exit 3")
    with pytest.raises(PrometheusError, match="ended with status 3: bad flag --config"):
        async with external_prometheus(nothing, Sockets(), SystemClock(), binary=binary):
            pytest.fail("it is not ready")


async def test_the_child_is_gone_afterwards(tmp_path: Path) -> None:
    """Ready, then terminated with its directory, also when the block raises."""
    note = tmp_path / "note"
    binary = script(tmp_path / "prometheus", f'echo "$$ $PWD" > {note}; exec sleep 100')

    class Ready:
        async def send(self, request: HttpRequest) -> HttpAnswer:
            return HttpAnswer(200 if note.exists() and note.read_text().endswith("\n") else 503)

    with pytest.raises(ZeroDivisionError):
        async with external_prometheus(nothing, Ready(), SystemClock(), binary=binary) as url:
            assert url.startswith("http://127.0.0.1:")
            raise ZeroDivisionError
    pid, home = note.read_text().split()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    assert not os.path.exists(home)  # noqa: ASYNC240


class Ready:
    """It says that it is ready from the beginning."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(200)


async def test_one_that_ends_later_is_told(tmp_path: Path) -> None:
    """With its status and its last words; one that is stopped is not."""
    told = asyncio.Queue[str]()
    dies = script(tmp_path / "dies", "sleep 0.3; echo 'disk full' >&2; exit 4")
    async with external_prometheus(nothing, Ready(), SystemClock(), told.put_nowait, binary=dies), asyncio.timeout(20):
        assert await told.get() == "prometheus ended with status 4: disk full"
    lives = script(tmp_path / "lives", "exec sleep 100")
    async with external_prometheus(nothing, Ready(), SystemClock(), told.put_nowait, binary=lives):
        pass
    assert told.empty()


@pytest.mark.real
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus on PATH")
async def test_a_real_prometheus_scrapes_our_targets() -> None:
    """Targets that appear after the start are scraped, and the query API answers."""
    app = web.Application()
    app.router.add_get("/m", _page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    listed: list[ScrapeTarget] = []

    async def discover() -> list[ScrapeTarget]:
        return listed

    async with external_prometheus(discover, Sockets(), SystemClock()) as url:
        listed.append(ScrapeTarget(f"http://127.0.0.1:{port}/m", {"pod": "p", "job": "mine"}))
        async with asyncio.timeout(20):
            while not (found := await _ask(url, 'hits{pod="p",job="mine"}')):
                await SystemClock().sleep(0.1)
    assert found[0]["value"][1] == "7"
    await runner.cleanup()


async def _page(request: web.Request) -> web.Response:
    return web.Response(text="hits 7\n")


async def _ask(url: str, query: str) -> list[dict[str, list[str]]]:
    answer = await Sockets().send(HttpRequest("GET", f"{url}/api/v1/query?" + urlencode({"query": query})))
    result: list[dict[str, list[str]]] = json.loads(answer.body)["data"]["result"]
    return result
