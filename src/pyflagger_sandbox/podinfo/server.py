"""A running podinfo: listens on one address, and stops without a failed request.

The kubelet's podinfo program and tests start it. It stops in two steps. After `drain` it is unready and closes
connections after their response, but serves every request. `stop` accepts no new connections, and finishes pending
requests.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

from aiohttp import web

from pyflagger.api.durations import precise_stamp
from pyflagger.clock import Clock

from .handlers import Service, application, metrics_application
from .options import Options

LEVELS = ("debug", "info", "warn", "error", "fatal", "panic")
# Longer than any proxy keeps an idle connection, because the client must be the one that closes it.
KEEPALIVE_SECONDS = 3600.0


class Podinfo:
    """One instance. `write` gets its log lines. `real_port` returns the port to bind for a requested port (0: any)."""

    def __init__(
        self,
        options: Options,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        hostname: str = "podinfo",
        environ: Mapping[str, str] | None = None,
        write: Callable[[str], None] = lambda line: None,
        real_port: Callable[[int], int] = lambda port: port,
    ) -> None:
        self._options, self._clock, self._host, self._write = options, clock, host, write
        self._real_port = real_port
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._service = Service(options, clock, hostname, environ or {}, self._ended, self._log)
        self._runners: list[web.AppRunner] = []
        self._listeners: list[socket.socket] = []
        self._grpc: asyncio.Server | None = None
        self.ports: dict[int, int] = {}

    async def start(self) -> None:
        """Listen. Raises OSError when a port is taken."""
        options = self._options
        for name in options.unknown:
            self._log("warn", f"unknown flag: --{name}")
        self._log("info", "Starting podinfo", version=options.version, revision="sandbox", port=str(options.port))
        if options.crash:
            self._log("fatal", "this version crashes when it starts")
            return self._ended(1)
        try:
            await self._listen()
        except BaseException:
            await self.stop()
            raise
        self._service.healthy, self._service.ready = not options.unhealthy, not options.unready
        return None

    async def wait(self) -> int:
        """Wait for the end of the emulated process. Returns the exit code."""
        return await asyncio.shield(self._exit)

    def drain(self) -> None:
        """Become unready, and close connections after their response. Still serves every request."""
        self._service.ready, self._service.draining = False, True

    async def stop(self) -> None:
        """Accept no connections, and finish pending requests within the server's shutdown timeout."""
        self._service.ready = self._service.healthy = False
        try:
            if self._grpc:
                self._grpc.close()
            await self._close_doors()
            await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        finally:
            self._runners.clear()
            self._ended(0)

    async def _close_doors(self) -> None:
        """Close the listeners. Still serves connections that were just accepted.

        asyncio silently drops a connection if its listener closes after accepting it and before attaching it.
        """
        loop, settled = asyncio.get_running_loop(), asyncio.Event()
        for listener in self._listeners:
            if listener.fileno() >= 0:
                loop.remove_reader(listener.fileno())
        self._listeners.clear()
        loop.call_soon(loop.call_soon, settled.set)
        await settled.wait()

    async def _listen(self) -> None:
        options = self._options
        await self._serve(application(self._service), options.port)
        if options.port_metrics:
            await self._serve(metrics_application(self._service), options.port_metrics)
        if options.grpc_port:
            self._grpc = await asyncio.start_server(_hold, self._host, self._real_port(options.grpc_port))
            self.ports[options.grpc_port] = self._grpc.sockets[0].getsockname()[1]

    async def _serve(self, app: web.Application, port: int) -> None:
        runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=KEEPALIVE_SECONDS,
            shutdown_timeout=self._options.server_shutdown_timeout,
        )
        await runner.setup()
        self._runners.append(runner)
        listener = socket.create_server((self._host, self._real_port(port)))
        self._listeners.append(listener)
        await web.SockSite(runner, listener).start()
        self.ports[port] = runner.addresses[0][1]

    def _ended(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(code)

    def _log(self, level: str, message: str, **more: str) -> None:
        wanted = self._options.level if self._options.level in LEVELS else "info"
        if LEVELS.index(level) >= LEVELS.index(wanted):
            line = {"level": level, "ts": precise_stamp(self._clock.now()), "msg": message} | more
            self._write(json.dumps(line))


async def _hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept connections on the gRPC port, and send nothing."""
    with suppress(ConnectionError):
        while await reader.read(4096):
            pass
    writer.close()
