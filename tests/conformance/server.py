"""The server under test: the embedded one, or a real one whose kubeconfig is in CONFORMANCE_KUBECONFIG.

Nothing here sleeps by the clock: what a server does in its own time is waited for by asking again.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from pyflagger.clock import SystemClock
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.protocol import ApiRequest, Transport
from pyflagger.kube.reach import find
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess
from pyflagger_sandbox.kubelet.cluster import start
from pyflagger_sandbox.kubelet.runtime import InstantRuntime

KUBECONFIG = os.environ.get("CONFORMANCE_KUBECONFIG", "")
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
SECONDS_MAX = 30.0

Obj = dict[str, Any]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    body: Any
    headers: Any = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """The reason of a refusal, empty when it is none."""
        return str(self.body.get("reason", "")) if self.body.get("kind") == "Status" else ""

    @property
    def message(self) -> str:
        """Its words."""
        return str(self.body.get("message", ""))

    def __getitem__(self, path: str) -> Any:
        """A value of the object by a dotted path; None when there is none."""
        value: Any = self.body
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value


class Server:
    """An API server with a namespace for this test alone."""

    def __init__(self, transport: Transport, namespace: str = "") -> None:
        self._transport, self.namespace = transport, namespace

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Said:
        """One call, as it is; nothing is tried again."""
        payload = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        answer = await self._transport.call(ApiRequest(method, path, query, payload, type, accept))
        try:
            said = json.loads(answer.body)
        except ValueError:
            said = {"raw": answer.body.decode()}
        return Said(answer.status, said, answer.headers)

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        """A path in the test's namespace; `plural` may have its group and version before it, `apps/v1/deployments`."""
        group, _, plain = plural.rpartition("/")
        root = f"/apis/{group}" if group else "/api/v1"
        return "/".join(part for part in (root, "namespaces", self.namespace, plain, name, subresource) if part)

    async def create(self, plural: str, obj: Obj, **query: str) -> Said:
        """Create an object."""
        return await self.ask("POST", self.path(plural), obj, **query)

    async def made(self, plural: str, obj: Obj) -> Obj:
        """Create an object; the object."""
        said = await self.create(plural, obj)
        assert said.status == 201, said
        body: Obj = said.body
        return body

    async def get(self, plural: str, name: str = "", **query: str) -> Said:
        """Read an object or a collection."""
        return await self.ask("GET", self.path(plural, name), **query)

    async def patch(self, plural: str, name: str, body: Any, type: str = MERGE, sub: str = "", **query: str) -> Said:
        """Change an object."""
        return await self.ask("PATCH", self.path(plural, name, sub), body, type=type, **query)

    async def put(self, plural: str, obj: Obj, sub: str = "", **query: str) -> Said:
        """Replace an object."""
        return await self.ask("PUT", self.path(plural, obj["metadata"]["name"], sub), obj, **query)

    async def delete(self, plural: str, name: str, body: Any = None, **query: str) -> Said:
        """Delete an object."""
        return await self.ask("DELETE", self.path(plural, name), body, **query)

    @asynccontextmanager
    async def watch(self, plural: str, accept: str = "application/json", **query: str) -> AsyncIterator[Watch]:
        """An open watch."""
        request = ApiRequest("GET", self.path(plural), {"watch": "true", **query}, accept=accept)
        async with self._transport.stream(request) as stream:
            assert stream.status == 200, stream.body
            yield Watch(stream.lines)


class Watch:
    """The events of a watch."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines

    async def next(self) -> tuple[str, Obj]:
        """The next event: its type and its object."""
        async with asyncio.timeout(SECONDS_MAX):
            event = json.loads(await self._lines.__anext__())
        return event["type"], event["object"]

    async def names(self, count: int) -> list[tuple[str, str]]:
        """The next events: types and names."""
        found = [await self.next() for _ in range(count)]
        return [(kind, obj["metadata"].get("name", "")) for kind, obj in found]


async def eventually(look: Callable[[], Awaitable[Value]], good: Callable[[Value], bool]) -> Value:
    """Ask until the answer is good. Raises AssertionError with the last one."""
    clock = SystemClock()
    end = clock.monotonic() + SECONDS_MAX
    while not good(found := await look()):
        assert clock.monotonic() < end, found
        await clock.sleep(0.02)
    return found


@asynccontextmanager
async def embedded() -> AsyncIterator[Server]:
    """The embedded server with its controllers."""
    clock = SystemClock()
    hosts = count(1)
    transport = InProcess(ApiServer(clock, allocate=lambda service: f"10.96.0.{next(hosts)}"), "conformance")
    workers = await start(transport, clock, InstantRuntime(clock, lambda pod, image: False))
    yield Server(transport)
    await workers.stop()


@asynccontextmanager
async def real() -> AsyncIterator[Server]:
    """A real one."""
    clock = SystemClock()
    transport = AiohttpTransport(await find(KUBECONFIG, "", clock))
    yield Server(transport)
    await transport.close()


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    """The server under test, with a fresh namespace."""
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(real() if KUBECONFIG else embedded())
        said = await found.ask("POST", "/api/v1/namespaces", {"metadata": {"generateName": "conformance-"}})
        found.namespace = said["metadata.name"]
        yield found
        await found.ask("DELETE", f"/api/v1/namespaces/{found.namespace}")
