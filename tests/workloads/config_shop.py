"""ConfigMaps and Secrets on a table, for tests that read and copy them."""

from __future__ import annotations

import copy
from typing import Any

from targets import canary

from pyflagger.api.facts import Problem
from pyflagger.objects import UNREAD, Create, Delete, Found, Obj, Patch, Ref, Write, merge_apply, ref_of
from pyflagger.workloads.configs import ConfigRef, Tracked, track
from pyflagger.workloads.copies import Copied, copies
from pyflagger.workloads.options import WorkloadOptions

MAP, SECRET = ConfigRef("ConfigMap", "a", False), ConfigRef("Secret", "s", False)
COPY = Ref("v1", "ConfigMap", "test", "a-primary")
OWN = Ref("v1", "ConfigMap", "test", "a-primary-web")


def config(name: str, data: Any = None, kind: str = "ConfigMap", **more: Any) -> Obj:
    """A ConfigMap or Secret of namespace `test`."""
    meta = {"name": name, "namespace": "test", "resourceVersion": "3", **more.pop("meta", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **({"data": data} if data else {}), **more}


def owner(name: str, uid: str, controller: bool = True) -> Obj:
    """The owner reference of a Canary."""
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "name": name,
        "uid": uid,
        "controller": controller,
        "blockOwnerDeletion": True,
    }


class Shop:
    """Configs by reference."""

    def __init__(self, *objects: Obj, unread: tuple[str, ...] = ()) -> None:
        self.objects = {ref_of(obj): obj for obj in objects}
        self.unread = unread

    def find(self, ref: Ref) -> Found:
        """As the operator finds them."""
        return UNREAD if ref.name in self.unread else self.objects.get(ref)

    def track(self, *refs: ConfigRef) -> Tracked | Problem | Any:
        """What is followed."""
        return track(refs, "test", self.find)

    def tracked(self, *refs: ConfigRef) -> Tracked:
        """What is followed, which must be something."""
        found = self.track(*refs)
        assert isinstance(found, Tracked)
        return found

    def promote(self, tracked: Tracked, options: WorkloadOptions | None = None) -> Copied:
        """Write the copies; what was written, and the names."""
        found = copies(canary(), tracked, self.find, options or WorkloadOptions())
        assert isinstance(found, Copied), found
        self.write(*found.writes)
        return found

    def copy(self, tracked: Tracked, options: WorkloadOptions | None = None) -> list[Write]:
        """Write the copies; what was written."""
        return list(self.promote(tracked, options).writes)

    def write(self, *writes: Write) -> None:
        """Carry writes out."""
        for write in writes:
            match write:
                case Create(obj):
                    assert ref_of(obj) not in self.objects
                    self.objects[ref_of(obj)] = copy.deepcopy(obj)
                case Patch(ref, body):
                    self.objects[ref] = merge_apply(self.objects[ref], body)
                case Delete(ref):
                    del self.objects[ref]

    def owners(self, ref: Ref = COPY) -> list[tuple[str, bool]]:
        """Who owns a copy, and who of them controls it."""
        found = self.objects[ref]["metadata"]["ownerReferences"]
        return [(each["name"], each["controller"]) for each in found]
