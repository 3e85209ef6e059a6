"""A running podinfo: its listeners on one address, and an end without a failed request.

Started by the kubelet's podinfo program, and by tests. Stopping goes in two steps: `drain` (unready, connections are
not kept alive, everything is still served), then `stop` (no new connections, what is under way is finished).
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
# Longer than any proxy keeps an idle connection: the side that does not send must not be the one that hangs up.
KEEPALIVE_SECONDS = 3600.0


class Podinfo:
    """One instance. `write` gets its log lines; `real_port` says which port to bind for the one asked for (0: any)."""

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
        """The exit code, once the process that this stands for has ended."""
        return await asyncio.shield(self._exit)

    def drain(self) -> None:
        """Get ready to go: no longer ready, connections close after their answer, every request is still served."""
        self._service.ready, self._service.draining = False, True

    async def stop(self) -> None:
        """Accept nothing more, finish what is under way within the server's shutdown timeout."""
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
        """Take no more connections, and let those just taken find the server still open.

        asyncio drops a connection without a word when its listener is closed between accepting and attaching it.
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
    """The gRPC port accepts connections and says nothing."""
    with suppress(ConnectionError):
        while await reader.read(4096):
            pass
    writer.close()
