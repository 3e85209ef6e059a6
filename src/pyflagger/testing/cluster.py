"""A cluster in one dict: applies writes to live objects as strictly as an API server."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from pyflagger.api.facts import Problem
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, Write, merge_apply, ref_of


class Cluster:
    """Live objects by reference. Raises AssertionError for writes that an API server rejects or that change nothing."""

    def __init__(self, *objects: Obj) -> None:
        self.objects: dict[Ref, Obj] = {ref_of(obj): copy.deepcopy(obj) for obj in objects}
        self.version = 10

    def copy(self) -> Cluster:
        """A separate cluster in the same state."""
        other = Cluster(*self.objects.values())
        other.version = self.version
        return other

    def live(self, refs: Iterable[Ref]) -> dict[Ref, Obj | None]:
        """The objects that a router reads. It must not change them."""
        return {ref: self.objects.get(ref) for ref in refs}

    def edit(self, ref: Ref, body: Obj) -> None:
        """Change an object by a merge patch, as another controller would."""
        self.replace(ref, merge_apply(self.objects[ref], body))

    def write(self, writes: tuple[Write, ...] | Problem) -> int:
        """Carry out the writes and return how many there were."""
        assert not isinstance(writes, Problem), writes.text
        for write in writes:
            match write:
                case Create(obj):
                    ref = ref_of(obj)
                    assert ref not in self.objects, f"{ref} exists"
                    self.replace(ref, copy.deepcopy(obj))
                case Patch(ref, body, version):
                    assert ref in self.objects, f"{ref} is patched but does not exist"
                    live = self.objects[ref]
                    assert version in ("", live["metadata"].get("resourceVersion", "")), f"{ref}: conflict"
                    changed = merge_apply(live, body)
                    assert changed != live, f"{ref}: the patch changes nothing"
                    self.replace(ref, changed)
                case Delete(ref):
                    self.objects.pop(ref, None)
        return len(writes)

    def replace(self, ref: Ref, obj: Obj) -> None:
        """Create or replace an object."""
        self.version += 1
        obj["metadata"] = {**obj["metadata"], "resourceVersion": str(self.version)}
        self.objects[ref] = obj
