"""The dashboard of one person on this machine. Run by `flagger dashboard`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from pyflagger.clock import Clock
from pyflagger.dashboard.server import Server
from pyflagger.dashboard.watching import Canaries, Fleet
from pyflagger.dashboard.who import whoami
from pyflagger.kube.client import Client
from pyflagger.listening import listen
from pyflagger.operator.options import Options


class Running(NamedTuple):
    """A dashboard that answers. `url` has the key in it."""

    url: str
    server: Server


@asynccontextmanager
async def running(
    client: Client,
    clock: Clock,
    namespace: str,
    options: Options,
    context: str,
    address: str,
    port: int,
    *,
    read_only: bool = False,
) -> AsyncIterator[Running]:
    """Serve while the block runs. `namespace`: empty for all. Raises ApiError, and OSError if the port is in use."""
    async with AsyncExitStack() as stack:
        fleet, canaries = Fleet(client, clock, namespace), Canaries(client, clock, options)
        stack.push_async_callback(fleet.stop)
        await fleet.begin()
        canaries.begin()
        stack.push_async_callback(canaries.stop)
        server = Server(fleet, canaries, clock, await whoami(client), context, None if read_only else client)
        runner = await listen(server.application(), clock, address, port, shutdown_timeout=0.5)
        stack.push_async_callback(runner.cleanup)
        host, found, *_ = runner.addresses[0]
        yield Running(f"http://{host}:{found}/?key={server.guard.key}", server)
