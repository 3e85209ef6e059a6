"""ConfigMaps and Secrets of targets: metadata is watched, data is read only for tracked objects that changed.

A cluster may hold thousands of them, and flagger needs few. Called by `operator.observe`. "Does not exist" and "not
read yet" are different values, so that a slow read is never mistaken for a deletion.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Set
from typing import Generic, TypeVar

from pyflagger.api import names
from pyflagger.api.facts import Problem
from pyflagger.clock import Clock
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, Forbidden, NotFound
from pyflagger.kube.resources import CONFIG_MAPS, SECRETS, resource_of
from pyflagger.objects import UNREAD, Found, Obj, Ref

RETRY_SECONDS = 2.0
READS_MAX = 4
"""Concurrent reads, a third of all calls. A start needs thousands of reads; writes must not queue behind them."""

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
        self._owned: dict[str, frozenset[Ref]] = {}
        self._owners: dict[Ref, frozenset[str]] = {}
        self._reading: dict[Ref, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(READS_MAX)
        self._listeners: list[Callable[[Ref], None]] = []
        cache.subscribe(self._changed)

    def start(self) -> None:
        """Start watching metadata."""
        for resource in (CONFIG_MAPS, SECRETS):
            self._cache.watch(resource, metadata_only=True)

    async def stop(self) -> None:
        """Cancel pending reads."""
        for task in list(self._reading.values()):
            task.cancel()
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    def subscribe(self, listener: Callable[[Ref], None]) -> None:
        """Call `listener` when the data of a tracked object was read, changed or deleted."""
        self._listeners.append(listener)

    def want(self, key: Key, refs: Set[Ref]) -> None:
        """Track these objects for a canary instead of the ones it tracked before."""
        before = self._wanted.get(key, frozenset())
        if before is refs or before == refs:
            return
        self._wanted[key] = refs
        for ref in refs:
            self._wanting[ref].add(key)
        for ref in before - refs:
            self._release(key, ref)

    def drop(self, key: Key) -> None:
        """Track nothing for a canary: it was deleted."""
        for ref in self._wanted.pop(key, frozenset()):
            self._release(key, ref)

    def wanted_by(self, ref: Ref) -> tuple[Key, ...]:
        """The canaries that track an object."""
        return tuple(self._wanting.get(ref, ()))

    def find(self, ref: Ref) -> Found:
        """An object with its data, None when it does not exist. UNREAD starts a read, which ends in a notification."""
        if not self._cache.synced(resource_of(ref)):
            return UNREAD
        meta, data = self._cache.get(ref), self._data.get(ref)
        if meta is None:
            return data if ref in self._ahead else None
        if data is not None and _version(data) >= _version(meta):
            return data
        self._read(ref)
        return UNREAD

    def meta(self, ref: Ref) -> Obj | None:
        """An object with its newest known metadata, None when it does not exist. Starts no read."""
        meta, data = self._cache.get(ref), self._data.get(ref)
        if meta is None:
            return data if ref in self._ahead else None
        return data if data is not None and _version(data) > _version(meta) else meta

    def refusal(self, refs: Iterable[Ref]) -> Problem | None:
        """Why flagger may not read one of these objects, although it may list the kind."""
        return next((self._refusals[ref] for ref in refs if ref in self._refusals), None)

    def owned(self, uid: str) -> frozenset[Ref]:
        """The ConfigMaps and Secrets that have the Canary with this uid among their owners."""
        return self._owned.get(uid, frozenset())

    def learn(self, obj: Obj, ref: Ref) -> None:
        """Store an object that an API call returned, ahead of the watch."""
        self._data[ref] = _needed(obj)
        if self._cache.get(ref) is None:
            self._ahead.add(ref)
        self._own(ref, obj)

    def unlearn(self, ref: Ref) -> None:
        """Forget an object that an API call deleted, ahead of the watch."""
        self._data.pop(ref, None)
        self._own(ref, None)

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
        """Read an object, then notify listeners. By then a caller of `find` can start another read after a failure."""
        try:
            await self._load(ref)
        finally:
            del self._reading[ref]
        self._notify(ref)

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
            self._notify(ref)

    def _changed(self, change: ObjectChange) -> None:
        if change.resource not in (CONFIG_MAPS, SECRETS):
            return
        data = self._data.get(change.ref)
        if change.new is None and data is not None and change.old is not None and _uid(data) != _uid(change.old):
            # The watch reports the deletion of an earlier object; a write of ours has recreated it since.
            self._ahead.add(change.ref)
            return
        self._ahead.discard(change.ref)
        if change.new is None:
            self._data.pop(change.ref, None)
        if change.new is None or data is None or _version(data) <= _version(change.new):
            self._own(change.ref, change.new)
        self._notify(change.ref)

    def _own(self, ref: Ref, obj: Obj | None) -> None:
        before, after = self._owners.get(ref, frozenset()), _owners(obj)
        for uid in before - after:
            self._owned[uid] -= {ref}
            if not self._owned[uid]:
                del self._owned[uid]
        for uid in after - before:
            self._owned[uid] = self._owned.get(uid, frozenset()) | {ref}
        if after:
            self._owners[ref] = after
        else:
            self._owners.pop(ref, None)

    def _notify(self, ref: Ref) -> None:
        for listener in self._listeners:
            listener(ref)


def _needed(obj: Obj) -> Obj:
    obj["metadata"].pop("managedFields", None)
    return obj


def _owners(obj: Obj | None) -> frozenset[str]:
    """The uids of the Canaries that own an object."""
    owners = (obj["metadata"].get("ownerReferences") or ()) if obj else ()
    return frozenset(owner["uid"] for owner in owners if names.is_canary(owner))


def _uid(obj: Obj) -> str:
    return str(obj["metadata"].get("uid") or "")


def _version(obj: Obj) -> int:
    text = str(obj["metadata"].get("resourceVersion") or "")
    return int(text) if text.isdigit() else 0
