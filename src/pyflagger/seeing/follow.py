"""Follows objects with the rights of one person, for views that stay open: the dashboard, `wait`, and `--watch`.

It watches. Where the person may only read an object, it reads that again every two seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, Forbidden, NotFound
from pyflagger.kube.reflector import Reflector
from pyflagger.kube.resources import CANARIES, EVENTS, PODS, RELEASES, UnknownKind, resource_of
from pyflagger.objects import Key, Obj, Ref, Resource
from pyflagger.operator.options import Options
from pyflagger.seeing.happened import Owns, event_of
from pyflagger.seeing.look import Eyes, Look, looked
from pyflagger.seeing.model import Missing
from pyflagger.seeing.read import CANARY_UID, Reader
from pyflagger.seeing.settings import Settings, told
from pyflagger.seeing.single import EVENTS_MAX, REPLICA_SETS, ROUNDS_MAX, Shifted, eyes_of, missing_of
from pyflagger.workloads.pods import label_selector

POLL_SECONDS = 2.0


class Selected(NamedTuple):
    """Objects to follow: a kind in a namespace (empty: all), one name of it, or those with labels."""

    resource: Resource
    namespace: str
    name: str = ""
    labels: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The selectors of a list or a watch."""
        fields = {"fieldSelector": f"metadata.name={self.name}"} if self.name else {}
        return fields | ({"labelSelector": self.labels} if self.labels else {})


class Follower:
    """Follows any number of selections. `changed` is set after each change."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self.changed = asyncio.Event()
        self._known: dict[Selected, _Following] = {}

    async def follow(self, what: Selected) -> None:
        """Follow a selection from now on, and wait until it has been read or refused."""
        if what not in self._known:
            self._known[what] = _Following(self._client, self._clock, what, self.changed.set)
        await self._known[what].ready.wait()

    def objects(self, what: Selected) -> list[Obj]:
        """The objects of a selection that is followed, as they are now."""
        return self._known[what].objects

    def refusal(self, what: Selected) -> ApiError | None:
        """Why a selection cannot be read."""
        return self._known[what].refusal

    def trouble(self, what: Selected) -> str:
        """What is wrong with the connection; empty if nothing is."""
        return self._known[what].trouble

    async def change(self, seconds: float) -> bool:
        """Wait for a change, but no longer than some seconds. Returns whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            return False
        self.changed.clear()
        return True

    async def stop(self) -> None:
        """Follow nothing from now on."""
        for each in self._known.values():
            await each.stop()


class _Following:
    """One selection: watched, or read again and again if it is one object that the person may not watch."""

    def __init__(self, client: Client, clock: Clock, what: Selected, changed: Callable[[], None]) -> None:
        self._reader, self._clock, self._what, self._changed = Reader(client, clock), clock, what, changed
        self.ready, self._denied = asyncio.Event(), asyncio.Event()
        self.refusal: ApiError | None = None
        self._read: Obj | None = None
        self._read_trouble = ""
        self._reflector = Reflector(
            client,
            clock,
            what.resource,
            what.namespace,
            lambda key, old, new: changed(),
            on_sync=self._synced,
            selection=what.query,
        )
        self._task = asyncio.create_task(self._run(), name=f"follow {what.resource.plural}")

    @property
    def objects(self) -> list[Obj]:
        """The objects as they are now."""
        if self._denied.is_set():
            return [self._read] if self._read else []
        if isinstance(self.refusal, Forbidden):
            return []  # What was read before a right was revoked.
        return [*self._reflector.store.values()]

    @property
    def trouble(self) -> str:
        """What is wrong with the connection."""
        return self._read_trouble if self._denied.is_set() else self._reflector.trouble

    async def stop(self) -> None:
        """Follow it no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _synced(self) -> None:
        self.refusal = self._reflector.refusal
        if isinstance(self.refusal, Forbidden) and self._what.name:
            self._denied.set()
            return
        self.ready.set()
        self._changed()

    async def _run(self) -> None:
        watching = asyncio.create_task(self._reflector.run())
        try:
            await self._denied.wait()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        while True:
            await self._poll()
            self.ready.set()
            await self._clock.sleep(POLL_SECONDS)

    async def _poll(self) -> None:
        """Read the object once. What was read before stays while the server does not answer."""
        what, found = self._what, self._read
        try:
            found, _ = await self._reader.get(what.resource.ref(what.namespace, what.name), what.resource)
            self.refusal, self._read_trouble = None, ""
        except (NotFound, Forbidden) as error:
            found, self.refusal, self._read_trouble = None, error, ""
        except ApiError as error:
            self._read_trouble = str(error)
        if found != self._read:
            self._read = found
            self._changed()


class Watched:
    """One canary with its target and its primary, followed. `begin` first."""

    def __init__(self, client: Client, clock: Clock, key: Key, options: Options) -> None:
        self._client, self._own, self._key, self._options = client, clock, key, options
        self._canary = Selected(CANARIES, *key)
        self._clock = Shifted(0.0, clock)
        self._follower = Follower(client, clock)
        self._settings = Settings(Reader(client, clock), clock)

    @property
    def now(self) -> float:
        """The server's time, in seconds since the epoch."""
        return self._clock.now()

    @property
    def trouble(self) -> str:
        """What is wrong with the connection; empty if nothing is."""
        return self._follower.trouble(self._canary)

    async def begin(self) -> None:
        """Read the Canary and follow it. Raises ApiError."""
        _, now = await Reader(self._client, self._own).get(CANARIES.ref(*self._key), CANARIES)
        self._clock = Shifted(now - self._own.now(), self._own)
        await self._follower.follow(self._canary)

    async def look(self) -> Look | None:
        """The canary as it is now, with its target and primary; None if it was deleted. Raises ApiError."""
        refusal = self._follower.refusal(self._canary)
        if isinstance(refusal, Forbidden):
            raise refusal
        canary = next(iter(self._follower.objects(self._canary)), None)
        if canary is None:
            return None
        settings = await self._settings.of(canary)
        eyes = eyes_of(self._client, self._clock, canary, told(self._options, settings))
        found = await self._completed(eyes)
        return replace(found, settings=settings) if found else None

    async def _completed(self, eyes: Eyes) -> Look | None:
        """The look with target and primary."""
        first = eyes.observe()
        for ref in {first.compiled.target, first.compiled.primary} if first else ():
            await self._take(eyes, ref)
        return looked(eyes, self.now)

    async def _take(self, eyes: Eyes, ref: Ref) -> Missing | None:
        """Give an object to the eyes. Returns it as missing if the person may not read it."""
        try:
            what = Selected(resource_of(ref), ref.namespace, ref.name)
        except UnknownKind:
            return None
        await self._follower.follow(what)
        refusal = self._follower.refusal(what)
        eyes.cache.put(what.resource, ref, next(iter(self._follower.objects(what)), None))
        if isinstance(refusal, NotFound | Forbidden):
            eyes.cache.refuse(what.resource, refusal)
        return missing_of("get", what.resource, ref.namespace, refusal) if isinstance(refusal, Forbidden) else None

    async def pods(self, found: Look) -> dict[str, list[Obj]]:
        """Follow the pods of target and primary too. Returns them by role."""
        compiled = found.compiled
        roles = {"primary": compiled.primary} | (
            {} if compiled.target == compiled.primary else {"canary": compiled.target}
        )
        pods = dict[str, list[Obj]]()
        for role, ref in roles.items():
            workload = found.get(ref)
            if workload is not None and (selector := label_selector(workload)):
                pods[role] = await self.more(Selected(PODS, ref.namespace, labels=selector))
        return pods

    async def more(self, what: Selected) -> list[Obj]:
        """Follow other objects too. Returns them. Raises ApiError if they cannot be read."""
        await self._follower.follow(what)
        refusal = self._follower.refusal(what)
        if refusal is not None:
            raise refusal
        return self._follower.objects(what)

    async def change(self, seconds: float) -> bool:
        """Wait for a change, but no longer than some seconds. Returns whether there was one."""
        return await self._follower.change(seconds)

    def wake(self) -> None:
        """End the wait for a change."""
        self._follower.changed.set()

    async def stop(self) -> None:
        """Follow it no more."""
        await self._follower.stop()


