"""A cluster of one dict: live objects that writes are applied to, as strictly as an API server would."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from pyflagger.api.facts import Problem
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, Write, merge_apply, ref_of


class Cluster:
    """Live objects by reference. AssertionErrors say what an API server would have refused, or what is wasteful."""

    def __init__(self, *objects: Obj) -> None:
        self.objects: dict[Ref, Obj] = {ref_of(obj): copy.deepcopy(obj) for obj in objects}
        self.version = 10

    def copy(self) -> Cluster:
        """Another cluster in the same state."""
        other = Cluster(*self.objects.values())
        other.version = self.version
        return other

    def live(self, refs: Iterable[Ref]) -> dict[Ref, Obj | None]:
        """What a router is shown; it must not change any of it."""
        return {ref: self.objects.get(ref) for ref in refs}

    def edit(self, ref: Ref, body: Obj) -> None:
        """Somebody else changes an object by a merge patch."""
        self.replace(ref, merge_apply(self.objects[ref], body))

    def write(self, writes: tuple[Write, ...] | Problem) -> int:
        """Carry writes out; how many there were."""
        assert not isinstance(writes, Problem), writes.text
        for write in writes:
            match write:
                case Create(obj):
                    ref = ref_of(obj)
                    assert ref not in self.objects, f"{ref} exists"
                    self.replace(ref, copy.deepcopy(obj))
                case Patch(ref, body, version):
                    assert ref in self.objects, f"{ref} is patched, but is not there"
                    live = self.objects[ref]
                    assert version in ("", live["metadata"].get("resourceVersion", "")), f"{ref}: conflict"
                    changed = merge_apply(live, body)
                    assert changed != live, f"{ref}: a patch that changes nothing"
                    self.replace(ref, changed)
                case Delete(ref):
                    self.objects.pop(ref, None)
        return len(writes)

    def replace(self, ref: Ref, obj: Obj) -> None:
        """An object is there, or is another one, from now on."""
        self.version += 1
        obj["metadata"] = {**obj["metadata"], "resourceVersion": str(self.version)}
        self.objects[ref] = obj
