"""The API's verbs over a Transport: typed errors, bounded retries, a fence for leaders.

The rest of this package and the operator's writes use it. It knows nothing about canaries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from pyflagger.api.facts import Fault, Problem
from pyflagger.clock import Clock
from pyflagger.kube.errors import ApiError, Conflict, Forbidden, NotFound, NotLeader, ServerError, Unreachable, error_of
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, Transport, TransportError
from pyflagger.kube.resources import resource_of
from pyflagger.objects import Create, Delete, Obj, Patch, Ref, Resource, Write

__all__ = ["ApiError", "Client", "Conflict", "Forbidden", "NotFound", "NotLeader"]

MERGE_PATCH = "application/merge-patch+json"
TRIES = 4
PAUSE_FIRST, PAUSE_MAX = 0.25, 10.0
_READS = frozenset({"GET"})


def _open() -> None:
    return None


class Client:
    """A client for one API server. It calls `fence` before every write; the fence may raise NotLeader."""

    def __init__(self, transport: Transport, clock: Clock, fence: Callable[[], None] = _open) -> None:
        self.transport = transport
        self._clock = clock
        self._fence = fence
        self.requests: Counter[str] = Counter()

    async def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Read one object. Raises NotFound and other ApiErrors."""
        return await self.call("GET", resource.path(namespace, name))

    async def create(self, obj: Obj, resource: Resource | None = None) -> Obj:
        """Create an object. Raises AlreadyExists, Invalid…"""
        meta = obj["metadata"]
        kind = resource or resource_of(Ref(obj["apiVersion"], obj["kind"], "", ""))
        return await self.call("POST", kind.path(meta.get("namespace", "")), obj)

    async def patch(self, patch: Patch) -> Obj:
        """Change an object by a merge patch. Raises Conflict when the patch gives an outdated resource version."""
        body = patch.body
        if patch.resource_version:
            meta = {**(body.get("metadata") or {}), "resourceVersion": patch.resource_version}
            body = {**body, "metadata": meta}
        ref = patch.ref
        path = resource_of(ref).path(ref.namespace, ref.name, patch.subresource)
        return await self.call("PATCH", path, body, MERGE_PATCH)

    async def replace(self, obj: Obj) -> Obj:
        """Replace a whole object. Its resource version guards against lost updates (Conflict)."""
        meta = obj["metadata"]
        resource = resource_of(Ref(obj["apiVersion"], obj["kind"], "", ""))
        return await self.call("PUT", resource.path(meta.get("namespace", ""), meta["name"]), obj)

    async def delete(self, ref: Ref, resource_version: str = "") -> None:
        """Delete an object with background propagation. A missing object is success.

        Raises Conflict when the deletion gives an outdated resource version.
        """
        path = resource_of(ref).path(ref.namespace, ref.name)
        unchanged = {"preconditions": {"resourceVersion": resource_version}} if resource_version else {}
        try:
            await self.call("DELETE", path, {"propagationPolicy": "Background", **unchanged})
        except NotFound:
            return

    async def apply(self, write: Write) -> Obj | None:
        """Execute a write. Returns the object afterwards, None for a deletion."""
        match write:
            case Create(obj):
                return await self.create(obj)
            case Patch():
                return await self.patch(write)
            case Delete(ref, version):
                await self.delete(ref, version)
        return None

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: str = "application/json",
    ) -> Obj:
        """Make one call, with retries. Raises ApiError."""
        payload = None if body is None else orjson.dumps(body)
        request = ApiRequest(method, path, query or {}, payload, content_type, accept)
        answer = await self._send(request)
        if answer.status >= 400:
            raise error_of(method.lower(), path, answer.status, answer.body)
        return object_of(answer, method, path)

    async def once(self, request: ApiRequest) -> ApiAnswer:
        """Make one call without retries. Every status is an answer. Raises NotLeader and TransportError."""
        if request.method not in _READS:
            self._fence()
        self.requests[request.method] += 1
        return await self.transport.call(request)

    async def _send(self, request: ApiRequest) -> ApiAnswer:
        pause = PAUSE_FIRST
        for left in range(TRIES - 1, -1, -1):
            try:
                answer = await self.once(request)
            except TransportError as error:
                if not left or request.method not in _READS:
                    raise Unreachable(_away(error)) from error
            else:
                if not (left and _again(request.method, answer.status)):
                    return answer
                pause = max(pause, _retry_after(answer))
            pause = min(pause, PAUSE_MAX)
            await self._clock.sleep(pause + self._clock.jitter(pause / 4))
            pause *= 2
        raise AssertionError("unreachable")


def object_of(answer: ApiAnswer, method: str, path: str) -> Obj:
    """The object in a successful answer. Raises ServerError for anything else, such as a proxy's HTML page."""
    try:
        said = orjson.loads(answer.body) if answer.body else {}
    except (ValueError, RecursionError):
        said = None
    if answer.status < 300 and isinstance(said, dict):
        return said
    text = f"the answer to {method} {path} is not a Kubernetes object (status {answer.status})"
    todo = "Check that the address is the API server's and that no proxy answers in its place."
    raise ServerError(Problem(Fault.CLUSTER, text, todo))


def _again(method: str, status: int) -> bool:
    """Whether to repeat a call. The server did not execute a 429. It may have executed a 5xx: repeat only reads."""
    return status == 429 or (status >= 500 and method in _READS)


def _retry_after(answer: ApiAnswer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdigit() else 0.0


def _away(error: TransportError) -> Problem:
    return Problem(Fault.CLUSTER, f"the API server does not answer: {error}", "flagger tries again.")
