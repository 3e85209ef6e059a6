"""Objects in memory: one revision counter, and for each resource a map and a bounded log of changes.

The verbs of the server call it. It checks nothing and knows no kinds. It never changes a stored object: a write
replaces the whole object, so readers may keep the old one. To find an old state it walks the log back. The pages of one
list rely on this.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pyflagger.admission.errors import expired
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.messages import dump

Key = tuple[str, str]
ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


class Entry:
    """An object and its JSON, encoded on first use."""

    __slots__ = ("_raw", "obj")

    def __init__(self, obj: Obj) -> None:
        self.obj = obj
        self._raw = b""

    @property
    def raw(self) -> bytes:
        """The object as JSON, encoded once for all readers."""
        if not self._raw:
            self._raw = dump(self.obj)
        return self._raw


@dataclass(frozen=True, slots=True)
class StoreChange:
    """One write. `entry` is the new state; for a deletion the last state, with the deletion's revision."""

    revision: int
    type: ChangeType
    key: Key
    entry: Entry
    before: Entry | None


class Shelf:
    """The objects of one resource, sorted by namespace and name, and the log of their changes.

    To wait for changes, add an event to `bells`. Every change sets them all in order of registration, so that a run is
    repeatable.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._entries: dict[Key, Entry] = {}
        self._sorted: list[Key] | None = []
        self._log: list[StoreChange] = []
        self._floor = 0
        self.bells: dict[asyncio.Event, None] = {}

    def get(self, key: Key) -> Entry | None:
        """The entry of an object, or None."""
        return self._entries.get(key)

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self, namespace: str = "") -> list[Entry]:
        """All entries, or those of a namespace, in order of namespace and name."""
        return [self._entries[key] for key in self._keys() if not namespace or key[0] == namespace]

    def entries_at(self, revision: int) -> list[tuple[Key, Entry]]:
        """The entries as they were at `revision`. Raises ApiError (410) when the log does not reach back that far."""
        if not self._log or self._log[-1].revision <= revision:
            return [(key, self._entries[key]) for key in self._keys()]
        then: dict[Key, Entry] = dict(self._entries)
        for change in reversed(self.since(revision)):
            if change.before is None:
                del then[change.key]
            else:
                then[change.key] = change.before
        return sorted(then.items(), key=lambda item: item[0])

    def since(self, revision: int) -> list[StoreChange]:
        """Changes after `revision`. Raises ApiError (410) when the log no longer has all of them."""
        if revision < self._floor:
            raise expired(f"too old resource version: {revision} ({self._floor})")
        if not self._log or self._log[-1].revision <= revision:
            return []
        return self._log[bisect_right(self._log, revision, key=lambda change: change.revision) :]

    def note(self, change: StoreChange) -> None:
        """Record a change."""
        if change.type == "DELETED":
            del self._entries[change.key]
        else:
            self._entries[change.key] = change.entry
        if change.type != "MODIFIED":
            self._sorted = None
        self._log.append(change)
        if len(self._log) > 2 * self._kept:
            self.forget(len(self._log) - self._kept)
        for bell in self.bells:
            bell.set()

    def forget(self, count: int) -> None:
        """Drop the `count` oldest changes."""
        dropped = self._log[:count]
        if dropped:
            self._floor = dropped[-1].revision
            self._log = self._log[count:]

    def forget_all(self) -> None:
        """Drop all history, as a compaction does."""
        self.forget(len(self._log))

    def _keys(self) -> list[Key]:
        if self._sorted is None:
            self._sorted = sorted(self._entries)
        return self._sorted


class Store:
    """All shelves under one revision counter. `kept` is the minimum number of changes in each resource's log."""

    def __init__(self, kept: int = 4096) -> None:
        self._kept = kept
        self._shelves: dict[str, Shelf] = {}
        self.revision = 1
        self.listeners: list[Callable[[str, StoreChange], None]] = []

    def shelf(self, resource: str) -> Shelf:
        """The shelf of a resource such as `deployments.apps`."""
        found = self._shelves.get(resource)
        if found is None:
            found = self._shelves[resource] = Shelf(self._kept)
        return found

    def put(self, resource: str, obj: Obj) -> Obj:
        """Create or replace an object. Returns it with its new resourceVersion."""
        shelf, key = self.shelf(resource), key_of(obj)
        before = shelf.get(key)
        entry = self._stamped(obj)
        self._note(resource, StoreChange(self.revision, "MODIFIED" if before else "ADDED", key, entry, before))
        return entry.obj

    def remove(self, resource: str, obj: Obj) -> Obj:
        """Delete the object with the last state `obj`. Returns this state with the deletion's revision."""
        key = key_of(obj)
        entry = self._stamped(obj)
        self._note(resource, StoreChange(self.revision, "DELETED", key, entry, self.shelf(resource).get(key)))
        return entry.obj

    def forget_all(self) -> None:
        """Drop the history of every resource. Watches from an earlier revision get 410."""
        for shelf in self._shelves.values():
            shelf.forget_all()

    def _stamped(self, obj: Obj) -> Entry:
        self.revision += 1
        return Entry({**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}})

    def _note(self, resource: str, change: StoreChange) -> None:
        self.shelf(resource).note(change)
        for listener in self.listeners:
            listener(resource, change)


def key_of(obj: Obj) -> Key:
    """The key of an object on its shelf."""
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]
