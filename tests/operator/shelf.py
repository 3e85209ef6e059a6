"""A watch cache that a test fills by hand, without an API server or tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from pyflagger.clock import SystemClock
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.client import Client
from pyflagger.kube.resources import resource_of
from pyflagger.objects import Obj, Ref, Resource, ref_of


class Shelf(Cache):
    """Objects by reference. Each change is reported to the subscribers, as a watch event would be."""

    def __init__(self, *objs: Obj) -> None:
        super().__init__(cast(Client, None), SystemClock())
        self._objs = {ref_of(obj): obj for obj in objs}

    def put(self, obj: Obj) -> None:
        """Add or replace an object."""
        ref = ref_of(obj)
        before, self._objs[ref] = self._objs.get(ref), obj
        self._report(ref, before, obj)

    def remove(self, ref: Ref) -> None:
        """Remove an object."""
        self._report(ref, self._objs.pop(ref), None)

    def get(self, ref: Ref) -> Obj | None:
        return self._objs.get(ref)

    def list(self, resource: Resource) -> Iterator[Obj]:
        yield from [obj for ref, obj in self._objs.items() if resource_of(ref) == resource]

    def _report(self, ref: Ref, old: Obj | None, new: Obj | None) -> None:
        for listener in self._listeners:
            listener(ObjectChange(resource_of(ref), ref, old, new))
