"""What others see of the process over HTTP: /healthz, /readyz, /metrics.

Started by `operator.run` before leader election, so that replicas in waiting are seen too. Knows checks and a metrics
text; nothing of canaries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from pyflagger.clock import Clock
from pyflagger.listening import listen

Check = Callable[[], str | None]
"""Says what is wrong, or None when all is well."""


def application(alive: Sequence[Check], ready: Sequence[Check], metrics: Callable[[], bytes]) -> web.Application:
    """The endpoints. A failing check turns 200 `OK` into 503 with the reasons, a line each.

    `metrics` is called in a thread of its own.
    """

    def answer(checks: Sequence[Check]) -> Callable[[web.Request], object]:
        async def handle(_: web.Request) -> web.Response:
            wrong = [text for check in checks if (text := check())]
            return web.Response(status=503 if wrong else 200, text="\n".join(wrong) or "OK")

        return handle

    async def expose(_: web.Request) -> web.Response:
        # Thousands of canaries have series by the ten thousand: releases go on while they are written down.
        body = await asyncio.to_thread(metrics)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.router.add_route("*", "/healthz", answer(alive))  # type: ignore[arg-type]
    app.router.add_route("*", "/readyz", answer(ready))  # type: ignore[arg-type]
    app.router.add_get("/metrics", expose)
    return app


async def serve(app: web.Application, clock: Clock, host: str, port: int) -> web.AppRunner:
    """Listen; the caller cleans the runner up. Raises OSError when the port is taken."""
    return await listen(app, clock, host, port, shutdown_timeout=3.0)
