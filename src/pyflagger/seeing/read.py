"""Reads objects from an API server for one look, with the rights of the person who asks. It never writes.

Called by the command line and the dashboard. `now` is the server's clock, so that a laptop with a wrong clock does not
see a late operator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.kube.client import Client, object_of
from pyflagger.kube.errors import Forbidden, Unreachable, error_of
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, TransportError
from pyflagger.kube.resources import ACTIONS, CANARIES, NAMESPACES, RELEASES
from pyflagger.objects import Key, Obj, Ref, Resource, part

CANARY_UID = "flagger.app/canary-uid"
"""The label of records, as `api.records` names it: its import would take longer than the list of canaries may."""

PAGE = 500
"""Objects in one page of a list, as kubectl asks for."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The objects of a list, and the server's time in seconds since the epoch."""

    objects: tuple[Obj, ...]
    now: float


class Reader:
    """Reads for one person.

    `exact`: lists hold every write that was answered before. Otherwise the API server may answer from its watch cache:
    several times faster for a thousand canaries, and usually less than a second old.
    """

    def __init__(self, client: Client, clock: Clock, *, exact: bool = True) -> None:
        self._client, self._clock, self._exact = client, clock, exact

    async def canaries(self, namespace: str = "", selector: str = "") -> Listed:
        """The Canaries of a namespace, or of all. Raises ApiError."""
        return await self.list(CANARIES, namespace, selector)

    async def everywhere(self, selector: str = "") -> tuple[Listed, int]:
        """The Canaries of all namespaces, and the number of namespaces whose Canaries the person may not list.

        Where one list of all is forbidden, each namespace is listed. Raises ApiError.
        """
        try:
            return await self.canaries("", selector), 0
        except Forbidden as error:
            refusal = error
        names = await self._namespaces(refusal)
        lists = await asyncio.gather(*(self._allowed(name, selector) for name in names))
        seen = [each for each in lists if each is not None]
        if not seen:
            raise refusal
        return Listed(tuple(obj for each in seen for obj in each.objects), seen[-1].now), len(names) - len(seen)

    async def _namespaces(self, refusal: Forbidden) -> Sequence[str]:
        """The names of all namespaces. Raises the first refusal if they cannot be listed either."""
        try:
            return [each["metadata"]["name"] for each in (await self.list(NAMESPACES)).objects]
        except Forbidden:
            raise refusal from None

    async def _allowed(self, namespace: str, selector: str) -> Listed | None:
        """The Canaries of a namespace, None if the person may not list them."""
        try:
            return await self.canaries(namespace, selector)
        except Forbidden:
            return None

    async def list(
        self, resource: Resource, namespace: str = "", selector: str = "", fields: str = "", most: int = 0
    ) -> Listed:
        """All objects of a kind, page by page, or about the first `most`. Raises ApiError."""
        found: list[Obj] = []
        chosen = {"labelSelector": selector, "fieldSelector": fields, "limit": str(most or PAGE)}
        if not self._exact:
            chosen = {"labelSelector": selector, "fieldSelector": fields, "resourceVersion": "0"}
        query = {name: value for name, value in chosen.items() if value}
        while True:
            answer = await self._call(resource.path(namespace), query)
            page = object_of(answer, "GET", resource.path(namespace))
            found += page.get("items") or ()
            token = (page.get("metadata") or {}).get("continue")
            if not token or (most and len(found) >= most):
                return Listed(tuple(found), self._now(answer))
            query["continue"] = token

    async def uid(self, key: Key) -> str:
        """The uid of a Canary. Raises ApiError."""
        found, _ = await self.get(CANARIES.ref(*key), CANARIES)
        return str(found["metadata"]["uid"])

    async def releases(self, key: Key, uid: str) -> Listed:
        """The records of a Canary's releases. Raises ApiError."""
        return await self.list(RELEASES, key.namespace, f"{CANARY_UID}={uid}")

    async def actions(self, key: Key, uid: str) -> Listed:
        """The requests about a Canary. Raises ApiError."""
        found = await self.list(ACTIONS, key.namespace, f"{CANARY_UID}={uid}")
        return replace(found, objects=tuple(each for each in found.objects if _about(each) == key.name))

    async def get(self, ref: Ref, resource: Resource) -> tuple[Obj, float]:
        """An object, and the server's time. Raises ApiError."""
        path = resource.path(ref.namespace, ref.name)
        answer = await self._call(path, {})
        return object_of(answer, "GET", path), self._now(answer)

    async def _call(self, path: str, query: Mapping[str, str]) -> ApiAnswer:
        """One call. Raises ApiError."""
        try:
            answer = await self._client.once(ApiRequest("GET", path, query))
        except TransportError as error:
            raise Unreachable(Problem(Fault.CLUSTER, f"the API server does not answer: {error}")) from error
        if answer.status >= 400:
            raise error_of("get", path, answer.status, answer.body)
        return answer

    def _now(self, answer: ApiAnswer) -> float:
        """The time of an answer by the server's clock, or by ours if it does not say so."""
        try:
            return parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return self._clock.now()


def _about(action: Obj) -> str:
    """The Canary that a request is about. Its label proves nothing."""
    return str(part(action, "spec").get("canary", ""))