class Whole(Watched):
    """One canary with all that `single.look` reads, followed, for pages that stay open."""

    async def _completed(self, eyes: Eyes) -> Look | None:
        missing: list[Missing | None] = []
        for _ in range(ROUNDS_MAX):
            eyes.observe()
            wanted = [*eyes.wanted()]
            if not wanted:
                break
            missing += await asyncio.gather(*(self._take(eyes, ref) for ref in wanted))
        found = looked(eyes, self.now)
        return await self._around(found, [each for each in missing if each]) if found else None

    async def _around(self, found: Look, missing: list[Missing]) -> Look:
        """The look with ReplicaSets, pods, Events and records."""
        compiled = found.compiled
        workloads = [obj for ref in sorted({compiled.target, compiled.primary}) if (obj := found.get(ref)) is not None]
        selectors = sorted({selector for obj in workloads if (selector := label_selector(obj))})
        kinds = (REPLICA_SETS, PODS)
        asked = [Selected(kind, compiled.target.namespace, labels=labels) for kind in kinds for labels in selectors]
        events = Selected(EVENTS, compiled.target.namespace)
        uid = found.canary["metadata"]["uid"]
        records = Selected(RELEASES, compiled.target.namespace, labels=f"{CANARY_UID}={uid}")
        every = (*asked, events, records)
        lists = await asyncio.gather(*(self._visible(what, missing) for what in every))
        objects = dict(zip(every, lists, strict=True))
        sets, pods = (_each(objects[what] for what in asked if what.resource is kind) for kind in kinds)
        newest = sorted(filter(Owns(found), objects[events]), key=lambda each: event_of(each).at or 0.0)[-EVENTS_MAX:]
        return replace(
            found,
            sets=sets,
            pods=pods,
            events=tuple(newest),
            records=tuple(objects[records]),
            missing=tuple(dict.fromkeys(missing)),
        )

    async def _visible(self, what: Selected, missing: list[Missing]) -> list[Obj]:
        """The objects of a selection; none, and one missing part more, if the person may not list them.

        A cluster without the definition of records has none.
        """
        await self._follower.follow(what)
        refusal = self._follower.refusal(what)
        if refusal is not None and not (what.resource is RELEASES and isinstance(refusal, NotFound)):
            missing.append(missing_of("list", what.resource, what.namespace, refusal))
        return self._follower.objects(what)


def _each(lists: Iterable[list[Obj]]) -> tuple[Obj, ...]:
    """The objects of several lists, each once."""
    return tuple({obj["metadata"]["uid"]: obj for listed in lists for obj in listed}.values())
