"""Connections that say nothing are closed; those that ask are served, and rest as long as clients keep them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from pyflagger.clock import SystemClock
from pyflagger.listening import HEAD_WITHIN, KEPT_ALIVE, listen

ASK = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Gate(SystemClock):
    """A clock whose sleepers wake when they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = asyncio.Event()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Until the next `look`."""
        self.slept.append(seconds)
        await self.woken.wait()
        self.woken.clear()

    async def look(self) -> None:
        """Let the sleeper wake, look, and go to sleep again."""
        before = len(self.slept)
        self.woken.set()
        while len(self.slept) == before:
            await asyncio.get_running_loop().run_in_executor(None, int)


@pytest.fixture
async def door() -> AsyncIterator[tuple[Gate, int]]:
    """A server that answers everything, and its port."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="OK")

    app, gate = web.Application(), Gate()
    app.router.add_route("*", "/", answer)
    runner = await listen(app, gate, "127.0.0.1", 0)
    yield gate, runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("said", [b"", b"POST / HTTP/1.1\r\nHost: h\r\nX-Slow: "], ids=["nothing", "half a head"])
async def test_who_says_nothing_is_shown_out(door: tuple[Gate, int], said: bytes) -> None:
    """At the second look; whoever came in between has as long as the others had."""
    gate, port = door
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    await gate.look()
    late, later = await asyncio.open_connection("127.0.0.1", port)
    later.write(said)
    assert not reader.at_eof()
    await gate.look()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    later.write(ASK if not said else b"1\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await late.read(15)).startswith(b"HTTP/1.1 ")
    writer.close()
    later.close()
    assert set(gate.slept) == {HEAD_WITHIN}


async def answered(reader: asyncio.StreamReader) -> bytes:
    """The head of an answer, read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    return head


async def test_who_asked_may_stay(door: tuple[Gate, int]) -> None:
    """A connection that rests between two requests is not silent; a path that is not there was asked for, too."""
    gate, port = door
    for path in (b"/", b"/none"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(ASK.replace(b"GET / ", b"GET " + path + b" "))
            assert (await answered(reader)).startswith(b"HTTP/1.1 ")
            for _ in range(3):
                await gate.look()
        writer.close()


async def test_a_connection_of_ours_is_never_closed_in_our_face() -> None:
    """The server keeps it longer than our own client means to use it again: a POST is not sent twice."""
    import aiohttp

    async with aiohttp.TCPConnector() as connector:
        assert connector._keepalive_timeout < KEPT_ALIVE


async def test_a_port_that_is_taken(door: tuple[Gate, int]) -> None:
    """The error is the caller's, and nothing is left behind."""
    _, port = door
    with pytest.raises(OSError):
        await listen(web.Application(), SystemClock(), "127.0.0.1", port)
    assert len([task for task in asyncio.all_tasks() if task.get_name() == "usher"]) == 1
