"""The query API over HTTP on loopback, and without sockets.

`serving` is for HTTP clients (Grafana, curl, another process). `InProcessMetrics` is for code that takes an `Http`,
such as the operator on virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web

from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

from .api import Api

_MAX_BODY = 1 << 20
_FORM = "application/x-www-form-urlencoded"


class InProcessMetrics:
    """An `Http` that sends every request to the embedded store, without a connection."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Answer a request by its path and query. Raises HttpFailure if the response exceeds `max_bytes`."""
        parts = urlsplit(request.url)
        form = request.body or b""
        answer = self._api.answer(request.method, f"{parts.path}?{parts.query}", form)
        if len(answer.body) > request.max_bytes:
            raise HttpFailure("too-large", f"the response exceeds {request.max_bytes} bytes")
        return answer


def application(api: Api) -> web.Application:
    """The API as an aiohttp application."""

    async def handle(request: web.Request) -> web.Response:
        form = await request.read() if request.content_type == _FORM else b""
        answer = api.answer(request.method, request.path_qs, form)
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

    app = web.Application(client_max_size=_MAX_BODY)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


@asynccontextmanager
async def serving(api: Api, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve while the block runs. Yields the base URL. Port 0 takes a free port."""
    runner = web.AppRunner(application(api), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0]
        yield f"http://{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()
