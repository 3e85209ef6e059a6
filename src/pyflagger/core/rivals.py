"""Canaries that claim the same objects. The oldest one gets them, and the others get a problem that names it.

`operator.observe` and the command line add the claims of each Canary and ask for problems. Only uses names and ages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Ref

HOSTS = "spec.service.hosts"
"""The field with the hosts that visitors use."""


class Claimed(NamedTuple):
    """An object that a Canary writes, without its version, because all versions of a group show the same object."""

    namespace: str
    group: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.name}"


class Born(NamedTuple):
    """Sorts by age. At the same age, a started Canary comes first, then the first by name."""

    at: str
    waiting: bool
    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The objects that a Canary writes, its target first, each with the field that sets its name."""

    born: Born
    target: Claimed
    fields: dict[Claimed, str]


def claimed(ref: Ref) -> Claimed:
    """A reference without its version."""
    return Claimed(ref.namespace, ref.api_version.rpartition("/")[0], ref.kind, ref.name)


Key = TypeVar("Key")


class Rivals(Generic[Key]):
    """All claims, by canary and by object."""

    def __init__(self) -> None:
        self._claims: dict[Key, Claim] = {}
        self._keys: dict[Claimed, set[Key]] = {}

    def put(self, key: Key, claim: Claim) -> frozenset[Key]:
        """Add or update a Canary. Returns the other Canaries that this may affect."""
        if self._claims.get(key) == claim:
            return frozenset()
        others = self.drop(key)
        self._claims[key] = claim
        for each in claim.fields:
            self._keys.setdefault(each, set()).add(key)
        return others | self._others(key, claim.fields)

    def drop(self, key: Key) -> frozenset[Key]:
        """Remove a Canary. Returns the other Canaries that this may affect."""
        claim = self._claims.get(key)
        if claim is None:
            return frozenset()
        others = self._others(key, claim.fields)
        del self._claims[key]
        for each in claim.fields:
            self._keys[each].discard(key)
            if not self._keys[each]:
                del self._keys[each]
        return others

    def problem(self, key: Key) -> Problem | None:
        """The problem of a Canary if an older one claims the same objects; None otherwise."""
        claim = self._claims.get(key)
        if claim is None:
            return None
        older = (self._claims[other] for other in self._others(key, claim.fields))
        first = min((other for other in older if other.born < claim.born), key=lambda each: each.born, default=None)
        return _problem(claim, first) if first is not None else None

    def _others(self, key: Key, objects: Iterable[Claimed]) -> frozenset[Key]:
        return frozenset(other for each in objects for other in self._keys[each]) - {key}


def _problem(claim: Claim, first: Claim) -> Problem:
    same = first.born.namespace == claim.born.namespace
    name = first.born.name if same else f"{first.born.name}.{first.born.namespace}"
    rank = "is older" if first.born.at != claim.born.at else "comes first by age and name"
    both = [each for each in claim.fields if each in first.fields]
    if claim.target in both:
        text = f"canary {name}, which {rank}, already releases target {claim.target}"
        return Problem(Fault.MANIFEST, text, "Delete one of the two, or correct spec.targetRef.", "spec.targetRef")
    both = [each for each in both if claim.fields[each] != HOSTS] or both
    fields = dict.fromkeys(claim.fields[each] for each in both)
    verb = "belongs" if len(both) == 1 else "belong"
    text = f"{', '.join(map(str, both))} already {verb} to canary {name}, which {rank}"
    todo = f"Change {' and '.join(fields)}, or delete one of the two canaries."
    if HOSTS in fields:
        todo += " Behind a gateway, two canaries can share a host if their spec.service.match differs."
    return Problem(Fault.MANIFEST, text, todo, next(iter(fields)))
