"""Which namespaces' canaries a user may see: the answers of the API server, for a minute.

A user who may list canaries in all namespaces is asked about once, others once for each namespace that has canaries.
What is unknown or refused is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from pyflagger.clock import Clock
from pyflagger.dashboard.bell import Bell
from pyflagger.dashboard.watching import Fleet, Trouble
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import part
from pyflagger.seeing.model import FleetRow

GROUP = "authorization.k8s.io/v1"
EVERYWHERE = ""
VALID_SECONDS = 60.0
"""Answers that are older count for nothing, so a right that was revoked ends within a minute."""

ASKED_AT_ONCE = 12
UNAUTHORIZED = 401

Asks = Callable[[str], Awaitable[bool]]
"""Whether the user may list the canaries of a namespace, or of all. Raises ApiError."""


def own_review(client: Client) -> Asks:
    """Ask with the user's own rights."""

    async def asks(namespace: str) -> bool:
        return await _asked(client, "SelfSubjectAccessReview", namespace, {})

    return asks


def review_of(client: Client, user: str, groups: Sequence[str]) -> Asks:
    """Ask about another user."""

    async def asks(namespace: str) -> bool:
        return await _asked(client, "SubjectAccessReview", namespace, {"user": user, "groups": [*groups]})

    return asks


async def _asked(client: Client, kind: str, namespace: str, subject: Mapping[str, Any]) -> bool:
    wanted = {"verb": "list", "group": CANARIES.group, "resource": CANARIES.plural, "namespace": namespace}
    spec = {"resourceAttributes": wanted, **subject}
    path = f"/apis/{GROUP}/{kind.lower()}s"
    answer = await client.call("POST", path, {"apiVersion": GROUP, "kind": kind, "spec": spec})
    return part(answer, "status").get("allowed") is True


class Rights:
    """The rights of one user."""

    def __init__(self, asks: Asks, clock: Clock) -> None:
        self._asks, self._clock = asks, clock
        self._slots = asyncio.Semaphore(ASKED_AT_ONCE)
        self._at = float("-inf")
        self._known: dict[str, bool] = {}

    @property
    def age(self) -> float:
        """Seconds since the API server was asked about all."""
        return self._clock.monotonic() - self._at

    @property
    def everywhere(self) -> bool:
        """Whether the user may see all namespaces."""
        return self.age < VALID_SECONDS and self._known.get(EVERYWHERE, False)

    def sees(self, namespace: str) -> bool:
        """Whether the user may see a namespace."""
        return self.everywhere or (self.age < VALID_SECONDS and self._known.get(namespace, False))

    def unknown(self, namespaces: Collection[str]) -> set[str]:
        """The namespaces about which the API server was not asked."""
        return set() if self.everywhere else set(namespaces) - self._known.keys()

    async def renew(self, namespaces: Collection[str]) -> None:
        """Ask about all. Raises ApiError, and then nothing may be seen."""
        began = self._clock.monotonic()
        try:
            everywhere = await self._asks(EVERYWHERE)
            known = {} if everywhere else await self._each(namespaces)
        except ApiError:
            self._at = float("-inf")
            raise
        self._at, self._known = began, {EVERYWHERE: everywhere, **known}

    async def learn(self, namespaces: Collection[str]) -> None:
        """Ask about namespaces that are new. Raises ApiError if the API server refuses the user."""
        self._known |= await self._each(self.unknown(namespaces))

    async def _each(self, namespaces: Collection[str]) -> dict[str, bool]:
        names = sorted(namespaces)
        return dict(zip(names, await asyncio.gather(*map(self._one, names)), strict=True))

    async def _one(self, namespace: str) -> bool:
        async with self._slots:
            try:
                return await self._asks(namespace)
            except ApiError as error:
                if error.status == UNAUTHORIZED:
                    raise
                return False


class Seen:
    """The rows of a fleet that a user may see. Namespaces that are left out are not counted: they are not there."""

    hidden = 0

    def __init__(self, fleet: Fleet, rights: Rights) -> None:
        self._fleet, self._rights = fleet, rights

    @property
    def bell(self) -> Bell:
        """Rings when rows or rights change."""
        return self._fleet.bell

    @property
    def rows(self) -> Sequence[FleetRow]:
        """The rows."""
        if self._rights.everywhere:
            return self._fleet.rows
        seen = {name for name in self._fleet.namespaces if self._rights.sees(name)}
        return [each for each in self._fleet.rows if each.namespace in seen]

    @property
    def now(self) -> float:
        """The server's time."""
        return self._fleet.now

    @property
    def trouble(self) -> Trouble | None:
        """What is wrong with the connection of the dashboard."""
        return self._fleet.trouble
