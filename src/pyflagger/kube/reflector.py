"""Keeps one collection up to date: list in pages, watch, resume, relist.

A state machine with three states. LISTING reads everything and reports each difference, deletions included. WATCHING
follows changes from the last resource version, across reconnects. PAUSED waits after a failure, with increasing
backoff. Only an outdated resource version (410) leads from WATCHING back to LISTING. Run by `cache`.

A server may not serve the kind, or RBAC may deny it. Canaries that need the kind report this refusal. The reflector
lists again with the same backoff until it succeeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from enum import StrEnum
from typing import Any

import orjson

from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.errors import ApiError, Forbidden, Gone, NotFound, error_of, not_served
from pyflagger.kube.protocol import ApiRequest, TransportError
from pyflagger.objects import Obj, Pool, Resource

PAGE = 100
"""Objects in a page. A page is parsed as a whole, with managed fields; they are dropped afterwards."""

WATCH_SECONDS = 300.0
SILENCE_SECONDS_MAX = WATCH_SECONDS + 60.0
PAUSE_FIRST, PAUSE_MAX = 0.5, 30.0
OBJECTS = "application/json"
METADATA = "application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1"


class State(StrEnum):
    """The state of a reflector."""

    LISTING = "listing"
    WATCHING = "watching"
    PAUSED = "paused"


class Garbage(Exception):
    """The server sent something that is not a watch event."""


Store = dict[tuple[str, str], Obj]
OnChange = Callable[[tuple[str, str], Obj | None, Obj | None], None]
"""Called with (namespace and name, before, after) for each change, in order."""


class Reflector:
    """One collection.

    `selection` narrows the collection: labelSelector and fieldSelector. `on_change` is called for each change. `synced`
    is set after the first list. `refusal` is set while the server does not serve the kind (NotFound) or denies it
    (Forbidden). `on_sync` is called when either changes.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        resource: Resource,
        namespace: str,
        on_change: OnChange,
        *,
        on_sync: Callable[[], None] = lambda: None,
        metadata_only: bool = False,
        selection: Mapping[str, str] | None = None,
    ) -> None:
        self._client, self._clock, self._on_change, self._on_sync = client, clock, on_change, on_sync
        self.resource = resource
        self._path = resource.path(namespace)
        self._selection = selection or {}
        self._accept = METADATA if metadata_only else OBJECTS
        self.store: Store = {}
        self._pool = Pool()
        self.synced = asyncio.Event()
        self.state = State.LISTING
        self.garbage = 0
        self.trouble = ""
        self.refusal: NotFound | Forbidden | None = None
        self._version = ""
        self._moved = False
        self._last_message = clock.monotonic()

    @property
    def stale_seconds(self) -> float:
        """Seconds since the server last sent something."""
        return self._clock.monotonic() - self._last_message

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        pause = PAUSE_FIRST
        while True:
            listed, self._moved = not self._version, False
            try:
                if listed:
                    self.state = State.LISTING
                    await self._list()
                self.state = State.WATCHING
                if await self._watch():
                    pause = PAUSE_FIRST
                    continue
            except Gone as error:
                self.trouble, self._version = str(error), ""
                # A version that was just listed cannot be outdated. Back off, so that such a server causes no hot loop.
                if not listed:
                    continue
            except Garbage as error:
                self.garbage += 1
                self.trouble, self._version = str(error), ""
            except (ApiError, TransportError) as error:
                self.trouble = str(error)
                await self._refused(error)
                pause = PAUSE_FIRST if self._moved else pause
            self.state = State.PAUSED
            await self._clock.sleep(pause + self._clock.jitter(pause / 2))
            pause = min(pause * 2, PAUSE_MAX)

    async def _list(self) -> None:
        found: Store = {}
        query = {"limit": str(PAGE), **self._selection}
        while True:
            page = await self._client.call("GET", self._path, query=query, accept=self._accept.format(list="List"))
            items, meta = page.get("items") or [], page.get("metadata") or {}
            if not isinstance(items, list) or not isinstance(meta, dict):
                raise Garbage(f"the answer to GET {self._path} is not a list")
            for obj in items:
                key = _key(obj)
                if key:
                    found[key] = self._clean(obj, found.get(key) or self.store.get(key))
            token = meta.get("continue")
            if not token:
                break
            query = {**query, "continue": str(token)}
        self._version = str(meta.get("resourceVersion") or "")
        self._last_message = self._clock.monotonic()
        self._replace(found)
        changed = not self.synced.is_set() or self.refusal is not None
        self.refusal = None
        self.synced.set()
        if changed:
            self._on_sync()

    async def _refused(self, error: Exception) -> None:
        if not isinstance(error, NotFound | Forbidden):
            return
        changed = type(self.refusal) is not type(error)
        if isinstance(error, Forbidden):
            self.refusal = error
        elif changed:
            self.refusal = not_served(self.resource, await self._served())
        self._version = ""
        if changed:
            self._on_sync()

    async def _served(self) -> list[str]:
        """The served versions of the kind's group, for the error text: an older CRD may be installed."""
        if not self.resource.group:
            return []
        try:
            found = await self._client.call("GET", f"/apis/{self.resource.group}")
        except (ApiError, TransportError):
            return []
        versions = found.get("versions")
        each = versions if isinstance(versions, list) else []
        return [str(one.get("version", "")) for one in each if isinstance(one, dict)]

    def _replace(self, found: Store) -> None:
        before, self.store = self.store, found
        for key, obj in before.items():
            if key not in found:
                self._on_change(key, obj, None)
        for key, obj in found.items():
            old = before.get(key)
            if old is None or _rv(old) != _rv(obj):
                self._on_change(key, old, obj)

    async def _watch(self) -> bool:
        """Follow one stream to its end. Returns whether it sent anything."""
        query = {
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(WATCH_SECONDS)),
            **self._selection,
        }
        request = ApiRequest("GET", self._path, query, accept=self._accept.format(list=""))
        async with self._client.transport.stream(request) as stream:
            if stream.status >= 300:
                raise error_of("watch", self._path, stream.status, stream.body)
            self._last_message, self.trouble = self._clock.monotonic(), ""
            async for line in self._lines(stream.lines):
                self._last_message = self._clock.monotonic()
                self._take(line)
                self._moved = True
        return self._moved

    async def _lines(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Lines of a stream. Raises TransportError after too long a silence: a healthy server sends bookmarks."""
        iterator = lines.__aiter__()
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS_MAX):
                    line = await iterator.__anext__()
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise TransportError(f"no watch event for {SILENCE_SECONDS_MAX:.0f} s") from None
            if line.strip():
                yield line

    def _take(self, line: bytes) -> None:
        kind, obj = _event(line)
        if kind == "ERROR":
            raise error_of("watch", self._path, _code(obj), orjson.dumps(obj))
        version = _rv(obj)
        if not version:
            raise Garbage(f"a watch event of {self._path} has no resource version")
        self._version = version
        if kind == "BOOKMARK":
            return
        key = _key(obj)
        if key is None:
            raise Garbage(f"a watch event of {self._path} has no name")
        before = self.store.get(key)
        if kind == "DELETED":
            if before is not None:
                del self.store[key]
                self._on_change(key, before, None)
        elif before is None or _rv(before) != version:
            obj = self._clean(obj, before)
            self.store[key] = obj
            self._on_change(key, before, obj)

    def _clean(self, obj: Obj, before: Obj | None) -> Obj:
        """Drop managed fields and share unchanged parts with the object before: most of an update is unchanged."""
        obj["metadata"].pop("managedFields", None)
        obj.setdefault("apiVersion", self.resource.api_version)
        obj.setdefault("kind", self.resource.kind)
        return self._pool.one(obj) if before is None else self._pool.update(obj, before)


def _event(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        event = orjson.loads(line)
        kind, obj = event["type"], event["object"]
        if not isinstance(obj, dict) or (kind != "ERROR" and not isinstance(obj.get("metadata"), dict)):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Garbage(f"not a watch event: {line[:80]!r}") from None
    return str(kind), obj


def _code(status: Obj) -> int:
    """The code of an ERROR event; 500 when it has no valid one."""
    code = status.get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _key(obj: Obj) -> tuple[str, str] | None:
    meta = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str):
        return None
    return str(meta.get("namespace") or ""), meta["name"]


def _rv(obj: Obj) -> str:
    return str(obj["metadata"].get("resourceVersion") or "")
