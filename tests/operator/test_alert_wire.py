"""Alerts over real sockets to a receiver that misbehaves: each has an outcome of its own, and nothing is held up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest
from aiohttp import web

from alerts.receiver import TOKEN, alert
from alerts.test_notifiers import GOOD, SETTINGS
from pyflagger.clock import SystemClock
from pyflagger.operator.alerting.dispatcher import Delivered, deliver
from pyflagger.operator.alerting.receivers import Receivers, provided
from pyflagger.operator.options import Options
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger.operator.process.proxies import Proxies
from pyflagger.wire import HttpAnswer, HttpRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


KINDS = sorted({kind for kind, _ in SETTINGS.values()})
"""Every type that has an address of HTTP."""


async def delivered(
    handler: Handler | None, kind: str = "webhook", *, proxy: str = "", host: str = "127.0.0.1"
) -> Delivered:
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
    spec = {"type": kind, "secretRef": {"name": "s"}, "proxy": proxy}
    raw = {"metadata": {"name": "p", "namespace": "test"}, "spec": spec}

    async def secret(namespace: str, name: str) -> Mapping[str, bytes]:
        return {"address": f"http://{host}:{port}/secret-part".encode(), "token": TOKEN.encode()}

    receivers = Receivers(Options(), lambda ref: raw, secret)
    async with AiohttpHttp(proxies=Proxies({})) as http:
        try:
            return await deliver(http, SystemClock(), receivers, provided("test", "p"), alert(), attempts_max=1)
        finally:
            await runner.cleanup()


async def good(request: web.Request) -> web.StreamResponse:
    """Takes it."""
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


def answers(status: int, body: str) -> Handler:
    """A receiver that repeats the token and its address."""

    async def handle(request: web.Request) -> web.StreamResponse:
        echo = f"{body} {TOKEN} {request.url} {dict(request.headers)} {await request.text()}" if status >= 300 else body
        return web.Response(status=status, text=echo)

    return handle


@pytest.mark.parametrize("kind", KINDS)
async def test_a_good_answer(kind: str) -> None:
    """As the service documents it; one request, with the credentials where the service reads them."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(f"{request.method} {dict(request.headers)} {await request.text()}")
        return web.Response(status=known.status, body=known.body)

    known = next(GOOD[which] for which, (type_, _) in SETTINGS.items() if type_ == kind)
    assert (await delivered(handle, kind)).outcome == "sent"
    assert len(seen) == 1 and seen[0].startswith("POST ")
    reads_token = kind in ("grafana", "opsgenie", "pagerduty", "slack", "webhook")
    assert (TOKEN in seen[0]) == reads_token


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, "rejected"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "unauthorized"),
        (429, "limited"),
        (500, "failed"),
        (503, "failed"),
    ],
)
async def test_refusals(kind: str, status: int, outcome: str) -> None:
    """The receiver repeats all that it was sent; the text has the status and no secret."""
    result = await delivered(answers(status, "no"), kind)
    assert result.outcome == outcome and f"Status {status}" in result.text and result.todo
    assert TOKEN not in result.text and "secret-part" not in result.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("handler", "outcome", "text"),
    [
        (huge, "unreadable", "the answer is larger than 65536 bytes"),
        (page, "unreadable", "an HTML page, 'Sign in'"),
        (moved, "rejected", "Status 302 Found"),
        (cut_off, "unreachable", "the connection was closed without an answer"),
        (None, "unreachable", "connection refused"),
    ],
)
async def test_a_receiver_that_misbehaves(kind: str, handler: Handler | None, outcome: str, text: str) -> None:
    """The text has the cause and the host, and not the path."""
    result = await delivered(handler, kind)
    assert result.outcome == outcome and text in result.text, result
    assert "secret-part" not in result.text and TOKEN not in result.text


@pytest.mark.parametrize("kind", KINDS)
async def test_a_receiver_that_never_answers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt ends in time. The bound is shortened for this test."""
    release = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    once = AiohttpHttp._follow

    async def hurried(http: AiohttpHttp, request: HttpRequest) -> HttpAnswer:
        async with asyncio.timeout(0.05):
            return await once(http, request)

    monkeypatch.setattr(AiohttpHttp, "_follow", hurried)
    result = await delivered(handle, kind)
    release.set()
    assert result.outcome == "timeout" and "no answer within" in result.text


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_that_dns_does_not_know(kind: str) -> None:
    """The text has the name, and not the path."""
    result = await delivered(answers(200, ""), kind, host="alerts.example.com")
    assert result.outcome == "unreachable" and "cannot resolve alerts.example.com" in result.text
    assert "secret-part" not in result.text


async def test_a_proxy_that_is_down() -> None:
    """It is the proxy's address that has to be corrected; its password is in no text."""
    result = await delivered(good, proxy="http://me:pass-word@127.0.0.1:1")
    assert result.outcome == "unreachable" and "pass-word" not in result.text and "proxy" in result.todo
