"""The stage of the tests: the sandbox's, with what people do with kubectl, a meter, and a list of what runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pyflagger.clock import Clock
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import Transport
from pyflagger.objects import Obj
from pyflagger.operator.options import Options
from pyflagger.operator.run import Operator
from pyflagger.wire import HttpAnswer, HttpRequest
from pyflagger_sandbox.controllers.manager import Controller
from pyflagger_sandbox.rehearsal import stage as product
from pyflagger_sandbox.rehearsal.stage import OURS, Script, vector
from stage.meter import Meter, Unmetered

__all__ = ["OURS", "Script", "vector"]

MERGE = "application/merge-patch+json"
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


async def healthy(request: HttpRequest) -> HttpAnswer:
    """Every hook says yes, every query is answered 100 (`vector(1)`: 1)."""
    if "/api/v1/query" not in request.url:
        return HttpAnswer(200, b"ok")
    value = "1" if "vector" in request.url else "100"
    return HttpAnswer(200, vector(value))


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


class Stage(product.Stage, Executor):
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
        asked = Options(**{"mesh_provider": "nginx", "metrics_server": "http://prometheus", **options})
        super().__init__(answer, asked, seed=seed, clock=clock, broken=broken)
        self._meter = meter

    async def start(
        self, *, operator: bool = True, definitions: Sequence[Obj] = (), controllers: Sequence[Controller] = ()
    ) -> None:
        """Bring everything up, with more kinds and those who look after them."""
        RUNNING.append(self)
        await super().start(operator=operator, definitions=definitions, controllers=controllers)

    def way(self) -> Transport:
        """Around the meter."""
        return super().way() if self._meter is None else Unmetered(super().way(), self._meter)

    async def begin(self, operator: Operator) -> None:
        """Within the meter."""
        await (super().begin(operator) if self._meter is None else self._meter.run(operator.start()))

    async def stop(self) -> None:
        """Leave nothing running."""
        RUNNING.remove(self)
        await super().stop()
