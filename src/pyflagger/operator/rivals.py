"""Canaries that claim the same target: the oldest one has it, the others are told whose it is.

Filled by the controller with every Canary, so that a newer one is held back even before the older one was looked at.
Asked by `operator.observe`. Knows names and ages only.
"""

from __future__ import annotations

from typing import NamedTuple

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj
from pyflagger.operator.desk import Key


class Target(NamedTuple):
    """What is claimed. Of any version: two versions of a group show the same object, two groups do not."""

    namespace: str
    group: str
    kind: str
    name: str


class Claim(NamedTuple):
    """What a Canary wants to release. `born` sorts by age; of twins the one that has begun, then the first by name."""

    target: Target
    born: tuple[str, bool, str]


class Rivals:
    """All claims, by canary and by target."""

    def __init__(self) -> None:
        self._claims: dict[Key, Claim] = {}
        self._by_target: dict[Target, set[Key]] = {}

    def put(self, key: Key, raw: Obj) -> frozenset[Key]:
        """A Canary is there or has changed; the others whose standing that may change."""
        claim = _claim(key, raw)
        if self._claims.get(key) == claim:
            return frozenset()
        others = self.drop(key)
        self._claims[key] = claim
        rivals = self._by_target.setdefault(claim.target, set())
        rivals.add(key)
        return others | frozenset(rivals - {key})

    def drop(self, key: Key) -> frozenset[Key]:
        """A Canary is gone; the others whose standing that may change."""
        claim = self._claims.pop(key, None)
        if claim is None:
            return frozenset()
        rivals = self._by_target[claim.target]
        rivals.discard(key)
        if not rivals:
            del self._by_target[claim.target]
        return frozenset(rivals)

    def problem(self, key: Key) -> Problem | None:
        """Why this Canary may not act: an older one has its target."""
        claim = self._claims.get(key)
        if claim is None:
            return None
        first = min(self._by_target[claim.target], key=lambda rival: self._claims[rival].born)
        if first == key:
            return None
        kind, name = claim.target.kind.lower(), claim.target.name
        text = f"target {kind} {name} is released by canary {first.name} already, which is older"
        return Problem(Fault.MANIFEST, text, "Delete one of the two, or correct spec.targetRef.", "spec.targetRef")


def _claim(key: Key, raw: Obj) -> Claim:
    found = (raw.get("spec") or {}).get("targetRef")
    ref = found if isinstance(found, dict) else {}
    group = str(ref.get("apiVersion", "")).rpartition("/")[0]
    target = Target(key.namespace, group, str(ref.get("kind", "")), str(ref.get("name", "")))
    begun = bool((raw.get("status") or {}).get("phase"))
    return Claim(target, (str(raw["metadata"].get("creationTimestamp", "")), not begun, key.name))
