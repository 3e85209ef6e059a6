"""The dashboard of one person on this machine. Run by `flagger dashboard`."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from aiohttp import web

from pyflagger import __version__
from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.guard import check_request, check_written, loopback, same
from pyflagger.dashboard.problems import Refused
from pyflagger.dashboard.server import Server
from pyflagger.dashboard.visit import Allowance, Site, Visit
from pyflagger.dashboard.watching import Canaries, Fleet
from pyflagger.dashboard.who import Who, whoami
from pyflagger.kube.client import Client
from pyflagger.listening import listen
from pyflagger.operator.options import Options


class LocalDoor:
    """The door of one person. `key` is printed with the address, and becomes a cookie.

    `context` is that of the kubeconfig. `client` creates requests; None: this dashboard only reads.
    """

    def __init__(
        self, fleet: Fleet, canaries: Canaries, clock: Clock, who: Who, context: str, client: Client | None = None
    ) -> None:
        self.key, token, self._session = (secrets.token_urlsafe(32) for _ in range(3))
        self.acting = client is not None
        self.site = Site(context, who.user or "", __version__, self.acting)
        self._visit = Visit(who, "local", self.site, fleet, canaries.open, client, token, Allowance(clock))

    def routes(self) -> Sequence[web.RouteDef]:
        """None."""
        return ()

    async def admit(self, request: web.Request) -> Visit | web.StreamResponse | None:
        """Let a request in, or answer it where a key becomes the cookie. Raises Refused."""
        port = _port(request)
        place = loopback(port)
        check_request(request, place, acting=self.acting)
        check_written(request, place)
        given = request.query.get("key")
        if given is not None and same(given, self.key):
            return self._begun(request, port)
        if not same(request.cookies.get(cookie(port), ""), self._session):
            todo = "Open the address that `flagger dashboard` printed. It holds the key."
            raise Refused(401, Problem(Fault.MANIFEST, "this browser has no session here", todo))
        return self._visit

    def _begun(self, request: web.Request, port: int) -> web.Response:
        """The same page without the key, with the cookie."""
        rest = request.rel_url.without_query_params("key")
        found = web.Response(status=303, headers={"Location": f"/{str(rest).lstrip('/')}"})
        found.set_cookie(cookie(port), self._session, httponly=True, samesite="Strict", path="/")
        return found


def cookie(port: int) -> str:
    """The name of the cookie. Browsers share cookies among all ports of a host."""
    return f"flagger-{port}"


def _port(request: web.Request) -> int:
    """The port that the request came in on."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return int(name[1]) if name else 0


class Running(NamedTuple):
    """A dashboard that answers. `url` has the key in it."""

    url: str


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
        door = LocalDoor(fleet, canaries, clock, await whoami(client), context, None if read_only else client)
        runner = await listen(Server(door, clock).application(), clock, address, port, shutdown_timeout=0.5)
        stack.push_async_callback(runner.cleanup)
        host, found, *_ = runner.addresses[0]
        yield Running(f"http://{host}:{found}/?key={door.key}")
