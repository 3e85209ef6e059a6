"""The controllers' cache: lists and watches each kind, with indexes, and includes the controllers' own writes at once.

Reconcile functions read it as a `View`. Watch tasks fill it, and so does the manager after each write. It adds the
response of a write before its watch event, so that the next reconciliation never repeats the write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from pyflagger.clock import Clock
from pyflagger.kube.protocol import TransportError
from pyflagger.objects import Obj, controller_of

from .client import Api, ApiError, Gone

RETRY_SECONDS = 1.0
GONE_MAX = 4096

Index: TypeAlias = Callable[[Obj], Iterable[Hashable]]
Listener: TypeAlias = Callable[[str, Obj | None, Obj | None], None]
"""(kind, before, after) → None. `before` is None for a new object, `after` for a deleted one."""


def by_namespace(obj: Obj) -> Iterable[Hashable]:
    """Index: the namespace."""
    return (obj["metadata"].get("namespace", ""),)


def by_owner(obj: Obj) -> Iterable[Hashable]:
    """Index: the uid of the controlling owner, or (namespace,) for an orphan."""
    owner = controller_of(obj)
    return (owner["uid"],) if owner else ((obj["metadata"].get("namespace", ""),),)


def by_selector(service: Obj) -> Iterable[Hashable]:
    """Index: one label of a Service's selector, to find the Services of a pod by its labels."""
    selector = (service.get("spec") or {}).get("selector") or {}
    return (((service["metadata"]["namespace"], *min(selector.items()))),) if selector else ()


def by_node(pod: Obj) -> Iterable[Hashable]:
    """Index: the node of a pod; empty for none."""
    return ((pod.get("spec") or {}).get("nodeName") or "",)


def by_label(pod: Obj) -> Iterable[Hashable]:
    """Index: each label of a pod, to find the pods of a Service."""
    namespace = pod["metadata"].get("namespace", "")
    return ((namespace, *label) for label in (pod["metadata"].get("labels") or {}).items())


EVERY_KIND: dict[str, Index] = {"namespace": by_namespace, "owner": by_owner}
OF_KIND: dict[str, dict[str, Index]] = {
    "Service": {"selector": by_selector},
    "Pod": {"node": by_node, "label": by_label},
}


@dataclass(slots=True)
class _Kind:
    """The objects of one kind by (namespace, name), and the keys under each index value."""

    objects: dict[tuple[str, str], Obj] = field(default_factory=dict)
    indexed: dict[tuple[str, Hashable], dict[tuple[str, str], None]] = field(default_factory=dict)


class View:
    """Reads cached objects. Do not change them, and do not keep them across an await."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = {kind: _Kind() for kind in kinds}

    def get(self, kind: str, namespace: str, name: str) -> Obj | None:
        """One object, or None."""
        return self._kinds[kind].objects.get((namespace, name))

    def all(self, kind: str) -> Sequence[Obj]:
        """Every object of a kind."""
        return list(self._kinds[kind].objects.values())

    def by(self, kind: str, index: str, value: Hashable) -> Sequence[Obj]:
        """The objects of a kind under an index value."""
        held = self._kinds[kind]
        return [held.objects[key] for key in held.indexed.get((index, value), ())]

    def count(self, kind: str, index: str, value: Hashable) -> int:
        """The number of objects of a kind under an index value."""
        return len(self._kinds[kind].indexed.get((index, value), ()))

    def put(self, obj: Obj) -> Obj | None:
        """Add or replace an object. Returns the old one. For the cache and for tests."""
        kind, key = obj["kind"], _key(obj)
        before = self.drop(kind, key)
        held = self._kinds[kind]
        held.objects[key] = obj
        for slot in _slots(kind, obj):
            held.indexed.setdefault(slot, {})[key] = None
        return before

    def drop(self, kind: str, key: tuple[str, str]) -> Obj | None:
        """Remove an object and return it."""
        held = self._kinds[kind]
        before = held.objects.pop(key, None)
        for slot in _slots(kind, before) if before else ():
            keys = held.indexed[slot]
            del keys[key]
            if not keys:
                del held.indexed[slot]
        return before


class Cache(View):
    """A View that lists and watches each kind."""

    def __init__(self, api: Api, clock: Clock, kinds: Iterable[str]) -> None:
        super().__init__(kinds)
        self._api, self._clock = api, clock
        self._listeners: list[Listener] = []
        self._tasks: list[asyncio.Task[None]] = []
        # A late response to a write must not restore an object that a watch event has already deleted.
        self._gone: dict[str, None] = {}
        self.problem = ""

    def listen(self, listener: Listener) -> None:
        """Call `listener` for every change from now on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """List every kind once, then watch in the background."""
        filled = {kind: asyncio.Event() for kind in self._kinds}
        self._tasks = [
            asyncio.create_task(self._follow(kind, event), name=f"watch {kind}") for kind, event in filled.items()
        ]
        for event in filled.values():
            await event.wait()

    async def stop(self) -> None:
        """Stop the watches."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def observe(self, obj: Obj) -> None:
        """Add an object, unless the cache has a newer one or knows that it is deleted."""
        if obj["kind"] not in self._kinds or obj["metadata"]["uid"] in self._gone:
            return
        known = self.get(obj["kind"], *_key(obj))
        if known is None or _version(obj) > _version(known):
            self._tell(obj["kind"], self.put(obj), obj)

    async def _follow(self, kind: str, filled: asyncio.Event) -> None:
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list(kind)
                    filled.set()
                async with self._api.watch(kind, version) as events:
                    async for type_, obj in events:
                        version = obj["metadata"]["resourceVersion"]
                        self._event(kind, type_, obj)
            except (Gone, ApiError, TransportError) as error:
                version = "" if isinstance(error, Gone | ApiError) else version
                self.problem = f"watch of {kind}: {error}"
                await self._clock.sleep(0 if isinstance(error, Gone) else RETRY_SECONDS)

    async def _list(self, kind: str) -> str:
        items, version = await self._api.list(kind)
        listed = {_key(item) for item in items}
        for key in self._kinds[kind].objects.keys() - listed:
            # The list lacks objects that we created after it. They are not deleted.
            if _version(self._kinds[kind].objects[key]) <= int(version):
                self._lose(kind, key)
        for item in items:
            self.observe(item)
        return version

    def _event(self, kind: str, type_: str, obj: Obj) -> None:
        if type_ == "BOOKMARK":
            return
        if type_ != "DELETED":
            self.observe(obj)
            return
        self._bury(obj["metadata"]["uid"])
        known = self.get(kind, *_key(obj))
        if known is not None and known["metadata"]["uid"] == obj["metadata"]["uid"]:
            self._lose(kind, _key(obj))

    def _lose(self, kind: str, key: tuple[str, str]) -> None:
        lost = self.drop(kind, key)
        if lost is not None:
            self._bury(lost["metadata"]["uid"])
        self._tell(kind, lost, None)

    def _bury(self, uid: str) -> None:
        if len(self._gone) >= GONE_MAX:
            del self._gone[next(iter(self._gone))]
        self._gone[uid] = None

    def _tell(self, kind: str, before: Obj | None, after: Obj | None) -> None:
        for listener in self._listeners:
            listener(kind, before, after)


def _key(obj: Mapping[str, Obj]) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _version(obj: Obj) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def _slots(kind: str, obj: Obj) -> list[tuple[str, Hashable]]:
    indexes = EVERY_KIND | OF_KIND.get(kind, {})
    return [(name, value) for name, index in indexes.items() for value in index(obj)]
