"""Pods of the walkthrough as real servers on loopback, over the embedded API server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from pyflagger.clock import SystemClock
from pyflagger.kube.protocol import ApiRequest
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess
from pyflagger_sandbox.kubelet.cluster import Workers, start
from pyflagger_sandbox.kubelet.images import Entry, Launch, Process
from pyflagger_sandbox.kubelet.local import LocalRuntime
from pyflagger_sandbox.kubelet.network import Addresses, OneAddress, claim
from pyflagger_sandbox.kubelet.programs import builtin_images, spawn

pytestmark = pytest.mark.xdist_group("pod addresses")

APPS = "/apis/apps/v1/namespaces/test/deployments"
MERGE = "application/merge-patch+json"
PATIENCE_SECONDS = 30.0


async def child(launch: Launch) -> Process:
    """A container that runs whatever its command line says."""
    return await spawn(launch, launch.argv, launch.env, {})


class Local:
    """An API server, controllers, and a kubelet that really runs pods."""

    def __init__(self, addresses: Addresses, drain: float) -> None:
        self.clock = SystemClock()
        self.server = ApiServer(self.clock)
        self.transport = InProcess(self.server, "test")
        images = builtin_images(lambda launch: {}, {"child": Entry(child)})
        self.runtime = LocalRuntime(self.clock, images, addresses=addresses, drain=drain)
        self.workers: Workers
        self.changed = asyncio.Event()

    async def call(self, method: str, path: str, body: Obj | None = None, kind: str = "application/json") -> Obj:
        data = None if body is None else json.dumps(body).encode()
        answer = await self.transport.call(ApiRequest(method, path, {}, data, kind))
        assert answer.status < 300, answer.body
        found: Obj = json.loads(answer.body)
        return found

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait for changes of the cluster until something holds; gives it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found := holds()):
                self.changed.clear()
                await self.changed.wait()
        return found

    def pods(self) -> list[Obj]:
        found = self.workers.cache.by("Pod", "namespace", "test")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def waiting(self) -> set[str]:
        """Reasons why containers wait."""
        entries = (entry for pod in self.pods() for entry in (pod.get("status") or {}).get("containerStatuses") or ())
        return {entry["state"]["waiting"]["reason"] for entry in entries if "waiting" in entry["state"]}

    def targets(self) -> list[str]:
        """Base URLs of the ready endpoints of Service `podinfo`."""
        found = []
        for piece in self.workers.cache.by("EndpointSlice", "namespace", "test"):
            for endpoint in piece.get("endpoints") or ():
                if endpoint["conditions"]["ready"] and piece.get("ports"):
                    found.append(f"http://{endpoint['addresses'][0]}:{piece['ports'][0]['port']}")
        return found

    def status(self, name: str = "podinfo") -> Obj:
        found = self.workers.cache.get("Deployment", "test", name) or {}
        status: Obj = found.get("status") or {}
        return status if status.get("observedGeneration") == found.get("metadata", {}).get("generation") else {}

    async def image(self, image: str) -> None:
        containers = podinfo()["spec"]["template"]["spec"]["containers"]
        containers[0]["image"] = image
        await self.call("PATCH", f"{APPS}/podinfo", {"spec": {"template": {"spec": {"containers": containers}}}}, MERGE)


def podinfo(**container: Any) -> Obj:
    """The walkthrough's Deployment, with shorter waits."""
    command = ["./podinfo", "--port=9898", "--port-metrics=9797", "--grpc-port=9999", "--random-error=false"]
    probe = {
        "exec": {"command": ["podcli", "check", "http", "localhost:9898/readyz"]},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
    }
    entry = {
        "name": "podinfod",
        "image": "stefanprodan/podinfo:3.1.0",
        "ports": [{"name": "http", "containerPort": 9898}],
        "command": command,
        "env": [{"name": "PODINFO_UI_COLOR", "value": "#34577c"}],
        "readinessProbe": probe,
        "livenessProbe": probe | {"exec": {"command": ["podcli", "check", "http", "localhost:9898/healthz"]}},
    } | container
    template = {"metadata": {"labels": {"app": "podinfo"}}, "spec": {"containers": [entry]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "podinfo"}}, "template": template}
    meta = {"name": "podinfo", "namespace": "test"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


@asynccontextmanager
async def local(addresses: Addresses | None = None, drain: float = 0.2) -> AsyncIterator[Local]:
    """A running cluster with namespace `test` and Service `podinfo`."""
    networks = claim()
    made = Local(addresses or networks.addresses(), drain)
    await made.call("POST", "/api/v1/namespaces", {"metadata": {"name": "test"}})
    spec = {"selector": {"app": "podinfo"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    await made.call("POST", "/api/v1/namespaces/test/services", {"metadata": {"name": "podinfo"}, "spec": spec})
    made.workers = await start(InProcess(made.server, "controllers"), made.clock, made.runtime)
    made.workers.cache.listen(lambda kind, before, after: made.changed.set())
    try:
        yield made
    finally:
        await made.workers.stop()
        networks.release()


async def visit(cluster: Local, session: aiohttp.ClientSession, versions: list[str], enough: asyncio.Event) -> None:
    """A visitor who asks one ready endpoint after the other and never forgives."""
    turn = 0
    while not enough.is_set():
        targets = cluster.targets()
        turn += 1
        async with session.get(f"{targets[turn % len(targets)]}/version") as answer:
            assert answer.status == 200
            versions.append((await answer.json())["version"])
            cluster.changed.set()


@pytest.mark.parametrize("remap", [False, True])
async def test_rollout_without_a_failed_request(remap: bool) -> None:
    """While one version replaces the other, every request is answered; both with addresses and with remapped ports."""
    async with local(OneAddress() if remap else None) as cluster, aiohttp.ClientSession() as session:
        await cluster.call("POST", APPS, podinfo())
        await cluster.until(lambda: len(cluster.targets()) == 2)
        versions: list[str] = []
        enough = asyncio.Event()
        visitor = asyncio.create_task(visit(cluster, session, versions, enough))
        await cluster.image("stefanprodan/podinfo:3.1.1")
        await cluster.until(lambda: cluster.status().get("updatedReplicas") == 2 and cluster.status()["replicas"] == 2)
        await cluster.until(lambda: cluster.status().get("availableReplicas") == 2 and len(cluster.targets()) == 2)
        await cluster.until(lambda: len(cluster.workers.cache.by("Pod", "namespace", "test")) == 2)
        settled = len(versions)
        await cluster.until(lambda: visitor.done() or len(versions) > settled + 20)
        enough.set()
        await visitor
        assert set(versions) == {"3.1.0", "3.1.1"}
        assert set(versions[-10:]) == {"3.1.1"}
        assert len(set(cluster.targets())) == 2


async def test_image_that_cannot_be_pulled() -> None:
    """The pod waits in ImagePullBackOff, the old ones serve on, an event says what images there are."""
    async with local() as cluster:
        await cluster.call("POST", APPS, podinfo())
        await cluster.until(lambda: len(cluster.targets()) == 2)
        await cluster.image("stefanprodan/podinf:3.1.1")
        await cluster.until(lambda: cluster.waiting() & {"ErrImagePull", "ImagePullBackOff"})
        assert len(cluster.targets()) >= 1
        assert cluster.status().get("availableReplicas", 0) >= 1


async def test_version_that_crashes() -> None:
    """CrashLoopBackOff; the log of the run before can be read."""
    async with local() as cluster:
        await cluster.call("POST", APPS, podinfo(image="podinfo:2.0-crash"))
        await cluster.until(lambda: "CrashLoopBackOff" in cluster.waiting())
        pod = cluster.pods()[0]["metadata"]["name"]
        lines = list(cluster.workers.kubelet.logs("test", pod) or ())
        assert any("crashes when it starts" in line for line in lines)
        assert cluster.workers.kubelet.logs("test", "no-such-pod") is None


async def test_version_that_is_never_ready() -> None:
    """It runs, but gets no traffic."""
    async with local() as cluster:
        await cluster.call("POST", APPS, podinfo(image="podinfo:2.0-unready"))
        await cluster.until(lambda: any((pod.get("status") or {}).get("phase") == "Running" for pod in cluster.pods()))
        await cluster.until(lambda: any(piece.get("endpoints") for piece in cluster.workers.cache.all("EndpointSlice")))
        assert cluster.targets() == []


async def test_secret_for_the_environment() -> None:
    """A missing Secret holds the container back, by name; once made, its value is in the environment."""
    reference = {"secretKeyRef": {"name": "keys", "key": "token"}}
    async with local() as cluster, aiohttp.ClientSession() as session:
        await cluster.call("POST", APPS, podinfo(env=[{"name": "TOKEN", "valueFrom": reference}]))
        await cluster.until(lambda: "CreateContainerConfigError" in cluster.waiting())
        secret = {"metadata": {"name": "keys"}, "data": {"token": "YWJj"}}
        await cluster.call("POST", "/api/v1/namespaces/test/secrets", secret)
        await cluster.until(lambda: len(cluster.targets()) == 2)
        async with session.get(f"{cluster.targets()[0]}/env") as answer:
            assert "TOKEN=abc" in await answer.json()


@pytest.mark.real
async def test_child_process_as_a_container() -> None:
    """Its lines are kept, its exit code counts, an exec probe runs inside, and its end is asked for politely."""
    script = "import os, signal, sys, time\nprint('up', os.environ['COLOR'], flush=True)\nsignal.pause()"
    container = {
        "image": "child:1",
        "command": [sys.executable, "-c", script],
        "env": [{"name": "COLOR", "value": "red"}],
        "readinessProbe": {
            "exec": {"command": [sys.executable, "-c", "import sys; sys.exit(0)"]},
            "timeoutSeconds": 20,
        },
        "livenessProbe": None,
    }
    async with local() as cluster:
        await cluster.call("POST", APPS, podinfo(**container))
        await cluster.until(lambda: cluster.status().get("availableReplicas") == 2)
        pod = cluster.pods()[0]["metadata"]["name"]
        assert list(cluster.workers.kubelet.logs("test", pod) or ()) == ["up red"]


FLAGS = ["-port=8080", "-log-level=info", "-timeout=1h"]


@pytest.mark.real
@pytest.mark.parametrize(
    "started",
    [
        {"image": "ghcr.io/fluxcd/flagger-loadtester:0.36.0", "command": ["./loadtester", *FLAGS]},
        {"image": "pyflagger:0.1.0", "command": None, "args": ["loadtester", *FLAGS]},
        {"image": "pyflagger:0.1.0", "command": ["./loadtester", *FLAGS]},
        {"image": "pyflagger-loadtester:0.1.0", "command": None, "args": FLAGS},
        {"image": "pyflagger-loadtester:0.1.0", "command": None, "args": ["loadtester", *FLAGS]},
    ],
    ids=["reference", "arguments", "command", "load tester", "load tester by its name"],
)
async def test_load_tester_as_a_pod(started: Mapping[str, Any]) -> None:
    """The load tester of the walkthrough runs as a child process on its pod's address and becomes ready."""
    container: Mapping[str, Any] = {
        **started,
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {
            "exec": {
                "command": ["wget", "--quiet", "--tries=1", "--timeout=4", "--spider", "http://localhost:8080/healthz"]
            },
            "timeoutSeconds": 5,
            "periodSeconds": 1,
        },
        "livenessProbe": None,
    }
    async with local() as cluster, aiohttp.ClientSession() as session:
        await cluster.call("POST", APPS, podinfo(**container))
        await cluster.until(lambda: len(cluster.targets()) == 2)
        async with session.get(f"{cluster.targets()[0]}/healthz") as answer:
            assert answer.status == 200
