"""The stage: embedded API server, controllers, a pretending kubelet, scripted HTTP, and the real operator.

Everything runs on the clock of the event loop, so on virtual time an hour takes a second and each run is the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from pyflagger.api.crds import crds
from pyflagger.clock import Clock, LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import Transport
from pyflagger.objects import Obj
from pyflagger.operator.options import Options
from pyflagger.operator.run import Operator
from pyflagger.operator.spectator import Spectator
from pyflagger.wire import HttpAnswer, HttpRequest
from pyflagger_sandbox.apiserver.server import ApiServer, Audited
from pyflagger_sandbox.apiserver.transport import InProcess
from pyflagger_sandbox.controllers.manager import Controller
from pyflagger_sandbox.controllers.registry import CONTROLLERS
from pyflagger_sandbox.kubelet.cluster import Workers, start
from pyflagger_sandbox.kubelet.runtime import Broken, InstantRuntime, Runtime, never

OURS = crds()
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Script:
    """An `Http` whose answers come from a function."""

    def __init__(self, answer: Callable[[HttpRequest], Awaitable[HttpAnswer]]) -> None:
        self._answer = answer

    async def send(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request)


def vector(*values: str) -> bytes:
    """An instant vector as Prometheus writes it."""
    result = [{"metric": {}, "value": [0, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


class Stage:
    """A cluster to play on. `await start()` first, `stop()` last."""

    def __init__(
        self,
        answer: Callable[[HttpRequest], Awaitable[HttpAnswer]],
        options: Options,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        spectator: Spectator | None = None,
        broken: Broken = never,
    ) -> None:
        self.clock = clock or LoopClock(seed=seed)
        self.audit: list[Audited] = []
        self.server = ApiServer(self.clock, audit=self.audit.append)
        self.transport = InProcess(self.server, "test")
        self.client = Client(self.transport, self.clock)
        self.http = Script(answer)
        self.crds: Sequence[Obj] = OURS
        """The definitions of our kinds that the cluster has."""
        self.options = options
        self.home = ""
        """The namespace of the operator, in which it publishes its settings; empty: nowhere."""
        self.broken, self.pods_take = broken, 0.0
        """Images that never get ready; seconds until a pod is ready."""
        self.runtime: Runtime | None = None
        """What runs the pods in place of an InstantRuntime."""
        self.spectator = spectator or Spectator()
        self.over = asyncio.Event()
        """Never set. What waits for it belongs to the stage, so it is cancelled with it and not lost as garbage before.
        """
        self._beside: list[asyncio.Task[None]] = []
        self.workers: Workers
        self.operator: Operator | None = None

    async def start(
        self, *, operator: bool = True, definitions: Sequence[Obj] = (), controllers: Sequence[Controller] = ()
    ) -> None:
        """Bring everything up, with more kinds and those who look after them."""
        for definition in (*self.crds, *definitions):
            await self.client.call("POST", DEFINITIONS, definition)
        pods = self.runtime or InstantRuntime(self.clock, self.broken, takes=self.pods_take)
        self.workers = await start(self.transport, self.clock, pods, controllers=(*CONTROLLERS, *controllers))
        if operator:
            await self.start_operator()

    async def start_operator(self) -> Operator:
        """A fresh operator, as after a crash: it remembers nothing."""
        self.operator = Operator(self.options, self.way(), self.http, self.clock, None, self.spectator, self.home)
        await self.begin(self.operator)
        return self.operator

    def way(self) -> Transport:
        """How the operator reaches the API server."""
        return InProcess(self.server, "flagger")

    async def begin(self, operator: Operator) -> None:
        """Start an operator."""
        await operator.start()

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until the stage stops."""
        self._beside.append(asyncio.create_task(work))

    async def stop_operator(self) -> None:
        """An orderly end."""
        operator, self.operator = self.operator, None
        if operator:
            await operator.stop()

    async def stop(self) -> None:
        """Leave nothing running."""
        await self.stop_operator()
        await self.workers.stop()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
