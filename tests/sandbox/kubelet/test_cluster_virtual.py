"""Controllers and kubelet over the embedded API server, on virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.kube.protocol import ApiRequest
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.faults import Broken, Match, busy, modified, server_error, too_old, writes
from pyflagger_sandbox.apiserver.server import ApiServer, Audited
from pyflagger_sandbox.apiserver.transport import InProcess
from pyflagger_sandbox.kubelet.cluster import Workers, start
from pyflagger_sandbox.kubelet.runtime import InstantRuntime

pytestmark = pytest.mark.looptime

APPS = "/apis/apps/v1/namespaces/test/deployments"
MERGE = "application/merge-patch+json"


def broken(pod: Obj, image: str) -> bool:
    """As in the recorded stories: `broken` never gets ready, `brokenprimary` only in a primary's pods."""
    return "-primary-" in pod["metadata"]["name"] if "brokenprimary" in image else "broken" in image


class Cluster:
    """An API server with controllers and a pretending kubelet, and hands to use it."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.audit: list[Audited] = []
        self.server = ApiServer(self.clock, audit=self.audit.append)
        self.transport = InProcess(self.server, "test")
        self.workers: Workers

    async def call(self, method: str, path: str, body: Obj | None = None, kind: str = "application/json") -> Obj:
        data = None if body is None else json.dumps(body).encode()
        answer = await self.transport.call(ApiRequest(method, path, {}, data, kind))
        assert answer.status < 300, answer.body
        found: Obj = json.loads(answer.body)
        return found

    async def items(self, path: str) -> list[Obj]:
        found: list[Obj] = (await self.call("GET", path))["items"]
        return found

    async def deploy(self, name: str = "web", image: str = "web:1", **spec: Any) -> None:
        container = {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 9898}]}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
        body = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template} | spec
        meta = {"name": name, "namespace": "test"}
        await self.call("POST", APPS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": body})

    async def image(self, image: str, name: str = "web") -> None:
        deployment = await self.call("GET", f"{APPS}/{name}")
        containers = deployment["spec"]["template"]["spec"]["containers"]
        containers[0]["image"] = image
        await self.call("PATCH", f"{APPS}/{name}", {"spec": {"template": {"spec": {"containers": containers}}}}, MERGE)

    async def scale(self, replicas: int, name: str = "web") -> None:
        await self.call("PATCH", f"{APPS}/{name}", {"spec": {"replicas": replicas}}, MERGE)

    async def status(self, name: str = "web") -> Obj:
        found: Obj = (await self.call("GET", f"{APPS}/{name}"))["status"]
        return found

    async def reason(self, type_: str = "Progressing") -> str:
        conditions = (await self.status())["conditions"]
        return str(next(entry["reason"] for entry in conditions if entry["type"] == type_))

    async def images(self) -> list[str]:
        pods = await self.items("/api/v1/namespaces/test/pods")
        live = (pod for pod in pods if not pod["metadata"].get("deletionTimestamp"))
        return sorted(pod["spec"]["containers"][0]["image"] for pod in live)


@asynccontextmanager
async def cluster(**options: Any) -> AsyncIterator[Cluster]:
    """A running cluster with a namespace `test`."""
    made = Cluster()
    await made.call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
    made.workers = await start(
        InProcess(made.server, "controllers"), made.clock, InstantRuntime(made.clock, broken), **options
    )
    try:
        yield made
    finally:
        await made.workers.stop()


async def test_rollout_of_a_new_image() -> None:
    """A new ReplicaSet, new pods, old ones gone, the status of a finished rollout, events to read."""
    async with cluster() as c:
        await c.deploy()
        await c.clock.sleep(1)
        assert await c.images() == ["web:1", "web:1"]
        assert (await c.status())["availableReplicas"] == 2
        await c.image("web:2")
        await c.clock.sleep(1)
        assert await c.images() == ["web:2", "web:2"]
        status = await c.status()
        assert (status["observedGeneration"], status["updatedReplicas"], status["replicas"]) == (2, 2, 2)
        assert await c.reason() == "NewReplicaSetAvailable"
        told = {event["reason"] for event in await c.items("/api/v1/namespaces/test/events")}
        assert "ScalingReplicaSet" in told
        nodes = {pod["spec"]["nodeName"] for pod in await c.items("/api/v1/namespaces/test/pods")}
        assert nodes == {"sandbox-1", "sandbox-2"}


async def test_min_ready_seconds_hold_the_rollout() -> None:
    """Pods count after five seconds, and the rollout waits for that and no longer."""
    async with cluster() as c:
        await c.deploy(minReadySeconds=5)
        await c.clock.sleep(4)
        assert "availableReplicas" not in await c.status()
        assert (await c.status())["readyReplicas"] == 2
        await c.clock.sleep(2)
        assert (await c.status())["availableReplicas"] == 2


async def test_broken_image_exceeds_its_deadline() -> None:
    """After the Deployment's own deadline, with nobody touching it; the old pods are still there."""
    async with cluster() as c:
        await c.deploy(replicas=1, progressDeadlineSeconds=15)
        await c.clock.sleep(1)
        await c.image("web:broken")
        await c.clock.sleep(14)
        assert await c.reason() == "ReplicaSetUpdated"
        await c.clock.sleep(3)
        assert await c.reason() == "ProgressDeadlineExceeded"
        assert await c.images() == ["web:1", "web:broken"]
        await c.image("web:1")
        await c.clock.sleep(1)
        assert await c.reason() == "NewReplicaSetAvailable"
        assert await c.images() == ["web:1"]


