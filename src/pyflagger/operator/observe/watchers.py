"""An index of the canaries that a changed object concerns.

`observe` adds the objects that each canary reads, and `controller` queries the index for every watch event.
"""

from __future__ import annotations

from collections.abc import Set

from pyflagger.objects import Key, Ref


class Watchers:
    """A two-way index of canaries and the objects that they read, existing or not. Most objects have one reader."""

    def __init__(self) -> None:
        self._refs: dict[Key, Set[Ref]] = {}
        self._keys: dict[Ref, tuple[Key, ...]] = {}

    def put(self, key: Key, refs: Set[Ref]) -> None:
        """Set the objects that the canary reads."""
        before = self._refs.get(key, frozenset())
        if before is refs or before == refs:
            return
        for ref in before - refs:
            self._discard(ref, key)
        for ref in refs - before:
            self._keys[ref] = (*self.of(ref), key)
        self._refs[key] = refs

    def drop(self, key: Key) -> None:
        """Remove a deleted canary."""
        for ref in self._refs.pop(key, frozenset()):
            self._discard(ref, key)

    def of(self, ref: Ref) -> tuple[Key, ...]:
        """The canaries that read an object."""
        return self._keys.get(ref, ())

    def refs(self, key: Key) -> Set[Ref]:
        """The objects that a canary reads."""
        return self._refs.get(key, frozenset())

    def _discard(self, ref: Ref, key: Key) -> None:
        left = tuple(other for other in self._keys[ref] if other != key)
        if left:
            self._keys[ref] = left
        else:
            del self._keys[ref]
