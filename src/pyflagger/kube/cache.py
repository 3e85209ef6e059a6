"""The watch cache: live objects of the kinds that canaries refer to, with listeners for changes.

One reflector for each kind fills it, and the operator reads it without calls. Objects are raw dicts. Readers must not
change them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.reflector import SILENCE_SECONDS_MAX, Reflector
from pyflagger.kube.resources import UnknownKind, resource_of
from pyflagger.objects import Obj, Ref, Resource


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object before and after a change. `old` is None for a new object, `new` for a deleted one."""

    resource: Resource
    ref: Ref
    old: Obj | None
    new: Obj | None


class Cache:
    """Collections by kind. An empty `namespace` means the whole cluster."""

    def __init__(self, client: Client, clock: Clock, namespace: str = "") -> None:
        self._client, self._clock, self._namespace = client, clock, namespace
        self._reflectors: dict[tuple[str, str], Reflector] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[Callable[[ObjectChange], None]] = []
        self._on_sync: list[Callable[[Resource], None]] = []

    def subscribe(self, listener: Callable[[ObjectChange], None]) -> None:
        """Call `listener` for each change, in order."""
        self._listeners.append(listener)

    def on_sync(self, listener: Callable[[Resource], None]) -> None:
        """Call `listener` when a kind is listed for the first time, becomes unreadable, or becomes readable again."""
        self._on_sync.append(listener)

    def watch(self, resource: Resource, *, metadata_only: bool = False) -> Reflector:
        """Watch a kind from now on. Watching a kind twice has no effect."""
        key = (resource.api_version, resource.kind)
        if key not in self._reflectors:
            notify = self._notifier(resource)
            self._reflectors[key] = reflector = Reflector(
                self._client,
                self._clock,
                resource,
                self._namespace if resource.namespaced else "",
                notify,
                on_sync=lambda: self._announce(resource),
                metadata_only=metadata_only,
            )
            loop = asyncio.get_running_loop()
            self._tasks.append(loop.create_task(reflector.run(), name=f"watch {resource.plural}"))
        return self._reflectors[key]

    def synced(self, resource: Resource) -> bool:
        """Whether a kind has been listed."""
        reflector = self._reflectors.get((resource.api_version, resource.kind))
        return reflector is not None and reflector.synced.is_set()

    def refusal(self, resource: Resource) -> NotFound | Forbidden | None:
        """Why the kind cannot be read: the server does not serve it (NotFound) or denies it (Forbidden)."""
        reflector = self._reflectors.get((resource.api_version, resource.kind))
        return reflector.refusal if reflector else None

    def follow(self, resource: Resource) -> NotFound | Forbidden | bool:
        """Watch a kind. Returns whether it has been listed, or the error that prevents it."""
        self.watch(resource)
        return self.refusal(resource) or self.synced(resource)

    async def wait(self, resource: Resource) -> None:
        """Watch a kind and wait until it has been listed."""
        await self.watch(resource).synced.wait()

    def get(self, ref: Ref) -> Obj | None:
        """The newest known state of an object."""
        reflector = self._reflectors.get((ref.api_version, ref.kind))
        return reflector.store.get((ref.namespace, ref.name)) if reflector else None

    def list(self, resource: Resource) -> Iterator[Obj]:
        """All objects of a kind."""
        reflector = self._reflectors.get((resource.api_version, resource.kind))
        yield from list(reflector.store.values()) if reflector else ()

    def troubles(self) -> Mapping[str, str]:
        """What is wrong, by plural: the kind is not listed yet, or its watch has been silent for too long.

        Kinds that the server denies or does not serve are left out. The canaries that need them report them.
        """
        found = {}
        for reflector in self._reflectors.values():
            if reflector.refusal is not None:
                continue
            plural = reflector.resource.plural
            if not reflector.synced.is_set():
                found[plural] = f"{plural}: not listed yet {reflector.trouble}".rstrip()
            elif reflector.stale_seconds > SILENCE_SECONDS_MAX:
                found[plural] = (
                    f"{plural}: no watch event for {reflector.stale_seconds:.0f} s {reflector.trouble}".rstrip()
                )
        return found

    async def stop(self) -> None:
        """Stop every watch."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def knows(self, ref: Ref) -> bool:
        """Whether the kind of a reference is in the table of resources and has been listed."""
        try:
            return self.synced(resource_of(ref))
        except UnknownKind:
            return False

    def _notifier(self, resource: Resource) -> Callable[[tuple[str, str], Obj | None, Obj | None], None]:
        def notify(key: tuple[str, str], old: Obj | None, new: Obj | None) -> None:
            change = ObjectChange(resource, resource.ref(*key), old, new)
            for listener in self._listeners:
                listener(change)

        return notify

    def _announce(self, resource: Resource) -> None:
        for listener in self._on_sync:
            listener(resource)
