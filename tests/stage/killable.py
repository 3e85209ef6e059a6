"""An operator that dies after its n-th write, and what must hold whenever it does.

`Killable` stands between an operator and the world: once dead, no call of that operator ever returns, so it can do
nothing more, as after SIGKILL. `Witness` watches the objects from outside and keeps what was seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream
from pyflagger.kube.resources import DEPLOYMENTS, resource_of
from pyflagger.objects import Obj, Ref
from pyflagger.operator.run import Operator
from pyflagger.wire import HttpAnswer, HttpRequest
from pyflagger_sandbox.apiserver.transport import InProcess
from stage.stage import Stage

INGRESSES = resource_of(Ref("networking.k8s.io/v1", "Ingress", "", ""))
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
READS = ("GET", "HEAD")


class Killable:
    """A Transport that dies with its `fatal`-th write: carried out, and the answer heard or not."""

    def __init__(self, stage: Stage, fatal: int | None, heard: bool) -> None:
        self._inner, self._fatal, self._heard = InProcess(stage.server, "flagger"), fatal, heard
        self._stage = stage
        self.writes: list[str] = []
        self.dead = asyncio.Event()

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Carry out a call, and perhaps die of it."""
        await self._alive()
        writes = request.method not in READS
        if writes:
            self.writes.append(f"{request.method} {request.path}")
        answer = await self._inner.call(request)
        if writes and len(self.writes) == self._fatal:
            self.dead.set()
            if not self._heard:
                await self._alive()
        return answer

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch."""
        await self._alive()
        async with self._inner.stream(request) as stream:
            yield stream

    async def close(self) -> None:
        """Nothing is held."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """The way to hooks and metrics, closed to the dead as well."""
        await self._alive()
        return await self._stage.http.send(request)

    async def _alive(self) -> None:
        if self.dead.is_set():
            await self._stage.over.wait()


class Seen(NamedTuple):
    """Something seen: when (seconds), at which revision of the API server's store, and what."""

    at: float
    revision: int
    what: int | str


@dataclass
class Witness:
    """What was seen from outside: the canary's weights at the ingress, the primary's images, the target's replicas, and
    judged weights."""

    stage: Stage
    weights: list[Seen] = field(default_factory=list)
    images: list[Seen] = field(default_factory=list)
    scales: list[Seen] = field(default_factory=list)
    judged: list[Seen] = field(default_factory=list)

    async def start(self) -> None:
        """Begin to watch."""
        self.cache = Cache(self.stage.client, self.stage.clock)
        self.cache.subscribe(self._saw)
        for resource in (DEPLOYMENTS, INGRESSES):
            await self.cache.wait(resource)

    @property
    def weight(self) -> int:
        """The weight at the ingress now."""
        return int(self.weights[-1].what) if self.weights else 0

    def query(self) -> None:
        """A metric was asked for at the weight of now."""
        self.judged.append(Seen(self.stage.clock.now(), self.stage.server.store.revision, self.weight))

    def _saw(self, change: ObjectChange) -> None:
        obj = change.new
        if obj is None:
            return
        name, revision = obj["metadata"]["name"], int(obj["metadata"]["resourceVersion"])
        if change.resource == INGRESSES and name.endswith("-canary"):
            self._note(self.weights, revision, int(obj["metadata"]["annotations"].get(WEIGHT, "0")))
        elif change.resource == DEPLOYMENTS and name.endswith("-primary"):
            self._note(self.images, revision, image_of(obj))
        elif change.resource == DEPLOYMENTS:
            self._note(self.scales, revision, obj["spec"]["replicas"])

    def _note(self, seen: list[Seen], revision: int, what: int | str) -> None:
        if not seen or seen[-1].what != what:
            seen.append(Seen(self.stage.clock.now(), revision, what))


def image_of(deployment: Obj) -> str:
    """The image of its first container."""
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def awake(stage: Stage, mortal: Killable) -> Operator:
    """An operator that lives as long as its transport."""
    return Operator(stage.options, mortal, mortal, stage.clock)
