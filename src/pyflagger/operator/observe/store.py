"""The known state of the cluster: the watch cache, and flagger's own writes that the cache does not show yet.

Between a write and its watch event, the cache is behind. `Store` is not: `learn` keeps the response of a write until
the cache has caught up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyflagger.clock import Clock
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.objects import Obj, Ref, ref_of, share

AHEAD_SECONDS_MAX = 30.0
"""How long a write takes precedence over the cache. A watch that lags longer is stale and relists."""


def version(obj: Obj) -> int:
    """The resource version as a number, or 0 if it is not a number."""
    text = obj["metadata"].get("resourceVersion") or ""
    return int(text) if text.isdigit() else 0


Listener = Callable[[ObjectChange, bool], None]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A write of flagger's: the object in the response (None: deleted), its version, and when the entry expires."""

    obj: Obj | None
    version: int
    until: float


class Store:
    """Live objects by reference, without API reads."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self.cache = cache
        self._clock = clock
        self._ahead: dict[Ref, Ahead] = {}
        self._listeners: list[Listener] = []
        cache.subscribe(self._changed)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener(change, ours)` for each change. `ours`: the change is the echo of a write of flagger's."""
        self._listeners.append(listener)

    def get(self, ref: Ref) -> Obj | None:
        """The latest known state of an object. None if it does not exist."""
        seen = self.cache.get(ref)
        ahead = self._ahead.get(ref)
        if ahead is None:
            return seen
        if ahead.until < self._clock.monotonic() or (seen is not None and version(seen) > ahead.version):
            del self._ahead[ref]
            return seen
        return ahead.obj

    def learn(self, obj: Obj) -> None:
        """Record the object in the response of a write."""
        meta, ref = obj["metadata"], ref_of(obj)
        gone = "deletionTimestamp" in meta and not meta.get("finalizers")
        meta.pop("managedFields", None)
        self._put(ref, None if gone else share(obj, self.get(ref) or {}), version(obj))

    def unlearn(self, ref: Ref) -> None:
        """Record the deletion of an object."""
        seen = self.get(ref)
        if seen is not None:
            self._put(ref, None, version(seen))

    def _put(self, ref: Ref, obj: Obj | None, number: int) -> None:
        seen = self.cache.get(ref)
        if seen is None or version(seen) < number or obj is None:
            self._ahead[ref] = Ahead(obj, number, self._clock.monotonic() + AHEAD_SECONDS_MAX)

    def _changed(self, change: ObjectChange) -> None:
        ours = self._catch_up(change)
        for listener in self._listeners:
            listener(change, ours)

    def _catch_up(self, change: ObjectChange) -> bool:
        """Drop a write that the cache shows now. Returns whether the change is that write."""
        ahead = self._ahead.get(change.ref)
        if ahead is None:
            return False
        if change.new is None or version(change.new) >= ahead.version:
            del self._ahead[change.ref]
        return change.new is not None and ahead.obj is not None and version(change.new) <= ahead.version
