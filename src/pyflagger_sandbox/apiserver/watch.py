"""One open watch: the initial objects, every change as it happens, bookmarks, and the end.

Each watch reads the store's log at its own position, so a slow client does not delay others. A client that falls behind
the end of the log gets 410.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass

from pyflagger.admission.errors import ApiError
from pyflagger.admission.resource import Resource
from pyflagger.clock import Clock
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.faults import Broken
from pyflagger_sandbox.apiserver.messages import dump
from pyflagger_sandbox.apiserver.selectors import Predicate
from pyflagger_sandbox.apiserver.shapes import Shape, event_line
from pyflagger_sandbox.apiserver.store import Entry, Shelf, StoreChange

BOOKMARK_EVERY = 60.0
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class Wish:
    """The parameters of a watch. When `since` is None, the watch begins with all objects."""

    resource: Resource
    namespace: str
    keep: Predicate | None
    since: int | None
    bookmarks: bool
    mark_initial: bool
    timeout: float


class Watch:
    """An open watch. Call `lines()` only once."""

    def __init__(self, wish: Wish, shelf: Shelf, shape: Shape, clock: Clock, revision: Callable[[], int]) -> None:
        self._wish, self._shelf, self._shape, self._clock, self._revision = wish, shelf, shape, clock, revision
        self._bell = asyncio.Event()
        self._bookmark_due = self._over = False
        self._broken: Exception | None = None

    @property
    def resource(self) -> Resource:
        """The watched resource."""
        return self._wish.resource

    def break_off(self, error: Exception | None = None) -> None:
        """Break the connection now (`Broken`), or end with an ERROR event (ApiError)."""
        self._broken = error or Broken("the server broke the watch")
        self._bell.set()

    def end(self) -> None:
        """Close the watch without an error, as at a timeout."""
        self._over = True
        self._bell.set()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """The events. Raises Broken after `break_off`."""
        self._shelf.bells[self._bell] = None
        timer = asyncio.ensure_future(self._timer())
        try:
            place = self._revision()
            for line in self._initial(place):
                yield line
            if self._wish.since is not None:
                place = self._wish.since
            while not self._over:
                for change in self._shelf.since(place):
                    place = change.revision
                    for line in self._event(change):
                        yield line
                if self._bookmark_due and not self._shelf.since(place):
                    self._bookmark_due = False
                    place = self._revision()
                    yield self._bookmark(place)
                await self._rung()
        except ApiError as error:
            yield event_line("ERROR", dump(error.status()))
        finally:
            timer.cancel()
            self._shelf.bells.pop(self._bell, None)

    async def _rung(self) -> None:
        await self._bell.wait()
        self._bell.clear()
        if self._broken:
            raise self._broken

    async def _timer(self) -> None:
        left = self._wish.timeout
        while left > 0:
            await self._clock.sleep(min(left, BOOKMARK_EVERY))
            left -= BOOKMARK_EVERY
            self._bookmark_due = self._wish.bookmarks
            self._bell.set()
        self.end()

    def _initial(self, revision: int) -> Iterator[bytes]:
        if self._wish.since is None:
            for entry in self._shelf.entries(self._wish.namespace):
                if self._wish.keep is None or self._wish.keep(entry.obj):
                    yield self._shape.event("ADDED", entry)
        if self._wish.mark_initial:
            yield self._bookmark(revision, {INITIAL_EVENTS_END: "true"})

    def _event(self, change: StoreChange) -> Iterator[bytes]:
        """The event for a change. An object that leaves the selection is DELETED, one that enters it is ADDED."""
        if self._wish.namespace and change.key[0] != self._wish.namespace:
            return
        keep = self._wish.keep
        if keep is None:
            yield self._shape.event(change.type, change.entry)
            return
        was = change.before is not None and keep(change.before.obj)
        now = change.type != "DELETED" and keep(change.entry.obj)
        if now:
            yield self._shape.event("MODIFIED" if was else "ADDED", change.entry)
        elif was and change.before is not None:
            yield self._shape.event("DELETED", _as_of(change.before, change.revision))

    def _bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        meta: Obj = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        body = {"kind": self._wish.resource.kind, "apiVersion": self._wish.resource.api_version, "metadata": meta}
        return self._shape.event("BOOKMARK", Entry(body))


def _as_of(entry: Entry, revision: int) -> Entry:
    return Entry({**entry.obj, "metadata": {**entry.obj["metadata"], "resourceVersion": str(revision)}})
