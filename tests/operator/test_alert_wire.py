"""Alerts over real sockets to a receiver that misbehaves: each has an outcome of its own, and nothing is held up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from alerts.receiver import alert
from pyflagger.clock import SystemClock
from pyflagger.operator.alerting.dispatcher import Delivered, deliver
from pyflagger.operator.alerting.receivers import Receivers, provided
from pyflagger.operator.options import Options
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger.operator.process.proxies import Proxies

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def delivered(handler: Handler | None, kind: str = "webhook", *, proxy: str = "") -> Delivered:
    """The end of one attempt at a receiver on loopback; None: nothing listens there."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler or good)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    if handler is None:
        await runner.cleanup()
    spec = {"type": kind, "address": f"http://127.0.0.1:{port}/secret-part", "proxy": proxy}
    raw = {"metadata": {"name": "p", "namespace": "test"}, "spec": spec}
    receivers = Receivers(Options(), lambda ref: raw, None)  # type: ignore[arg-type]
    async with AiohttpHttp(proxies=Proxies({})) as http:
        try:
            return await deliver(http, SystemClock(), receivers, provided("test", "p"), alert(), attempts_max=1)
        finally:
            await runner.cleanup()


async def good(request: web.Request) -> web.StreamResponse:
    """Takes it."""
    assert (await request.json())["data"]["message"]
    return web.Response(status=202)


async def huge(request: web.Request) -> web.StreamResponse:
    """Answers without end."""
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"x" * 65536)
    except (ConnectionError, asyncio.CancelledError):
        return response


async def page(request: web.Request) -> web.StreamResponse:
    """A login page."""
    return web.Response(text="<!doctype html><html><title>Sign in</title></html>", content_type="text/html")


async def moved(request: web.Request) -> web.StreamResponse:
    """Leads to the credentials of the machine."""
    raise web.HTTPFound("http://169.254.169.254/latest/meta-data/iam/")


async def cut_off(request: web.Request) -> web.StreamResponse:
    """Closes the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "outcome", "text"),
    [
        (good, "sent", ""),
        (huge, "unreadable", "the answer is larger than 65536 bytes"),
        (page, "unreadable", "an HTML page, 'Sign in'"),
        (moved, "rejected", "Status 302 Found"),
        (cut_off, "unreachable", "the connection was closed without an answer"),
        (None, "unreachable", "Connect"),
    ],
)
async def test_a_receiver_that_misbehaves(handler: Handler | None, outcome: str, text: str) -> None:
    """The text has the cause and the host, and not the path."""
    result = await delivered(handler)
    assert result.outcome == outcome and text in result.text, result
    assert "secret-part" not in result.text


async def test_a_proxy_that_is_down() -> None:
    """It is the proxy's address that has to be corrected; its password is in no text."""
    result = await delivered(good, proxy="http://me:pass-word@127.0.0.1:1")
    assert result.outcome == "unreachable" and "pass-word" not in result.text and "proxy" in result.todo
