"""The dashboard of a cluster's users. Run by `flagger dashboard --in-cluster`, in a Deployment of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.credentials import Proxied
from pyflagger.dashboard.entrance import Entrance
from pyflagger.dashboard.guard import Place
from pyflagger.dashboard.people import People, Ways
from pyflagger.dashboard.server import Server
from pyflagger.dashboard.watching import Fleet
from pyflagger.dashboard.who import identified
from pyflagger.kube.client import Client, NotFound
from pyflagger.listening import listen
from pyflagger.operator.options import Options


class Settings(NamedTuple):
    """How a dashboard in a cluster runs. `namespace`: empty for all. `address`: None for every one of the pod."""

    place: Place
    trusted: Proxied | None
    namespace: str
    port: int
    address: str | None = None
    read_only: bool = False


@asynccontextmanager
async def entered(ways: Ways, clock: Clock, settings: Settings, options: Options) -> AsyncIterator[Server]:
    """The handlers while the block runs. Raises ApiError."""
    own = Client(ways.own, clock)
    await check_server(own)
    async with AsyncExitStack() as stack:
        fleet = Fleet(own, clock, settings.namespace)
        stack.push_async_callback(fleet.stop)
        await fleet.begin()
        people = People(ways, fleet, clock, options)
        people.begin()
        stack.push_async_callback(people.stop)
        acting = not settings.read_only
        yield Server(Entrance(settings.place, people, settings.trusted, clock, acting=acting), clock)


@asynccontextmanager
async def running(ways: Ways, clock: Clock, settings: Settings, options: Options) -> AsyncIterator[int]:
    """Serve while the block runs. Gives the port. Raises ApiError, and OSError if the port is in use."""
    async with entered(ways, clock, settings, options) as server:
        runner = await listen(server.application(), clock, settings.address, settings.port, shutdown_timeout=0.5)
        try:
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()


async def check_server(own: Client) -> None:
    """Check that the API server tells users who they are. Raises ApiError."""
    try:
        await identified(own)
    except NotFound as error:
        text = "the API server has no SelfSubjectReview in authentication.k8s.io/v1, so it identifies no user"
        todo = "Use Kubernetes 1.28 or newer."
        raise NotFound(Problem(Fault.CLUSTER, f"{text}: use Kubernetes 1.28 or newer", todo)) from error
