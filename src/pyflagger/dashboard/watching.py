"""What all pages share: one watch of the fleet, and one set of watches for each canary that a page shows.

Run by `server`. A change is turned into views once, however many pages show it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.dashboard.bell import Bell
from pyflagger.kube.client import ApiError, Client
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.resources import ACTIONS, CANARIES, NAMESPACES
from pyflagger.objects import Key, Obj
from pyflagger.operator.options import Options
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.explain import explain
from pyflagger.seeing.fleet import row
from pyflagger.seeing.follow import Follower, Selected, Whole
from pyflagger.seeing.history import record_of
from pyflagger.seeing.look import Look
from pyflagger.seeing.model import ActionView, CanaryView, Explanation, FleetRow, RecordView
from pyflagger.seeing.picture import picture
from pyflagger.seeing.read import CANARY_UID, Reader
from pyflagger.seeing.requests import requests

TICK_SECONDS = 5.0
"""How often views are computed again without a change: a canary becomes silent by time alone."""

SETTLE_SECONDS = 0.25
"""The least time between two computations, so that a storm of changes costs little."""

KEPT_SECONDS = 30.0
"""How long a canary is followed after its last page has gone."""


class Trouble(NamedTuple):
    """What is wrong with the connection to the API server, and since when (seconds since the epoch)."""

    text: str
    since: float


class Fleet:
    """The rows of all canaries that the person may list, and their namespaces.

    `hidden`: namespaces whose canaries the person may not list.
    """

    def __init__(self, client: Client, clock: Clock, namespace: str) -> None:
        self._client, self._clock, self._namespace = client, clock, namespace
        self._follower = Follower(client, clock)
        self._selected: tuple[Selected, ...] = ()
        self._ahead = 0.0
        self._known: dict[int, tuple[Obj, FleetRow]] = {}
        self._task: asyncio.Task[None] | None = None
        self.bell, self.hidden = Bell(), 0
        self.rows: Sequence[FleetRow] = ()
        self.namespaces: frozenset[str] = frozenset()
        self.trouble: Trouble | None = None

    @property
    def now(self) -> float:
        """The server's time."""
        return self._clock.now() + self._ahead

    async def begin(self) -> None:
        """Read the canaries and follow them. Raises ApiError."""
        reader = Reader(self._client, self._clock)
        found = await self._found(reader)
        self._selected = tuple(found)
        for what in found:
            await self._follower.follow(what)
        self._take()
        self._task = asyncio.create_task(self._run(), name="fleet")

    async def stop(self) -> None:
        """Follow them no more."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._follower.stop()

    async def _found(self, reader: Reader) -> Mapping[Selected, float]:
        """What to follow: one namespace, all at once, or each that the person may list. Raises ApiError."""
        try:
            return await self._one(reader, self._namespace)
        except Forbidden as error:
            if self._namespace:
                raise
            refusal = error
        with suppress(Forbidden):
            names = [each["metadata"]["name"] for each in (await reader.list(NAMESPACES)).objects]
            found = [each for name in names if (each := await self._allowed(reader, name))]
            self.hidden = len(names) - len(found)
            if found:
                return {what: now for each in found for what, now in each.items()}
        raise refusal

    async def _allowed(self, reader: Reader, namespace: str) -> Mapping[Selected, float] | None:
        try:
            return await self._one(reader, namespace)
        except Forbidden:
            return None

    async def _one(self, reader: Reader, namespace: str) -> Mapping[Selected, float]:
        """A namespace, or all. Raises ApiError."""
        first = await reader.list(CANARIES, namespace, most=1)
        self._ahead = first.now - self._clock.now()
        return {Selected(CANARIES, namespace): first.now}

    async def _run(self) -> None:
        while True:
            await self._follower.change(TICK_SECONDS)
            before = self.rows, self.trouble
            self._take()
            if (self.rows, self.trouble) != before:
                self.bell.ring()
            await self._clock.sleep(SETTLE_SECONDS)

    def _take(self) -> None:
        """The rows as they are now."""
        objects = [obj for what in self._selected for obj in self._follower.objects(what)]
        self._known = {id(obj): (obj, self._row(obj)) for obj in objects}
        self.rows = sorted((each for _, each in self._known.values()), key=lambda each: each.order)
        self.namespaces = frozenset(each.namespace for each in self.rows)
        text = next(filter(None, map(self._follower.trouble, self._selected)), "")
        self.trouble = troubled(self.trouble, text, self.now)

    def _row(self, obj: Obj) -> FleetRow:
        """The row of a Canary: the one before if neither the object nor time changes it."""
        known = self._known.get(id(obj))
        if known and known[0] is obj and known[1].next is None and known[1].phase:
            return known[1]
        found: FleetRow = clean(row(obj, self.now))
        return found


def troubled(before: Trouble | None, text: str, now: float) -> Trouble | None:
    """The trouble now. It keeps its begin while it lasts."""
    return Trouble(text, before.since if before else now) if text else None


class Sight(NamedTuple):
    """What a page shows of a canary. `records`: by number. `requests`: to steer it, those that wait first.

    `settings`: those that the operator publishes, by name; empty if they are not known.

    All but `look` hold no control characters.
    """

    look: Look
    view: CanaryView
    why: Explanation
    records: Mapping[int, RecordView]
    requests: Sequence[ActionView] = ()
    settings: Mapping[str, str] = MappingProxyType({})


class Opened:
    """A canary that pages show. `sight` is None after it was deleted, and `refusal` says why it cannot be read."""

    def __init__(self, client: Client, clock: Clock, key: Key, options: Options) -> None:
        self._whole, self._clock = Whole(client, clock, key, options), clock
        self._task: asyncio.Task[None] | None = None
        self.bell, self.viewers, self.used = Bell(), 0, clock.monotonic()
        self.sight: Sight | None = None
        self.refusal: ApiError | None = None
        self.trouble: Trouble | None = None

    @property
    def now(self) -> float:
        """The server's time."""
        return self._whole.now

    async def begin(self) -> None:
        """Read the canary and follow it. Raises ApiError."""
        await self._whole.begin()
        await self._take()
        self._task = asyncio.create_task(self._run(), name="canary")

    async def stop(self) -> None:
        """Follow it no more."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._whole.stop()

    async def _run(self) -> None:
        while True:
            await self._whole.change(TICK_SECONDS)
            await self._take()
            self.bell.ring()
            await self._clock.sleep(SETTLE_SECONDS)

    async def _take(self) -> None:
        try:
            found, self.refusal = await self._whole.look(), None
        except ApiError as error:
            found, self.refusal = None, error
        self.sight = seen(found)._replace(requests=await self._requests(found)) if found else None
        self.trouble = troubled(self.trouble, self._whole.trouble, self.now)

    async def _requests(self, found: Look) -> Sequence[ActionView]:
        """The requests to steer it; none if the person may not list them, or the cluster does not know them."""
        meta = found.canary["metadata"]
        try:
            what = Selected(ACTIONS, meta["namespace"], labels=f"{CANARY_UID}={meta['uid']}")
            shown: Sequence[ActionView] = clean(requests(await self._whole.more(what)))
        except (Forbidden, NotFound):
            return ()
        return shown


def seen(look: Look) -> Sight:
    """A look as a page shows it."""
    view = picture(look)
    records: Sequence[RecordView] = [clean(record_of(each)) for each in look.records]
    by_number = {each.release.number: each for each in records}
    return Sight(look, clean(view), clean(explain(look, view)), by_number, settings=clean(look.settings))


class Canaries:
    """The canaries that pages show. Each is followed once, and until it was not shown for a while."""

    def __init__(self, client: Client, clock: Clock, options: Options) -> None:
        self._client, self._clock, self._options = client, clock, options
        self._opened: dict[Key, asyncio.Task[Opened]] = {}
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Close canaries that no page shows, from now on."""
        self._task = asyncio.create_task(self._close_unused(), name="canaries")

    async def open(self, key: Key) -> Opened:
        """A canary, followed. Raises NotFound, Forbidden and other ApiErrors if it cannot be read."""
        if key not in self._opened:
            self._opened[key] = asyncio.create_task(self._begun(key))
        try:
            found = await asyncio.shield(self._opened[key])
        except ApiError:
            self._opened.pop(key, None)
            raise
        found.used = self._clock.monotonic()
        if found.sight is None:
            raise found.refusal or NotFound(missing(key))
        return found

    async def stop(self) -> None:
        """Close all."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for key in [*self._opened]:
            await self._close(key)

    async def _begun(self, key: Key) -> Opened:
        found = Opened(self._client, self._clock, key, self._options)
        try:
            await found.begin()
        except BaseException:
            await found.stop()
            raise
        return found

    async def _close_unused(self) -> None:
        while True:
            await self._clock.sleep(KEPT_SECONDS / 2)
            for key in [key for key, task in self._opened.items() if task.done() and self._unused(task)]:
                await self._close(key)

    def _unused(self, task: asyncio.Task[Opened]) -> bool:
        if task.cancelled() or task.exception():
            return True
        found = task.result()
        return not found.viewers and self._clock.monotonic() - found.used > KEPT_SECONDS

    async def _close(self, key: Key) -> None:
        task = self._opened.pop(key)
        task.cancel()
        (found,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(found, Opened):
            await found.stop()


def missing(key: Key) -> Problem:
    """The problem of a canary that does not exist."""
    return Problem(Fault.MANIFEST, f"canary {key} does not exist", "Choose one from the fleet.")
