"""The load tester as a process: command line, log, signals, graceful shutdown."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from pyflagger import goflags, logs
from pyflagger.clock import Clock, SystemClock
from pyflagger.kube.client import Client
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.kubeconfig import NoCluster
from pyflagger.kube.reach import find
from pyflagger.listening import listen
from pyflagger.wire import Http

from .app import LoadTester
from .options import FLAGS, TOKEN_VARIABLE, Options, read_options
from .reaper import adopt_orphans, reap
from .runner import Log

SHUTDOWN = 20.0
"""Seconds that blocking tasks may take after SIGTERM; a kubelet waits 30."""

Opened = Callable[[], AbstractAsyncContextManager[Http]]

OPEN = "every client that can reach this port may run commands: set -token or -kubernetes-auth"
CHECKED = "only clients with a valid token"


@asynccontextmanager
async def serving(
    options: Options,
    clock: Clock,
    log: Log,
    environment: Mapping[str, str],
    http: Http,
    *,
    shutdown: float = SHUTDOWN,
    client: Client | None = None,
) -> AsyncIterator[str]:
    """Serve while the block runs. Yields the base URL. Port 0 means any free port.

    `environment` is the environment of commands (PATH with shims first, http_proxy). Stops all processes of tasks on
    exit. Raises OSError when the port is unavailable.
    """
    kept = {name: value for name, value in environment.items() if name != TOKEN_VARIABLE}
    app = LoadTester(options, clock, log, kept, http, client).application()
    runner = await listen(
        app, clock, options.host or None, options.port, handler_cancellation=True, shutdown_timeout=shutdown
    )
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        await runner.cleanup()


async def serve(
    options: Options,
    clock: Clock,
    environment: Mapping[str, str],
    http: Http,
    stop: asyncio.Event,
    log: Log | None = None,
) -> None:
    """Serve until `stop` is set. Raises OSError when the port is unavailable, NoCluster without an API server."""
    logger = log if log is not None else logs.logger()
    transport = AiohttpTransport(await find("", "", clock), "flagger-loadtester") if options.kubernetes_auth else None
    client = Client(transport, clock) if transport else None
    try:
        async with serving(options, clock, logger, environment, http, client=client) as url:
            logger.info("starting load tester", address=url, callers=CHECKED if options.token or client else OPEN)
            await stop.wait()
            logger.info("shutting down")
    finally:
        if transport:
            await transport.close()


def main(argv: Sequence[str], http: Opened) -> int:
    """The command: serve until SIGTERM or SIGINT. Exit status 2: the command line is invalid; 1: it cannot serve.

    `http` opens the client for tests on other servers.
    """
    if goflags.asks_for_help(argv):
        sys.stdout.write(goflags.usage("flagger loadtester", FLAGS) + "\n")
        return 0
    try:
        options = read_options(argv, os.environ)
    except goflags.BadFlag as error:
        sys.stderr.write(f"flagger loadtester: {error}. Try `flagger loadtester -help`.\n")
        return 2
    logs.configure(options.log_level, options.zap_encoding)
    try:
        asyncio.run(_until_signalled(options, http))
    except NoCluster as error:
        sys.stderr.write(f"flagger loadtester: -kubernetes-auth: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"flagger loadtester: cannot serve on port {options.port}: {error}\n")
        return 1
    return 0


async def _until_signalled(options: Options, http: Opened) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    adopt_orphans()
    reaping = asyncio.create_task(reap(SystemClock()), name="reaper")
    try:
        async with http() as client:
            await serve(options, SystemClock(), os.environ, client, stop)
    finally:
        reaping.cancel()
