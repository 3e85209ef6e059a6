"""`flagger load`: visits at a steady rate, counted by who answered; failures make it fail."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from loadtester.counting import command, server
from pyflagger.cli.load import Visits, load, main
from pyflagger.clock import SystemClock

HOST = "shop.local"


@pytest.fixture
async def ingress() -> AsyncIterator[tuple[str, list[str], list[int]]]:
    """An ingress: its URL, the hosts that were asked for, and the status codes that it answers (the last for ever)."""
    asked: list[str] = []
    codes = [200]

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers["Host"])
        code = codes.pop(0) if len(codes) > 1 else codes[0]
        return web.json_response({"version": "1.0"}, status=code)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port, *_ = runner.addresses[0]
    yield f"http://{host}:{port}/", asked, codes
    await runner.cleanup()


async def test_visits_come_at_the_rate_that_is_asked_for(ingress: tuple[str, list[str], list[int]]) -> None:
    """By Host, and who answers is told at the end."""
    url, asked, _ = ingress
    told: list[str] = []
    assert await load(url, [HOST, "other.local"], 100, 0.1, SystemClock(), told.append)
    assert set(asked) == {HOST, "other.local"} and 10 <= len(asked) <= 24
    assert told[-1].splitlines()[0] == f"{HOST}: {len(asked) // 2} visits, 0 failed; 1.0: {len(asked) // 2}"


async def test_a_failed_visit_fails_the_command(ingress: tuple[str, list[str], list[int]]) -> None:
    """With its status code."""
    url, _, codes = ingress
    codes[:] = [503, 200]
    told: list[str] = []
    assert not await load(url, [HOST], 100, 0.05, SystemClock(), told.append)
    assert "1 failed (503: 1)" in told[-1]


async def test_an_ingress_that_is_away_is_named_as_that() -> None:
    """And stops nothing: it may come."""
    told: list[str] = []
    assert not await load("http://127.0.0.1:9/", [HOST], 50, 0.05, SystemClock(), told.append)
    assert "no connection" in told[-1]


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (200, b"hello", "shop.local: 1 visits, 0 failed; 200: 1"),
        (200, b"[1]", "shop.local: 1 visits, 0 failed; 200: 1"),
        (404, b"", "shop.local: 1 visits, 0 failed; 404: 1"),
        (500, b"", "shop.local: 1 visits, 1 failed (500: 1)"),
    ],
)
def test_answers_are_counted_by_what_they_say(status: int, body: bytes, line: str) -> None:
    """By version where there is one; what the app refuses is an answer."""
    visits = Visits(HOST)
    visits.note(status, body)
    assert visits.line() == line


def test_without_an_ingress_the_command_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, before anything is tried."""
    monkeypatch.delenv("INGRESS", raising=False)
    assert main([HOST]) == 2
    assert "--ingress" in capsys.readouterr().err


async def test_time_is_up_while_a_visit_hangs() -> None:
    """The last answers are waited for, so that none is missing."""
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port, *_ = runner.addresses[0]
    told: list[str] = []
    working = asyncio.create_task(load(f"http://{host}:{port}/", [HOST], 50, 0.02, SystemClock(), told.append))
    asyncio.get_running_loop().call_later(0.1, release.set)
    assert await working
    assert told[-1].endswith("200: 1") or "0 failed" in told[-1]
    await runner.cleanup()


async def test_a_url_means_load_on_it() -> None:
    """With the options of hey, and its summary."""
    async with server() as one:
        words = ("-n", "4", "-c", "2", "-H", "X-A: b", f"{one.url}/x")
        status, out, err = await command(sys.executable, "-m", "pyflagger", "load", *words)
        assert (status, err) == (0, "")
        assert "[200]\t4 responses" in out
        assert [request.headers["X-A"] for request in one.seen] == ["b"] * 4


async def test_the_url_of_the_ingress_is_no_target() -> None:
    """It may be the last word; hosts are visited all the same."""
    async with server() as one:
        words = (HOST, "--duration", "300ms", "--ingress", one.url)
        status, out, _ = await command(sys.executable, "-m", "pyflagger", "load", *words)
        assert (status, out.partition(" ")[0]) == (0, f"{HOST}:")
        assert one.seen[0].headers["Host"] == HOST


@pytest.mark.parametrize("words", [("-nosuch", "http://x/"), ("ftp://x/",), ("-n", "0", "http://x/")])
def test_a_wrong_load_is_told(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with the form of the command."""
    assert main(words) == 1
    assert "Usage: flagger load [options...] <url>" in capsys.readouterr().err
