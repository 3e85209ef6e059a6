"""ConfigMaps and Secrets of targets: watched by metadata alone, read only when tracked and changed.

A cluster may hold thousands of them, most of no concern. Called by `operator.observe`; tells "not there" from "not read
yet", so that a slow read is never mistaken for a deletion.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Set
from typing import Generic, TypeVar

from pyflagger.api.facts import Problem
from pyflagger.clock import Clock
from pyflagger.kube.cache import Cache, Change
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, Forbidden, NotFound
from pyflagger.kube.resources import CONFIG_MAPS, SECRETS, resource_of
from pyflagger.objects import UNREAD, Found, Obj, Ref, controller_of

RETRY_SECONDS = 2.0
READS_MAX = 4
"""Reads at once, a third of all calls: after a start there are thousands, and what is decided must not wait for all."""

Key = TypeVar("Key", bound=Hashable)


class Configs(Generic[Key]):
    """Data of tracked ConfigMaps and Secrets."""

    def __init__(self, cache: Cache, client: Client, clock: Clock) -> None:
        self._cache, self._client, self._clock = cache, client, clock
        self._wanted: dict[Key, Set[Ref]] = {}
        self._wanting: defaultdict[Ref, set[Key]] = defaultdict(set)
        self._data: dict[Ref, Obj] = {}
        self._refusals: dict[Ref, Problem] = {}
        self._ahead: set[Ref] = set()
        self._owned: defaultdict[str, frozenset[Ref]] = defaultdict(frozenset)
        self._reading: dict[Ref, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(READS_MAX)
        self._listeners: list[Callable[[Ref], None]] = []
        cache.subscribe(self._changed)

    def start(self) -> None:
        """Begin to watch."""
        for resource in (CONFIG_MAPS, SECRETS):
            self._cache.watch(resource, metadata_only=True)

    async def stop(self) -> None:
        """Give up reads that are under way."""
        for task in list(self._reading.values()):
            task.cancel()
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    def subscribe(self, listener: Callable[[Ref], None]) -> None:
        """Call `listener` when the data of a tracked object has come, changed or gone."""
        self._listeners.append(listener)

    def want(self, key: Key, refs: Set[Ref]) -> None:
        """Track these for a canary, in place of its earlier ones."""
        before = self._wanted.get(key, frozenset())
        if before is refs or before == refs:
            return
        self._wanted[key] = refs
        for ref in refs:
            self._wanting[ref].add(key)
        for ref in before - refs:
            self._release(key, ref)

    def drop(self, key: Key) -> None:
        """The canary is gone."""
        for ref in self._wanted.pop(key, frozenset()):
            self._release(key, ref)

    def wanted_by(self, ref: Ref) -> tuple[Key, ...]:
        """Which canaries track an object."""
        return tuple(self._wanting.get(ref, ()))

    def find(self, ref: Ref) -> Found:
        """An object with its data; None when there is none. Reading begins by asking."""
        if not self._cache.synced(resource_of(ref)):
            return UNREAD
        meta, data = self._cache.get(ref), self._data.get(ref)
        if meta is None:
            return data if ref in self._ahead else None
        if data is not None and _version(data) >= _version(meta):
            return data
        self._read(ref)
        return UNREAD

    def refusal(self, refs: Iterable[Ref]) -> Problem | None:
        """Why one of these may not be read, although its kind may be listed."""
        return next((self._refusals[ref] for ref in refs if ref in self._refusals), None)

    def owned(self, uid: str) -> frozenset[Ref]:
        """The ConfigMaps and Secrets that the object with this uid controls."""
        return self._owned.get(uid, frozenset())

    def learn(self, obj: Obj, ref: Ref) -> None:
        """An API call answered with this object."""
        self._data[ref] = _needed(obj)
        if self._cache.get(ref) is None:
            self._ahead.add(ref)
        owner = controller_of(obj)
        if owner:
            self._owned[owner["uid"]] |= {ref}

    def unlearn(self, ref: Ref) -> None:
        """An API call deleted this object."""
        self._data.pop(ref, None)
        for uid, refs in list(self._owned.items()):
            if ref in refs:
                self._owned[uid] = refs - {ref}

    def _release(self, key: Key, ref: Ref) -> None:
        self._wanting[ref].discard(key)
        if not self._wanting[ref]:
            del self._wanting[ref]
            self._data.pop(ref, None)
            self._refusals.pop(ref, None)

    def _read(self, ref: Ref) -> None:
        if ref not in self._reading:
            self._reading[ref] = asyncio.get_running_loop().create_task(self._fetch(ref))

    async def _fetch(self, ref: Ref) -> None:
        """Read, and tell when it may be asked again: who asks at once begins a new read if this one has failed."""
        try:
            await self._load(ref)
        finally:
            del self._reading[ref]
        self._tell(ref)

    async def _load(self, ref: Ref) -> None:
        try:
            async with self._slots:
                found = await self._client.get(resource_of(ref), ref.namespace, ref.name)
            self._data[ref] = _needed(found)
            self._refusals.pop(ref, None)
        except NotFound:
            self._data.pop(ref, None)
        except ApiError as error:
            self._refuse(ref, error)
            await self._clock.sleep(RETRY_SECONDS)

    def _refuse(self, ref: Ref, error: ApiError) -> None:
        if isinstance(error, Forbidden) and ref not in self._refusals:
            self._refusals[ref] = error.problem
            self._tell(ref)

    def _changed(self, change: Change) -> None:
        if change.resource not in (CONFIG_MAPS, SECRETS):
            return
        self._ahead.discard(change.ref)
        self._reown(change)
        if change.new is None:
            self._data.pop(change.ref, None)
        self._tell(change.ref)

    def _reown(self, change: Change) -> None:
        before, after = (controller_of(obj) if obj else None for obj in (change.old, change.new))
        if before and (not after or after["uid"] != before["uid"]):
            left = self._owned[before["uid"]] - {change.ref}
            if left:
                self._owned[before["uid"]] = left
            else:
                del self._owned[before["uid"]]
        if after:
            self._owned[after["uid"]] |= {change.ref}

    def _tell(self, ref: Ref) -> None:
        for listener in self._listeners:
            listener(ref)


def _needed(obj: Obj) -> Obj:
    obj["metadata"].pop("managedFields", None)
    return obj


def _version(obj: Obj) -> int:
    text = str(obj["metadata"].get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0
