"""Where things are measured: a real control plane, the operator's account on it, and a metric server that is pleased.

The operator runs as in a pod: under the service account of our manifests, with the address in its environment and the
token in the usual folder, which a mount namespace of its own provides without root.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from e2e.controlplane import ControlPlane
from e2e.parts import parts
from e2e.stage import manifests

from bench.process import Watched, python
from pyflagger.clock import SystemClock
from pyflagger.kube.client import Client
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.reach import find
from pyflagger.objects import Obj
from pyflagger_sandbox.network.ingress import free_port

ACCOUNT_NAMESPACE, ACCOUNT = "flagger-system", "flagger"
OPERATOR = f"system:serviceaccount:{ACCOUNT_NAMESPACE}:{ACCOUNT}"
RULES: Sequence[Mapping[str, Any]] = (
    {
        "level": "Request",
        "users": [OPERATOR],
        "verbs": ["patch"],
        "resources": [
            {"group": "flagger.app", "resources": ["canaries/status"]},
            {"group": "networking.k8s.io", "resources": ["ingresses"]},
        ],
    },
    {"level": "Metadata", "users": [OPERATOR]},
    {"level": "None"},
)
"""What the witness sees: every request of the operator, and what it wrote where steps can be told from it."""

GOGC = "400"
"""Go's parts may have five times what they hold: memory is not scarce here, and two cores are for what is measured."""

IN_A_POD = 'mount -t tmpfs tmpfs /run && mkdir -p "$1" && cp "$0"/* "$1" && shift && exec "$@"'
ACCOUNT_FOLDER = "/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True)
class Environment:
    """A running place. `client` is the administrator's."""

    folder: Path
    plane: ControlPlane
    client: Client
    metrics: str

    def operator(self, port: int) -> Watched:
        """`flagger run` in a pod of its own, with a token of its own; /metrics is on the port."""
        self._issue_token()
        command = python("-m", "pyflagger.cli.main", "run", f"-metrics-server={self.metrics}", f"-port={port}")
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.plane.port)}
        return Watched(
            [
                *("unshare", "-rm", "sh", "-c", IN_A_POD, str(self.folder / "account"), ACCOUNT_FOLDER),
                *(*command, "-mesh-provider=nginx", "-log-level=info"),
            ],
            self.folder / "operator.log",
            environ,
        )

    def _issue_token(self) -> None:
        """The audit log names the token of each request: so it tells a process from the one that it follows."""
        path = f"/api/v1/namespaces/{ACCOUNT_NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
        answer = self.plane.ask("POST", path, {"spec": {"expirationSeconds": 24 * 3600}})
        (self.folder / "account" / "token").write_text(answer["status"]["token"])

    def pids(self) -> dict[str, int]:
        """The processes that share the machine with the operator, the bench's own with its nodes and metric server."""
        plane = self.plane
        return {**{each.name: each.pid for each in (plane.api, plane.etcd, plane.controllers)}, "bench": os.getpid()}

    async def create(self, path: str, obj: Obj) -> Obj:
        """Create an object as the administrator."""
        return await self.client.call("POST", path, obj)


@asynccontextmanager
async def place(without: Sequence[str] = ()) -> AsyncIterator[Environment]:
    """A place while the block runs, its control plane without some of its controllers."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flagger-bench-")))
        plane = ControlPlane(await asyncio.to_thread(parts), folder, rules=RULES, without=without)
        stack.callback(plane.stop)
        for part in (plane.etcd, plane.api, plane.controllers):
            part.environ["GOGC"] = GOGC
        await asyncio.to_thread(plane.start)
        clock = SystemClock()
        transport = AiohttpTransport(await find(str(folder / "kubeconfig-admin"), "", clock), "bench")
        stack.push_async_callback(transport.close)
        metrics = await stack.enter_async_context(_metric_server())
        made = Environment(folder, plane, Client(transport, clock), metrics)
        await asyncio.to_thread(_install, plane, folder / "account")
        yield made


def _install(plane: ControlPlane, folder: Path) -> None:
    """Kinds, rules and account of our manifests, and the folder in which a pod finds its account."""
    plane.ask("POST", "/api/v1/namespaces", {"metadata": {"name": ACCOUNT_NAMESPACE}})
    for obj in manifests("cluster"):
        if obj["kind"] in ("Deployment", "Namespace"):
            continue
        group, plural = obj["apiVersion"], f"{obj['kind'].lower()}s"
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        space = obj["metadata"].get("namespace")
        plane.ask("POST", f"{root}{f'/namespaces/{space}' if space else ''}/{plural}", obj)
    folder.mkdir()
    (folder / "ca.crt").write_bytes(plane.authority.read_bytes())


@asynccontextmanager
async def _metric_server() -> AsyncIterator[str]:
    async def query(request: web.Request) -> web.Response:
        value = "1" if "vector" in request.query.get("query", "") else "100"
        result = [{"metric": {}, "value": [0, value]}]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return web.Response(body=json.dumps(body).encode(), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/api/v1/query", query)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
