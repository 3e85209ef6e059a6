"""The user of a request, and what that user sees and may do: each request of `server` has a Visit. A Door tells it.

`local` has one visit for all requests. In a cluster, `entrance` makes one for each user.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

from aiohttp import web

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.bell import Bell
from pyflagger.dashboard.problems import Refused
from pyflagger.dashboard.watching import Opened, Trouble
from pyflagger.dashboard.who import Who
from pyflagger.kube.client import Client
from pyflagger.objects import Key
from pyflagger.seeing.model import FleetRow

ACTIONS_A_MINUTE = 30


class Site(NamedTuple):
    """What every page says: the context of the kubeconfig, the user, and the version of this program.

    `acting`: whether there are act pages. `login`: the path of the login, if there is one. `leave`: the token of the
    form that ends the session, empty without a session.
    """

    context: str
    user: str
    version: str
    acting: bool
    login: str = ""
    leave: str = ""


class Rows(Protocol):
    """The canaries that a user may see. `hidden`: namespaces whose canaries the user may not list, as far as known."""

    @property
    def bell(self) -> Bell:
        """Rings when they change."""

    @property
    def rows(self) -> Sequence[FleetRow]:
        """One row a canary, the worst first."""

    @property
    def now(self) -> float:
        """The server's time."""

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with the connection to the API server."""

    @property
    def hidden(self) -> int:
        """How many namespaces are left out."""


class Allowance:
    """At most ACTIONS_A_MINUTE requests of one user, dry runs included."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._asked = clock, deque[float]()

    def take(self) -> None:
        """Count a request. Raises Refused."""
        now = self._clock.monotonic()
        while self._asked and self._asked[0] <= now - 60.0:
            self._asked.popleft()
        if len(self._asked) >= ACTIONS_A_MINUTE:
            text = f"more than {ACTIONS_A_MINUTE} requests in a minute"
            raise Refused(429, Problem(Fault.MANIFEST, text, "Wait a moment."))
        self._asked.append(now)


@contextmanager
def unwatched() -> Iterator[None]:
    """A stream that is not counted."""
    yield


class Visit(NamedTuple):
    """A request's user. `open` finds a canary. `client` creates requests with the user's rights; None: only reading.

    `token` is that of the user's forms. `formed`: a document that asks for an action needs the token too. `lives`: a
    stream ends when the user may not go on. `watching`: a stream of the user is open while the block runs.
    """

    who: Who
    mode: str
    site: Site
    fleet: Rows
    open: Callable[[Key], Awaitable[Opened]]
    client: Client | None
    token: str
    allowance: Allowance
    formed: bool = True
    lives: Callable[[], bool] = lambda: True
    watching: Callable[[], AbstractContextManager[None]] = unwatched


VISIT = web.RequestKey("visit", Visit)


def visit_of(request: web.Request) -> Visit:
    """The visit of a request that was let in."""
    return request[VISIT]


class Door(Protocol):
    """Lets requests in. `acting`: whether there are act pages. `site`: what pages show without a user."""

    acting: bool
    site: Site

    def routes(self) -> Sequence[web.RouteDef]:
        """The paths of the door itself, such as a login."""

    async def admit(self, request: web.Request) -> Visit | web.StreamResponse | None:
        """The visit of a request, an answer in its place, or None on a path that is open to all. Raises Refused."""
