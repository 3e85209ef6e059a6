"""The reference's hash of a revision, kept beside flagger's own.

The reference hashes a pod template as Go prints it, so only its own binary can compute that hash. It starts a release
of each canary whose stored hash it cannot match. flagger therefore leaves the reference's hash in the status as long
as it names the same revision, and stores its own hash in the condition `SameRevision`. The reference then finds its
hash when it comes back. Only `api.status` reads and writes the stored form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pyflagger.api.durations import stamp

SAME_REVISION = "SameRevision"
"""The condition that stores both hashes: its message begins with the reference's and flagger's own."""

TOLD = "are the hashes of Flagger and of this operator for the same revision."
FIELDS = ("last_applied_spec", "last_promoted_spec")


class SameRevision(NamedTuple):
    """Two hashes of one revision, and when flagger adopted it, in seconds since the epoch."""

    theirs: str
    ours: str
    since: float

    def read(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Stored fields by attribute, with flagger's hash in place of the reference's."""
        return {name: self.ours if name in FIELDS and held == self.theirs else held for name, held in found.items()}

    def stored(self, revision: str) -> str:
        """A revision as it is stored."""
        return self.theirs if revision == self.ours else revision

    def to_wire(self) -> dict[str, Any]:
        """The condition as JSON. It always has both times: the reference cannot write a condition without them."""
        told = {"status": "True", "reason": "Adopted", "message": f"{self.theirs} {self.ours} {TOLD}"}
        time = stamp(self.since)
        return {"type": SAME_REVISION, **told, "lastUpdateTime": time, "lastTransitionTime": time}


def same_revision(conditions: Iterable[Any]) -> SameRevision | None:
    """The two hashes that conditions store, by attribute; None without such a condition or for another message."""
    found: Mapping[str, Any] = next(filter(is_same_revision, conditions), {})
    hashes = found.get("message", "").split(" ", 2)
    known = len(hashes) == 3 and all(hashes)
    return SameRevision(hashes[0], hashes[1], found.get("last_transition_time") or 0.0) if known else None


def is_same_revision(condition: Any) -> bool:
    """Whether a condition stores two hashes."""
    return isinstance(condition, Mapping) and condition["type"] == SAME_REVISION
