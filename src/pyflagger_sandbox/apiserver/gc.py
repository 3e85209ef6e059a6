"""The garbage collector: deletes objects because another object is deleted.

It deletes dependents of deleted owners, the contents of deleted namespaces and custom resource definitions, and old
Events. It listens to the store and acts just after the write that causes a deletion, as the real controllers do. It
writes through the same `Writer` as requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from pyflagger.admission import crd
from pyflagger.admission.errors import ApiError
from pyflagger.admission.resource import Registry, Resource
from pyflagger.admission.rules import FOREGROUND, ORPHAN
from pyflagger.clock import Clock
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.routes import Route
from pyflagger_sandbox.apiserver.store import Key, Store, StoreChange
from pyflagger_sandbox.apiserver.writing import Writer

EVENT_TTL = 3600.0
Place = tuple[str, Key]


class Collector:
    """Keeps an index of owners. `expire()` deletes old Events."""

    def __init__(self, store: Store, registry: Registry, writer: Writer, clock: Clock) -> None:
        self._store, self._registry, self._writer, self._clock = store, registry, writer, clock
        self._alive: set[str] = set()
        self._dependents: dict[str, set[Place]] = {}
        self._events: deque[tuple[float, Key, str]] = deque()
        self._due: dict[Place, None] = {}
        store.listeners.append(self._saw)

    def expire(self) -> None:
        """Delete Events that were not updated for an hour."""
        now = self._clock.now()
        while self._events and self._events[0][0] <= now:
            _, key, version = self._events.popleft()
            entry = self._store.shelf("events").get(key)
            if entry is not None and entry.obj["metadata"]["resourceVersion"] == version:
                self._store.remove("events", entry.obj)

    def _saw(self, shelf: str, change: StoreChange) -> None:
        if shelf == "events":
            if change.type != "DELETED":
                meta = change.entry.obj["metadata"]
                self._events.append((self._clock.now() + EVENT_TTL, change.key, meta["resourceVersion"]))
            return
        meta, place = change.entry.obj["metadata"], (shelf, change.key)
        self._index(place, change)
        if change.type == "DELETED":
            self._alive.discard(meta["uid"])
            self._schedule(*sorted(self._dependents.get(meta["uid"], ())))
            self._schedule(*self._waiting_for(change))
        else:
            self._alive.add(meta["uid"])
            if meta.get("ownerReferences") or "deletionTimestamp" in meta:
                self._schedule(place)

    def _index(self, place: Place, change: StoreChange) -> None:
        for owner in _owners(change.before.obj if change.before else None):
            found = self._dependents.get(owner["uid"], set())
            found.discard(place)
            if not found:
                self._dependents.pop(owner["uid"], None)
        if change.type != "DELETED":
            for owner in _owners(change.entry.obj):
                self._dependents.setdefault(owner["uid"], set()).add(place)

    def _waiting_for(self, change: StoreChange) -> Iterator[Place]:
        """The objects whose deletion may wait for this one: its owners, its namespace, its definition."""
        obj = change.entry.obj
        for owner in _owners(obj):
            resource = self._registry.of_kind(owner["apiVersion"], owner["kind"])
            if resource is not None:
                namespace = change.key[0] if resource.namespaced else ""
                yield resource.shelf, (namespace, owner["name"])
        if change.key[0]:
            yield "namespaces", ("", change.key[0])
        resource = self._registry.of_kind(obj["apiVersion"], obj["kind"])
        if resource is not None and resource.custom:
            yield "customresourcedefinitions.apiextensions.k8s.io", ("", resource.name)

    def _schedule(self, *places: Place) -> None:
        if places and not self._due:
            asyncio.get_running_loop().call_soon(self._work)
        self._due.update(dict.fromkeys(places))

    def _work(self) -> None:
        due, self._due = self._due, {}
        resources = {resource.shelf: resource for resource in self._registry.shelves()}
        for shelf, key in due:
            entry = self._store.shelf(shelf).get(key)
            if entry is not None and shelf in resources:
                self._look(resources[shelf], entry.obj)

    def _look(self, resource: Resource, obj: Obj) -> None:
        meta = obj["metadata"]
        if "deletionTimestamp" in meta:
            self._advance(resource, obj)
        elif owners := [owner for owner in _owners(obj) if not self._gone(owner)]:
            if len(owners) < len(meta["ownerReferences"]):
                self._write(resource, {**obj, "metadata": {**meta, "ownerReferences": owners}}, obj)
        elif meta.get("ownerReferences"):
            self._delete(resource, obj, "Background")

    def _gone(self, owner: Obj) -> bool:
        """Whether an owner does not exist. Assumes that owners of unknown kinds exist."""
        return (
            owner["uid"] not in self._alive and self._registry.of_kind(owner["apiVersion"], owner["kind"]) is not None
        )

    def _advance(self, resource: Resource, obj: Obj) -> None:
        """Take the next step of a pending deletion."""
        finalizers = obj["metadata"].get("finalizers") or []
        if resource.kind == "Namespace":
            self._empty_namespace(resource, obj)
        if ORPHAN in finalizers:
            for child, found in list(self._children(obj)):
                kept = [owner for owner in _owners(found) if owner["uid"] != obj["metadata"]["uid"]]
                self._write(child, {**found, "metadata": {**found["metadata"], "ownerReferences": kept}}, found)
            self._release(resource, obj, ORPHAN)
        elif FOREGROUND in finalizers:
            blocking = [item for item in self._children(obj) if _blocks(item[1], obj["metadata"]["uid"])]
            for child, found in list(self._children(obj)):
                if "deletionTimestamp" not in found["metadata"]:
                    self._delete(child, found, "Foreground")
            if not blocking:
                self._release(resource, obj, FOREGROUND)
        elif crd.CLEANUP in finalizers:
            self._empty_definition(resource, obj)

    def _empty_namespace(self, resource: Resource, obj: Obj) -> None:
        name = obj["metadata"]["name"]
        left = False
        for kind in [found for found in self._registry.shelves() if found.namespaced]:
            for entry in self._store.shelf(kind.shelf).entries(name):
                left = True
                if "deletionTimestamp" not in entry.obj["metadata"]:
                    self._delete(kind, entry.obj, "Background")
        if left:
            self._schedule_if_empty(name)
        elif (obj.get("spec") or {}).get("finalizers"):
            self._write(resource, {**obj, "spec": {}}, obj)

    def _schedule_if_empty(self, namespace: str) -> None:
        """Check an emptied namespace again, because deleted Events do not trigger the collector."""
        kinds = [kind for kind in self._registry.shelves() if kind.namespaced]
        if not any(self._store.shelf(kind.shelf).entries(namespace) for kind in kinds):
            self._schedule(("namespaces", ("", namespace)))

    def _empty_definition(self, resource: Resource, obj: Obj) -> None:
        shelf = self._store.shelf(obj["metadata"]["name"])
        kind = crd.resources(obj)[0]
        for entry in shelf.entries():
            if "deletionTimestamp" not in entry.obj["metadata"]:
                self._delete(kind, entry.obj, "Background")
        if not len(shelf):
            self._release(resource, obj, crd.CLEANUP)

    def _children(self, owner: Obj) -> Iterator[tuple[Resource, Obj]]:
        resources = {resource.shelf: resource for resource in self._registry.shelves()}
        for shelf, key in sorted(self._dependents.get(owner["metadata"]["uid"], ())):
            entry = self._store.shelf(shelf).get(key)
            if entry is not None and shelf in resources:
                yield resources[shelf], entry.obj

    def _release(self, resource: Resource, obj: Obj, finalizer: str) -> None:
        entry = self._store.shelf(resource.shelf).get((obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))
        if entry is None:
            return
        meta = entry.obj["metadata"]
        kept = [found for found in meta.get("finalizers") or () if found != finalizer]
        self._write(resource, {**entry.obj, "metadata": {**meta, "finalizers": kept}}, entry.obj)

    def _write(self, resource: Resource, new: Obj, old: Obj) -> None:
        self._writer.replace(resource, _route(resource, old), new, old, {})

    def _delete(self, resource: Resource, obj: Obj, policy: str) -> None:
        options = {"propagationPolicy": policy, "preconditions": {"uid": obj["metadata"]["uid"]}}
        entry = self._store.shelf(resource.shelf).get((obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))
        try:
            if entry is not None:
                self._writer.delete(resource, _route(resource, entry.obj), entry.obj, options, {})
        except ApiError:
            return  # A new object of the same name has replaced it. It must stay.


def _owners(obj: Obj | None) -> list[Obj]:
    return (obj["metadata"].get("ownerReferences") or []) if obj else []


def _blocks(obj: Obj, uid: str) -> bool:
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in _owners(obj))


def _route(resource: Resource, obj: Obj) -> Route:
    meta = obj["metadata"]
    return Route(resource.group, resource.version, resource.plural, meta.get("namespace", ""), meta["name"])
