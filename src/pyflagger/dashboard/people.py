"""The users of a dashboard in a cluster. Each has its own rights and its own watches. Run by `entrance`.

A user is known by a hash of the token, or by the names that a trusted proxy sends.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.credentials import Named
from pyflagger.dashboard.lent import UNAUTHORIZED, Lent
from pyflagger.dashboard.problems import Refused
from pyflagger.dashboard.rights import Asks, Rights, Seen, own_review, review_of
from pyflagger.dashboard.visit import Allowance
from pyflagger.dashboard.watching import Canaries, Fleet, Opened, missing
from pyflagger.dashboard.who import Who, identified
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.protocol import Transport
from pyflagger.objects import Key
from pyflagger.operator.options import Options

RENEW_SECONDS = 55.0
"""The age at which the API server is asked again about a user's rights: before `rights.VALID_SECONDS`."""

TEND_SECONDS = 2.0
KEPT_SECONDS = 120.0
"""How long a user without open pages is remembered."""

STREAMS_MAX = 40
"""Open pages of one user, of `streams.STREAMS_MAX` of all."""

PEOPLE_MAX = 500
"""Users who are remembered at once. One more is refused."""

ANONYMOUS = "system:anonymous"


class Ways(NamedTuple):
    """Connections to the API server.

    `own`: with the dashboard's account. `users`: with the credentials of each request. `strangers`: the same for tokens
    that are not verified yet, so that a flood of these holds up no user.
    """

    own: Transport
    users: Transport
    strangers: Transport


class Proof(NamedTuple):
    """What a user has shown. `key`: a hash of it. `way` and `headers`: make calls with the user's rights.

    `who` tells the user. `asks` makes a question about the rights from the user's client. Both raise ApiError.
    """

    key: bytes
    way: Transport
    headers: tuple[tuple[str, str], ...]
    who: Callable[[], Awaitable[Who]]
    asks: Callable[[Client], Asks]


