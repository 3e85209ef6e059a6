"""The HTTP endpoints of the process: /healthz, /readyz, /metrics.

`operator.run` starts them before leader election, so that standby replicas have them, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from pyflagger.clock import Clock
from pyflagger.listening import listen

Check = Callable[[], str | None]
"""Returns the problem, or None if there is none."""


def application(alive: Sequence[Check], ready: Sequence[Check], metrics: Callable[[], bytes]) -> web.Application:
    """The endpoints. If a check fails, the response is 503 with one reason per line, instead of 200 `OK`.

    `metrics` runs in a separate thread.
    """

    def answer(checks: Sequence[Check]) -> Callable[[web.Request], object]:
        async def handle(_: web.Request) -> web.Response:
            wrong = [text for check in checks if (text := check())]
            return web.Response(status=503 if wrong else 200, text="\n".join(wrong) or "OK")

        return handle

    async def expose(_: web.Request) -> web.Response:
        # With thousands of canaries this takes long. A thread keeps the event loop free for releases.
        body = await asyncio.to_thread(metrics)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.router.add_route("*", "/healthz", answer(alive))  # type: ignore[arg-type]
    app.router.add_route("*", "/readyz", answer(ready))  # type: ignore[arg-type]
    app.router.add_get("/metrics", expose)
    return app


async def serve(app: web.Application, clock: Clock, host: str, port: int) -> web.AppRunner:
    """Start to listen. The caller must clean up the runner. Raises OSError if the port is in use."""
    return await listen(app, clock, host, port, shutdown_timeout=3.0)
