"""The stage: embedded API server, controllers, a pretending kubelet, scripted HTTP, and the real operator.

Everything runs on the clock of the event loop, so with looptime an hour takes a second and each run is the same.
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
from pyflagger_sandbox.kubelet.runtime import InstantRuntime, Runtime
from stage.meter import Meter, Unmetered

MERGE = "application/merge-patch+json"
OURS = crds()
PLURALS = {"KnativeService": "services", "Ingress": "ingresses", "Canary": "canaries"}
GROUPS = {
    "Deployment": "/apis/apps/v1",
    "DaemonSet": "/apis/apps/v1",
    "Ingress": "/apis/networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1",
    "VirtualService": "/apis/networking.istio.io/v1beta1",
    "KnativeService": "/apis/serving.knative.dev/v1",
    "ScaledObject": "/apis/keda.sh/v1alpha1",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1",
    "Canary": "/apis/flagger.app/v1beta1",
    "CanaryAction": "/apis/flagger.app/v1alpha1",
    "MetricTemplate": "/apis/flagger.app/v1beta1",
    "AlertProvider": "/apis/flagger.app/v1beta1",
}


def path_of(kind: str, namespace: str = "", name: str = "") -> str:
    """The path of an object or a collection."""
    root = GROUPS.get(kind, "/api/v1")
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{PLURALS.get(kind, kind.lower() + 's')}" + (f"/{name}" if name else "")


def broken(pod: Obj, image: str) -> bool:
    """`broken` never gets ready; `brokenprimary` does not in pods of a primary only."""
    return "-primary-" in pod["metadata"]["name"] if "brokenprimary" in image else "broken" in image


RUNNING: list[Stage] = []
"""The stages that were started and not stopped. A fixture stops them after each test."""


class Script:
    """An `Http` whose answers come from a function."""

    def __init__(self, answer: Callable[[HttpRequest], Awaitable[HttpAnswer]]) -> None:
        self._answer = answer

    async def send(self, request: HttpRequest) -> HttpAnswer:
        return await self._answer(request)


async def healthy(request: HttpRequest) -> HttpAnswer:
    """Every hook says yes, every query is answered 100 (`vector(1)`: 1)."""
    if "/api/v1/query" not in request.url:
        return HttpAnswer(200, b"ok")
    value = "1" if "vector" in request.url else "100"
    return HttpAnswer(200, vector(value))


def vector(*values: str) -> bytes:
    """An instant vector as Prometheus writes it."""
    result = [{"metric": {}, "value": [0, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


class Executor:
    """What people do with kubectl, over a client of any API server."""

    client: Client

    async def namespace(self, name: str) -> None:
        """Create a namespace."""
        await self.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    async def create(self, obj: Obj, namespace: str = "test") -> Obj:
        """Create an object in a namespace."""
        body = {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
        return await self.client.call("POST", path_of(obj["kind"], namespace), body)

    async def get(self, kind: str, name: str, namespace: str = "test") -> Obj:
        """Read an object."""
        return await self.client.call("GET", path_of(kind, namespace, name))

    async def patch(self, kind: str, name: str, body: Obj, namespace: str = "test") -> Obj:
        """A merge patch."""
        return await self.client.call("PATCH", path_of(kind, namespace, name), body, MERGE)

    async def set_image(
        self, name: str, container: str, image: str, namespace: str = "test", kind: str = "Deployment"
    ) -> None:
        """What `kubectl set image` does."""
        pod = (await self.get(kind, name, namespace))["spec"]["template"]["spec"]
        containers = [{**entry, "image": image} if entry["name"] == container else entry for entry in pod["containers"]]
        await self.patch(kind, name, {"spec": {"template": {"spec": {"containers": containers}}}}, namespace)

    async def delete(self, kind: str, name: str, namespace: str = "test") -> None:
        """What `kubectl delete` does."""
        await self.client.call("DELETE", path_of(kind, namespace, name), {"propagationPolicy": "Background"})

    async def status(self, name: str, namespace: str = "test") -> Obj:
        """The status of a Canary."""
        return (await self.get("Canary", name, namespace)).get("status") or {}


class Stage(Executor):
    """A cluster to play on. `await start()` first. A test that ends, or fails, leaves `stop()` to its fixture."""

    def __init__(
        self,
        answer: Callable[[HttpRequest], Awaitable[HttpAnswer]] = healthy,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        meter: Meter | None = None,
        **options: Any,
    ) -> None:
        self._meter = meter
        self.clock = clock or LoopClock(seed=seed)
        self.audit: list[Audited] = []
        self.server = ApiServer(self.clock, audit=self.audit.append)
        self.transport = InProcess(self.server, "test")
        self.client = Client(self.transport, self.clock)
        self.http = Script(answer)
        self.crds: Sequence[Obj] = OURS
        """The definitions of our kinds that the cluster has."""
        self.options = Options(**{"mesh_provider": "nginx", "metrics_server": "http://prometheus", **options})
        self.home = ""
        """The namespace of the operator, in which it publishes its settings; empty: nowhere."""
        self.pods_take = 0.0
        """Seconds until a pod is ready."""
        self.runtime: Runtime | None = None
        """What runs the pods in place of an InstantRuntime."""
        self.spectator = Spectator()
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
        RUNNING.append(self)
        for definition in (*self.crds, *definitions):
            await self.client.call("POST", path_of("CustomResourceDefinition"), definition)
        pods = self.runtime or InstantRuntime(self.clock, broken, takes=self.pods_take)
        self.workers = await start(self.transport, self.clock, pods, controllers=(*CONTROLLERS, *controllers))
        if operator:
            await self.start_operator()

    async def start_operator(self) -> Operator:
        """A fresh operator, as after a crash: it remembers nothing."""
        way: Transport = InProcess(self.server, "flagger")
        if self._meter is not None:
            way = Unmetered(way, self._meter)
        self.operator = Operator(self.options, way, self.http, self.clock, None, self.spectator, self.home)
        begun = self.operator.start()
        await (self._meter.run(begun) if self._meter is not None else begun)
        return self.operator

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
        RUNNING.remove(self)
        await self.stop_operator()
        await self.workers.stop()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
