"""Gets, lists in pages, and watches.

`ApiServer` calls it with a resource that exists. Returns bytes in the format that the client accepts.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from itertools import islice

from pyflagger.admission.errors import ApiError, bad_request, expired, not_found
from pyflagger.admission.resource import Resource
from pyflagger.clock import Clock
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver import selectors
from pyflagger_sandbox.apiserver.messages import Request, Response, WatchStream, answer, switched_on
from pyflagger_sandbox.apiserver.routes import Route
from pyflagger_sandbox.apiserver.selectors import Predicate
from pyflagger_sandbox.apiserver.shapes import MetadataOnly, Plain, Shape, wanted
from pyflagger_sandbox.apiserver.store import Entry, Key, Store
from pyflagger_sandbox.apiserver.table import Table
from pyflagger_sandbox.apiserver.watch import Watch, Wish

# The real server ends a watch after a random time of 30 to 60 minutes. The lower bound keeps runs repeatable.
LONGEST_WATCH = 1800.0
_PAGE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter."
)


class Reader:
    """Handles every request that changes nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.watches: set[Watch] = set()

    def get(self, resource: Resource, route: Route, request: Request) -> Response:
        """One object. Raises ApiError (404)."""
        return answer(self.shape(resource, request).one(self.entry(resource, route)))

    def entry(self, resource: Resource, route: Route) -> Entry:
        """The object that a path names. Raises ApiError (404)."""
        found = self._store.shelf(resource.shelf).get((route.namespace, route.name))
        if found is None:
            raise not_found(resource.plural, resource.group, route.name)
        return found

    def shape(self, resource: Resource, request: Request) -> Shape:
        """The format that the client requests."""
        form = wanted(request.accept).get("as", "")
        if form == "Table":
            return Table(resource, request.query.get("includeObject", ""), self._clock.now)
        if form.startswith("PartialObjectMetadata"):
            return MetadataOnly()
        return Plain(resource)

    def collection(self, resource: Resource, route: Route, request: Request) -> Response:
        """All objects of a resource, or of a resource in a namespace, or a page of them."""
        query, keep = request.query, self.selection(resource, route, request.query)
        revision, after = self._snapshot(query)
        found = [
            (key, entry)
            for key, entry in self._entries(resource, revision, paging=after is not None)
            if (not route.namespace or key[0] == route.namespace) and (keep is None or keep(entry.obj))
        ]
        if after is not None:
            found = [item for item in found if item[0] > after]
        limit = _number(query, "limit")
        meta: Obj = {"resourceVersion": str(revision)}
        if limit and len(found) > limit:
            meta["continue"] = _token(revision, found[limit - 1][0])
            if keep is None:
                meta["remainingItemCount"] = len(found) - limit
        page = islice((entry for _, entry in found), limit or None)
        return answer(self.shape(resource, request).list(page, meta))

    def _entries(self, resource: Resource, revision: int, *, paging: bool) -> list[tuple[Key, Entry]]:
        try:
            return self._store.shelf(resource.shelf).entries_at(revision)
        except ApiError as error:
            if not paging:
                raise
            raise expired(_PAGE_TOO_OLD) from error

    def selected(self, resource: Resource, route: Route, query: Mapping[str, str]) -> list[Entry]:
        """The objects of a collection path that the selectors match."""
        keep = self.selection(resource, route, query)
        entries = self._store.shelf(resource.shelf).entries(route.namespace)
        return [entry for entry in entries if keep is None or keep(entry.obj)]

    def selection(self, resource: Resource, route: Route, query: Mapping[str, str]) -> Predicate | None:
        """The predicate for the selectors and the name; None for all objects."""
        tests: list[Predicate] = []
        if route.name:
            tests.append(lambda obj: obj["metadata"]["name"] == route.name)
        if query.get("labelSelector"):
            tests.append(selectors.labels(query["labelSelector"]))
        if query.get("fieldSelector"):
            tests.append(selectors.fields(query["fieldSelector"], resource.fields, resource.kind))
        if not tests:
            return None
        return tests[0] if len(tests) == 1 else lambda obj: all(test(obj) for test in tests)

    def watch(self, resource: Resource, route: Route, request: Request) -> WatchStream:
        """Open a watch. Raises ApiError for invalid parameters. Reports a version that is too old inside the stream."""
        query = request.query
        initial = switched_on(query, "sendInitialEvents")
        if initial and query.get("resourceVersionMatch") != "NotOlderThan":
            raise _forbidden_match()
        revision = _revision(query, lambda text: ApiError(500, "", text))
        bookmarks = switched_on(query, "allowWatchBookmarks")
        wish = Wish(
            resource=resource,
            namespace=route.namespace,
            keep=self.selection(resource, route, query),
            since=None
            if initial or (not revision and "sendInitialEvents" not in query)
            else revision or self._store.revision,
            bookmarks=bookmarks,
            mark_initial=initial and bookmarks,
            timeout=_number(query, "timeoutSeconds") or LONGEST_WATCH,
        )
        shelf = self._store.shelf(resource.shelf)
        watch = Watch(wish, shelf, self.shape(resource, request), self._clock, lambda: self._store.revision)
        return WatchStream(self._followed(watch))

    async def _followed(self, watch: Watch) -> AsyncGenerator[bytes, None]:
        self.watches.add(watch)
        try:
            async for line in watch.lines():
                yield line
        finally:
            self.watches.discard(watch)

    def _snapshot(self, query: Mapping[str, str]) -> tuple[int, Key | None]:
        """The revision of the list, and the key after which it begins."""
        if query.get("continue"):
            return _untoken(query["continue"])
        asked = _revision(query, lambda text: bad_request(f"invalid resource version: {text}"))
        if asked > self._store.revision:
            text = f"Timeout: Too large resource version: {asked}, current: {self._store.revision}"
            raise ApiError(504, "Timeout", text, {"retryAfterSeconds": 1, "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]})  # fmt: skip
        exact = asked and query.get("resourceVersionMatch") == "Exact"
        return (asked if exact else self._store.revision), None


def _revision(query: Mapping[str, str], refuse: Callable[[str], ApiError]) -> int:
    """The requested version. `refuse` makes the error, because lists and watches of a real server reject it
    differently.
    """
    text = query.get("resourceVersion") or "0"
    if text.isascii() and text.isdigit():
        return int(text)
    raise refuse(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    try:
        return max(0, int(text))
    except ValueError:
        raise bad_request(f'invalid {name}: strconv.ParseUint: parsing "{text}": invalid syntax') from None


def _token(revision: int, after: Key) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": "/".join(after)})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _untoken(token: str) -> tuple[int, Key]:
    try:
        said = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = said["start"].partition("/")
        return int(said["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise bad_request("continue key is not valid") from None


def _forbidden_match() -> ApiError:
    text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    return ApiError(
        422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: {text}', {}
    )