async def test_broken_only_in_the_primary() -> None:
    """The same image is good in one Deployment and never ready in the other."""
    async with cluster() as c:
        await c.deploy("app", image="app:brokenprimary")
        await c.deploy("app-primary", image="app:brokenprimary")
        await c.clock.sleep(1)
        assert (await c.status("app"))["availableReplicas"] == 2
        assert "availableReplicas" not in await c.status("app-primary")


async def test_scaled_to_zero_and_back() -> None:
    """No pod and no endpoint left at zero."""
    async with cluster() as c:
        await c.deploy()
        service = {
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
        }
        await c.call("POST", "/api/v1/namespaces/test/services", service)
        await c.clock.sleep(1)
        slices = "/apis/discovery.k8s.io/v1/namespaces/test/endpointslices"
        (piece,) = await c.items(slices)
        assert len(piece["endpoints"]) == 2
        assert piece["ports"][0]["port"] == 9898
        await c.scale(0)
        await c.clock.sleep(1)
        assert await c.images() == []
        assert not any(piece.get("endpoints") for piece in await c.items(slices))
        await c.scale(1)
        await c.clock.sleep(1)
        assert await c.images() == ["web:1"]


async def test_a_deleted_pod_is_replaced() -> None:
    """By one with another name."""
    async with cluster() as c:
        await c.deploy(replicas=1)
        await c.clock.sleep(1)
        (pod,) = await c.items("/api/v1/namespaces/test/pods")
        name = pod["metadata"]["name"]
        await c.call("DELETE", f"/api/v1/namespaces/test/pods/{name}")
        await c.clock.sleep(1)
        (other,) = await c.items("/api/v1/namespaces/test/pods")
        assert other["metadata"]["name"] != name
        assert other["status"]["phase"] == "Running"


async def test_rest_is_silent() -> None:
    """Once a rollout is done nobody asks the API server for anything, for an hour."""
    async with cluster() as c:
        await c.deploy()
        await c.clock.sleep(5)
        c.audit.clear()
        await c.clock.sleep(3600)
        assert [entry for entry in c.audit if entry.verb != "watch"] == []


async def test_two_hundred_deployments() -> None:
    """All of them available, with few requests each and no timer in between."""
    async with cluster(events=False) as c:
        began = c.clock.monotonic()
        for number in range(200):
            await c.deploy(f"web-{number}", replicas=1)
        await c.clock.sleep(1)
        found = await c.items(APPS)
        assert all(item["status"]["availableReplicas"] == 1 for item in found)
        assert c.clock.monotonic() - began == pytest.approx(1)
        writes = [entry for entry in c.audit if entry.verb in ("post", "patch", "delete")]
        assert len(writes) <= 200 * 13


async def test_lost_watches_and_restarts_change_nothing() -> None:
    """New controllers over the same objects pick up where the old ones were."""
    async with cluster() as c:
        await c.deploy(replicas=1)
        await c.clock.sleep(1)
        await c.workers.stop()
        await c.image("web:2")
        c.workers = await start(InProcess(c.server, "again"), c.clock, InstantRuntime(c.clock, broken))
        await c.clock.sleep(2)
        assert await c.images() == ["web:2"]


@pytest.mark.parametrize("seed", range(5))
async def test_rollout_through_bad_weather(seed: int) -> None:
    """Errors, conflicts, no answers and a slow server: later, but the same end."""
    async with cluster() as c:
        c.server.faults.latency = 0.02
        await c.deploy(replicas=3)
        troubles = [lambda r: server_error(), lambda r: busy(), modified, lambda r: Broken("cut"), lambda r: too_old()]
        for number, trouble in enumerate(troubles):
            wanted = writes if number < 4 else (lambda r: r.query.get("watch") == "true")
            c.server.faults.fail(trouble, _by_controllers(wanted), times=5, probability=0.3 + seed / 20)
        await c.clock.sleep(60)
        await c.image("web:2")
        await c.clock.sleep(120)
        assert await c.images() == ["web:2"] * 3
        status = await c.status()
        assert (status["replicas"], status["updatedReplicas"], status["availableReplicas"]) == (3, 3, 3)
        assert await c.reason() == "NewReplicaSetAvailable"


def _by_controllers(wanted: Match) -> Match:
    return lambda request: request.agent == "controllers" and wanted(request)
