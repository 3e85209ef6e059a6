"""Starts the controllers and the kubelet of the sandbox beside its API server.

`pyflagger_sandbox.cluster` and tests call it. It works over any Transport.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyflagger.clock import Clock
from pyflagger.kube.protocol import Transport
from pyflagger_sandbox.controllers.cache import Cache
from pyflagger_sandbox.controllers.client import Api
from pyflagger_sandbox.controllers.events import Recorder
from pyflagger_sandbox.controllers.manager import Controller, Manager
from pyflagger_sandbox.controllers.registry import CONTROLLERS, KINDS

from .kubelet import Kubelet
from .runtime import Runtime

NODES = ("sandbox-1", "sandbox-2")


class Workers:
    """The running controllers and kubelet. Others may read `cache`, a View of the live objects."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        runtime: Runtime,
        *,
        nodes: Sequence[str] = NODES,
        controllers: Sequence[Controller] = CONTROLLERS,
        kinds: Sequence[str] = KINDS,
        events: bool = True,
    ) -> None:
        api = Api(transport)
        self.cache = Cache(api, clock, dict.fromkeys((*kinds, "Pod", "Node")))
        self._recorders = [Recorder(api, clock, name) for name in ("sandbox-controllers", "kubelet")] if events else []
        said_by_controllers, said_by_kubelet = self._recorders or (None, None)
        self.manager = Manager(api, self.cache, clock, controllers, said_by_controllers)
        self.kubelet = Kubelet(api, self.cache, clock, runtime, nodes, said_by_kubelet)

    async def start(self) -> None:
        """Create the nodes, fill the cache and start the controllers."""
        for recorder in self._recorders:
            recorder.start()
        self.manager.start()
        await self.kubelet.start()
        await self.cache.start()

    async def stop(self) -> None:
        """Stop the pods and every task. The API server keeps the objects."""
        await self.cache.stop()
        await self.manager.stop()
        await self.kubelet.stop()
        for recorder in self._recorders:
            await recorder.stop()


async def start(
    transport: Transport,
    clock: Clock,
    runtime: Runtime,
    *,
    nodes: Sequence[str] = NODES,
    controllers: Sequence[Controller] = CONTROLLERS,
    events: bool = True,
) -> Workers:
    """Start controllers and kubelet on an API server. Call `stop` on the result."""
    kinds = tuple(dict.fromkeys(kind for controller in controllers for kind in controller.watches))
    workers = Workers(transport, clock, runtime, nodes=nodes, controllers=controllers, kinds=kinds, events=events)
    await workers.start()
    return workers
