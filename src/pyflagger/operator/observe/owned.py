"""An index of the objects that each canary owns, to find those that its spec no longer names.

Every watch event updates it. Copies of configs are excluded, because `kube.configs` tracks them. The index has only
kinds that a canary has named since the start of this process.
"""

from __future__ import annotations

from collections.abc import Set

from pyflagger.api import names
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.objects import Key, Obj, Ref, controller_of

NOTHING: frozenset[Ref] = frozenset()
CONFIGS = ("ConfigMap", "Secret")


class Owned:
    """References of objects, by the canary that controls them."""

    def __init__(self, cache: Cache) -> None:
        self._refs: dict[Key, frozenset[Ref]] = {}
        cache.subscribe(self._changed)

    def left(self, key: Key, known: Set[Ref]) -> frozenset[Ref]:
        """The objects that the canary owns and that are not in `known`."""
        return self._refs.get(key, NOTHING) - known

    def _changed(self, change: ObjectChange) -> None:
        if change.ref.kind in CONFIGS:
            return
        before, after = _owner(change.old), _owner(change.new)
        if before == after:
            return
        if before is not None:
            self._refs[before] -= {change.ref}
            if not self._refs[before]:
                del self._refs[before]
        if after is not None:
            self._refs[after] = self._refs.get(after, NOTHING) | {change.ref}


def _owner(obj: Obj | None) -> Key | None:
    owner = controller_of(obj) if obj else None
    if not owner or owner.get("kind") != "Canary" or not str(owner.get("apiVersion")).startswith(f"{names.GROUP}/"):
        return None
    return Key(obj["metadata"].get("namespace", ""), owner.get("name", "")) if obj else None
