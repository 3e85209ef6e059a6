"""Which objects are a canary's own, by what they say themselves; and which of them its spec does not name any more.

Filled from every watch event; asked by `observe`. Configs are left out: their copies have a keeper of their own
(`kube.configs`). Only kinds that some canary names, now or since the start of this process, are seen.
"""

from __future__ import annotations

from collections.abc import Set

from pyflagger.api import names
from pyflagger.kube.cache import Cache, Change
from pyflagger.objects import Key, Obj, Ref, controller_of

NOTHING: frozenset[Ref] = frozenset()
CONFIGS = ("ConfigMap", "Secret")


class Owned:
    """References by the canary that controls them."""

    def __init__(self, cache: Cache) -> None:
        self._refs: dict[Key, frozenset[Ref]] = {}
        cache.subscribe(self._changed)

    def left(self, key: Key, known: Set[Ref]) -> frozenset[Ref]:
        """What is its own, and not among those that it knows of."""
        return self._refs.get(key, NOTHING) - known

    def _changed(self, change: Change) -> None:
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
