"""The one way to listen over HTTP: a caller may ask for so much patience and no more.

Used by the operator's endpoints and by the load tester. aiohttp waits for ever for the head of the first request on a
connection, so whoever opens connections and says nothing could use them all up. Never sees what is asked.

aiohttp logs requests that it cannot parse with the bytes that it got, a token among them: here a log line names the
error and never holds what was sent. Bodies are handed on as they came: aiohttp would decode them before the caller is
known.
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
"""Seconds in which a new connection has to bring the head of a request; it may have twice as long."""

KEPT_ALIVE = 75.0
"""Seconds that a connection may rest between requests: longer than clients keep one that they mean to use again."""


async def listen(app: web.Application, clock: Clock, host: str | None, port: int, **options: Any) -> web.AppRunner:
    """Listen; the caller cleans the runner up. Port 0 takes a free one. Raises OSError when the port cannot be had."""
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
    """Logs that a request failed and how, and nothing of what was sent."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line. An exception's text is left out: it can hold the request."""
        error = record.exc_info[1] if record.exc_info else None
        log, name = logs.logger(), type(error).__name__
        if isinstance(error, HttpProcessingError):
            log.warning("a request could not be parsed", error=name)
        elif error is not None:
            log.error("a request failed", error=name, stack="".join(traceback.format_tb(error.__traceback__)))


def _log() -> logging.Logger:
    """A logger of its own for each server: nothing above it listens."""
    log = logging.Logger("pyflagger.listening", logging.INFO)
    log.addHandler(Discreet())
    return log


async def _show_out(runner: web.AppRunner, heard: set[object], clock: Clock) -> None:
    """Close connections that were silent at two looks one after the other."""
    silent: set[Any] = set()
    while runner.server is not None:
        await clock.sleep(HEAD_WITHIN)
        open_now: set[Any] = set(runner.server.connections if runner.server else ())
        heard &= open_now
        for connection in open_now - heard:
            if connection in silent:
                connection.force_close()
        silent = open_now - heard
