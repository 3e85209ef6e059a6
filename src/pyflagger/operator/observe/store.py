"""What is known of the cluster: the watch cache, and our own writes that it has not seen yet.

Between a write and the watch event that brings it back, the cache tells of the past. Reading through `World` never
does: `learn` keeps the answer of a write until the cache has caught up. Used by `observe` and `apply`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyflagger.clock import Clock
from pyflagger.kube.cache import Cache, Change
from pyflagger.objects import Obj, Ref, ref_of, share

AHEAD_SECONDS_MAX = 30.0
"""How long our own word is worth more than the cache's. A watch that lags longer is stale and relists."""


def version(obj: Obj) -> int:
    """The resource version as a number; 0 when it is none."""
    text = obj["metadata"].get("resourceVersion") or ""
    return int(text) if text.isdigit() else 0


Listener = Callable[[Change, bool], None]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A write of ours: the object as answered (None: deleted), its version, and until when to believe it."""

    obj: Obj | None
    version: int
    until: float


class Store:
    """Live objects by reference; never an API read."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self.cache = cache
        self._clock = clock
        self._ahead: dict[Ref, Ahead] = {}
        self._listeners: list[Listener] = []
        cache.subscribe(self._changed)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener(change, ours)` for each change; `ours`: it brings back what a write's answer told already."""
        self._listeners.append(listener)

    def get(self, ref: Ref) -> Obj | None:
        """The newest that is known of an object; None when it does not exist."""
        seen = self.cache.get(ref)
        ahead = self._ahead.get(ref)
        if ahead is None:
            return seen
        if ahead.until < self._clock.monotonic() or (seen is not None and version(seen) > ahead.version):
            del self._ahead[ref]
            return seen
        return ahead.obj

    def learn(self, obj: Obj) -> None:
        """An API call answered with this object."""
        meta, ref = obj["metadata"], ref_of(obj)
        gone = "deletionTimestamp" in meta and not meta.get("finalizers")
        meta.pop("managedFields", None)
        self._put(ref, None if gone else share(obj, self.get(ref) or {}), version(obj))

    def unlearn(self, ref: Ref) -> None:
        """An API call deleted this object."""
        seen = self.get(ref)
        if seen is not None:
            self._put(ref, None, version(seen))

    def _put(self, ref: Ref, obj: Obj | None, number: int) -> None:
        seen = self.cache.get(ref)
        if seen is None or version(seen) < number or obj is None:
            self._ahead[ref] = Ahead(obj, number, self._clock.monotonic() + AHEAD_SECONDS_MAX)

    def _changed(self, change: Change) -> None:
        ours = self._catch_up(change)
        for listener in self._listeners:
            listener(change, ours)

    def _catch_up(self, change: Change) -> bool:
        """Forget a write that the cache has seen by now; whether the change is that very write."""
        ahead = self._ahead.get(change.ref)
        if ahead is None:
            return False
        if change.new is None or version(change.new) >= ahead.version:
            del self._ahead[change.ref]
        return change.new is not None and ahead.obj is not None and version(change.new) <= ahead.version