class Person:
    """A user. `fresh` first."""

    def __init__(self, proof: Proof, fleet: Fleet, clock: Clock, options: Options) -> None:
        self.key, self._proof, self._fleet, self._clock = proof.key, proof, fleet, clock
        self.client = Client(Lent(proof.way, proof.headers, self.end), clock)
        self.rights = Rights(proof.asks(self.client), clock)
        self.seen, self._canaries = Seen(fleet, self.rights), Canaries(self.client, clock, options)
        self._lock, self.begun = asyncio.Lock(), False
        self._failure: Refused | ApiError | None = None
        self.who, self.used, self.streams, self.ended = Who(), clock.monotonic(), 0, False

    def end(self) -> None:
        """Note that the API server takes the credentials no more."""
        self.ended = True

    async def fresh(self) -> None:
        """Know the user, and rights that are at most RENEW_SECONDS old. Raises Refused, ApiError."""
        async with self._lock:
            self.used = self._clock.monotonic()
            if self.rights.age >= RENEW_SECONDS:
                await self._asked(self._renew)
            else:
                await self._asked(partial(self.rights.learn, self._fleet.namespaces))

    async def tended(self) -> None:
        """Keep the rights fresh while pages are open. Wakes them when the rights change."""
        before = self._sight()
        try:
            if self.rights.age >= RENEW_SECONDS or self.rights.unknown(self._fleet.namespaces):
                await self.fresh()
        except (Refused, ApiError):
            pass  # The rights count for nothing soon.
        if self._sight() != before:
            self._fleet.bell.ring()

    async def open(self, key: Key) -> Opened:
        """A canary with the user's rights. Raises NotFound also if the user may not see it, and other ApiErrors."""
        try:
            return await self._canaries.open(key)
        except (Forbidden, NotFound):
            raise NotFound(missing(key)) from None
        except ApiError as error:
            raise _refused(error) from error

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A page of the user is open. Raises Refused beyond STREAMS_MAX."""
        if self.streams >= STREAMS_MAX:
            text = f"more than {STREAMS_MAX} of your pages are open"
            raise Refused(429, Problem(Fault.MANIFEST, text, "Close some of them."))
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1
            self.used = self._clock.monotonic()

    async def stop(self) -> None:
        """Follow nothing more."""
        self.ended = True
        await self._canaries.stop()

    def _sight(self) -> tuple[bool, bool, frozenset[str]]:
        everywhere = self.rights.everywhere
        return self.ended, everywhere, frozenset(() if everywhere else filter(self.rights.sees, self._fleet.namespaces))

    async def _asked(self, question: Callable[[], Awaitable[None]]) -> None:
        """Ask the API server. Requests that waited for the first answer get the same error."""
        if self._failure:
            raise self._failure
        if self.ended:
            raise expired()
        try:
            await question()
        except (ApiError, Refused) as error:
            found = _refused(error)
            self._failure = None if self.begun else found
            self.ended = self.ended or found.status == UNAUTHORIZED
            raise found from error

    async def _renew(self) -> None:
        self.who = await self._proof.who()
        if not self.who.user or self.who.user == ANONYMOUS:
            raise expired()
        await self.rights.renew(self._fleet.namespaces)
        if not self.begun:
            self.begun = True
            self._canaries.begin()


class People:
    """The users that are remembered. `begin` first."""

    def __init__(self, ways: Ways, fleet: Fleet, clock: Clock, options: Options) -> None:
        self._ways, self._fleet, self._clock, self._options = ways, fleet, clock, options
        self._known: dict[bytes, Person] = {}
        self._allowances: dict[str, Allowance] = {}
        self._secret = secrets.token_bytes(32)
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Renew rights and forget users, from now on."""
        self._task = asyncio.create_task(self._tend(), name="people")

    async def stop(self) -> None:
        """Forget all."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for person in [*self._known.values()]:
            await self._forget(person)

    async def bearer(self, token: str) -> Person:
        """The user of a token. Raises Refused, ApiError."""
        headers = (("Authorization", f"Bearer {token}"),)
        stranger = Client(Lent(self._ways.strangers, headers, lambda: None), self._clock)
        key = hashlib.sha256(token.encode()).digest()
        return await self._met(Proof(key, self._ways.users, headers, partial(identified, stranger), own_review))

    async def named(self, named: Named) -> Person:
        """The user that a trusted proxy names. Raises Refused, ApiError."""
        headers = (("Impersonate-User", named.user), *(("Impersonate-Group", each) for each in named.groups))
        own = Client(self._ways.own, self._clock)

        async def who() -> Who:
            return Who(*named)

        key = hashlib.sha256(repr(named).encode()).digest()
        return await self._met(Proof(key, self._ways.own, headers, who, lambda _: review_of(own, *named)))

    def token(self, key: bytes) -> str:
        """The token of the forms of a user or a session. It cannot be computed from the key alone."""
        return hmac.new(self._secret, key, hashlib.sha256).hexdigest()

    def allowance(self, person: Person) -> Allowance:
        """What the user may ask for, whatever tokens it has."""
        return self._allowances.setdefault(person.who.user or "", Allowance(self._clock))

    async def _met(self, proof: Proof) -> Person:
        person = self._known.get(proof.key)
        if person is None:
            self._check_room()
            person = self._known[proof.key] = Person(proof, self._fleet, self._clock, self._options)
        try:
            await person.fresh()
        except BaseException:
            if (person.ended or not person.begun) and self._known.get(proof.key) is person:
                await self._forget(person)
            raise
        return person

    def _check_room(self) -> None:
        if len(self._known) >= PEOPLE_MAX:
            text = f"more than {PEOPLE_MAX} users, or tokens that are not verified yet"
            raise Refused(503, Problem(Fault.CLUSTER, text, "Try again in a minute."))

    async def _forget(self, person: Person) -> None:
        self._known.pop(person.key, None)
        if all(each.who.user != person.who.user for each in self._known.values()):
            self._allowances.pop(person.who.user or "", None)
        await person.stop()

    async def _tend(self) -> None:
        while True:
            await self._clock.sleep(TEND_SECONDS)
            everybody = [*self._known.values()]
            await asyncio.gather(*(each.tended() for each in everybody if each.streams))
            for each in everybody:
                idle = not each.streams and self._clock.monotonic() - each.used > KEPT_SECONDS
                if idle or (each.ended and not each.streams):
                    await self._forget(each)


def expired() -> Refused:
    """The answer to credentials that the API server does not take, or takes no more."""
    text = "the API server does not know this token, or it has expired"
    return Refused(401, Problem(Fault.MANIFEST, text, "Get a new one, and log in with it."))


def _refused(error: ApiError | Refused) -> ApiError | Refused:
    return expired() if error.status == UNAUTHORIZED else error
