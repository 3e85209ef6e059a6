"""HTTP servers with time limits and safe logs, for the operator's endpoints and the load tester.

aiohttp waits without limit for the first request on a connection. A client that opens connections and stays silent
could exhaust them, so this module closes such connections.

aiohttp logs the raw bytes of a request that it cannot parse, which may contain a token. Log lines from here name the
error and never contain request data. Bodies are not decompressed here: aiohttp would do it before the caller is
authenticated.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from pyflagger import logs
from pyflagger.clock import Clock

HEAD_WITHIN = 10.0
"""Seconds between checks for silent connections. A new connection must send a request's headers within two checks."""

KEPT_ALIVE = 75.0
"""Seconds that a connection may be idle between requests: longer than clients keep connections for reuse."""


async def listen(app: web.Application, clock: Clock, host: str | None, port: int, **options: Any) -> web.AppRunner:
    """Listen on a port; 0 means any free port. The caller cleans the runner up. Raises OSError: port unavailable."""
    heard: set[object] = set()
    ushers: list[asyncio.Task[None]] = []

    @web.middleware
    async def note(request: web.Request, handler: Any) -> web.StreamResponse:
        heard.add(request.protocol)
        response: web.StreamResponse = await handler(request)
        return response

    async def leave(_: web.Application) -> None:
        for usher in ushers:
            usher.cancel()
        await asyncio.gather(*ushers, return_exceptions=True)

    app.middlewares.append(note)
    app.on_shutdown.append(leave)
    runner = web.AppRunner(
        app, access_log=None, logger=_log(), auto_decompress=False, keepalive_timeout=KEPT_ALIVE, **options
    )
    await runner.setup()
    ushers.append(asyncio.create_task(_show_out(runner, heard, clock), name="usher"))
    try:
        await web.TCPSite(runner, host, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner


class Discreet(logging.Handler):
    """Logs that a request failed and why, without any data from the request."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one line. It omits the exception's text, which can contain the request."""
        error = record.exc_info[1] if record.exc_info else None
        log, name = logs.logger(), type(error).__name__
        if isinstance(error, HttpProcessingError):
            log.warning("failed to parse a request", error=name)
        elif error is not None:
            log.error("a request failed", error=name, stack="".join(traceback.format_tb(error.__traceback__)))


def _log() -> logging.Logger:
    """A separate logger for each server, with no parent that would log the record again."""
    log = logging.Logger("pyflagger.listening", logging.INFO)
    log.addHandler(Discreet())
    return log


async def _show_out(runner: web.AppRunner, heard: set[object], clock: Clock) -> None:
    """Close connections that sent no request between two consecutive checks."""
    silent: set[Any] = set()
    while runner.server is not None:
        await clock.sleep(HEAD_WITHIN)
        open_now: set[Any] = set(runner.server.connections if runner.server else ())
        heard &= open_now
        for connection in open_now - heard:
            if connection in silent:
                connection.force_close()
        silent = open_now - heard
