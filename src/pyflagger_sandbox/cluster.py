"""The sandbox's cluster: API server, controllers, pods, DNS names, metrics and a real ingress, on loopback.

`cli` starts one and runs an operator on it, or lets the user run one. This module does not know canaries: callers pass
the kinds to define, the HTTP client and the environment of commands in pods.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from pyflagger.admission.errors import bad_request, not_found
from pyflagger.clock import Clock
from pyflagger.kube.protocol import ApiRequest
from pyflagger.objects import Obj
from pyflagger.wire import Http
from pyflagger_sandbox import leftovers, metrics
from pyflagger_sandbox.apiserver import ApiServer, HttpFront, InProcess
from pyflagger_sandbox.apiserver.portforward import Dial
from pyflagger_sandbox.apiserver.store import Shelf
from pyflagger_sandbox.kubelet import commands
from pyflagger_sandbox.kubelet.cluster import Workers
from pyflagger_sandbox.kubelet.commands import Command
from pyflagger_sandbox.kubelet.images import Launch
from pyflagger_sandbox.kubelet.local import LocalRuntime
from pyflagger_sandbox.kubelet.network import Addresses, claim
from pyflagger_sandbox.kubelet.programs import builtin_images
from pyflagger_sandbox.mesh import TRAFFIC_SPLITS, Mesh
from pyflagger_sandbox.network.ingress import Access, Traefik
from pyflagger_sandbox.network.names import Address, Names
from pyflagger_sandbox.network.proxy import ForwardProxy
from pyflagger_sandbox.network.routes import KEDA, Family
from pyflagger_sandbox.podinfo import podcli
from pyflagger_sandbox.targets import pod_targets
from pyflagger_sandbox.trouble import CannotStart

INGRESS_CLASS: Obj = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "nginx"},
    "spec": {"controller": "k8s.io/ingress-nginx"},
}
LOG_PAUSE = 0.2
CONTEXT = "flagger-sandbox"
KEPT_ENVIRONMENT = ("HOME", "LANG", "PATH", "TMPDIR", "VIRTUAL_ENV")

Environment = Callable[[str, str], Mapping[str, str]]
"""(namespace, forward proxy's URL) → more variables for commands in pods of that namespace."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What to start.

    `prometheus`: `embedded`, `auto` (a real one when on PATH), or a path. `mesh`: clients reach Services through a mesh
    that splits traffic by TrafficSplits. `family`: the kinds of routes that the ingress reads besides Ingresses.
    """

    kinds: Sequence[Obj] = ()
    kubeconfig: Path | None = None
    prometheus: str = "embedded"
    scrape_seconds: float = 1.0
    mesh: bool = False
    family: Family | None = None


class Cluster:
    """A small cluster in this process. Call `start`. `stop` leaves no process, port or file behind."""

    def __init__(self, setup: Setup, clock: Clock, environment: Environment = lambda namespace, proxy: {}) -> None:
        self._setup, self._clock, self._environment = setup, clock, environment
        self._stack = AsyncExitStack()
        self._ended = asyncio.Queue[str]()
        self._claim = claim()
        self._services = Addresses(self._claim.services)
        self.server = ApiServer(clock, allocate=self._address, logs=self._logs)
        self._traefik = Traefik(clock, kept_environment(), setup.family)
        ingress = Address("127.0.0.1", self._traefik.web_port)
        self.names = Names(self._get, self._list, ingress, meshed=setup.mesh)
        self._mesh = Mesh(Names(self._get, self._list), self._list, clock, self._claim) if setup.mesh else None
        self._proxy = ForwardProxy(self.names)
        self._runtime = LocalRuntime(clock, builtin_images(self._environ), addresses=self._claim.addresses())
        self.api = self.metrics = self.proxy = ""
        self._token = secrets.token_urlsafe(24)
        self.ingress = self._traefik.url
        self.kubeconfig = setup.kubeconfig or Path()

    def transport(self, agent: str) -> InProcess:
        """A transport to the API server without sockets."""
        return InProcess(self.server, agent)

    def resolve(self, host: str, port: int) -> tuple[str, int] | None:
        """The address of a cluster name, for an HTTP client; None for other names. Raises NoSuchService."""
        found = self.names.resolve(host, port)
        return (found.host, found.port) if found else None

    async def start(self, http: Http) -> None:
        """Start everything. `http` fetches metrics pages. Raises CannotStart, OSError."""
        try:
            await self._start(http)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything, last started first."""
        await self._stack.aclose()

    async def _start(self, http: Http) -> None:
        enter, later = self._stack.enter_async_context, self._stack.push_async_callback
        leftovers.sweep(self._clock.now)
        self._stack.callback(self._claim.release)
        self._own_kubeconfig()
        later(self._traefik.stop)
        front = await enter(HttpFront(self.server, token=self._token, execute=self._execute, forward=self._forward))
        self.api = front.url
        await self._furnish()
        if self._mesh:
            later(self._mesh.stop)
            await self._mesh.start()
        await self._proxy.start()
        self.proxy = self._proxy.url("default")
        later(self._proxy.stop)
        later(self._runtime.close)
        workers = Workers(self.transport("controllers"), self._clock, self._runtime)
        await workers.start()
        later(workers.stop)
        self.metrics = await self._start_metrics(http)
        self._write_kubeconfig()
        await self._traefik.start(Access(front.base, self._token))
        watcher = asyncio.create_task(self._traefik.watch_exit(self._ended.put_nowait), name="watch-exit")
        self._stack.push_async_callback(_cancelled, watcher)

    async def broken(self) -> str:
        """Wait until a child process ends unexpectedly. Returns its name and the end of its log."""
        return await self._ended.get()

    async def _furnish(self) -> None:
        """Create the kinds and objects that a new cluster has."""
        family = self._setup.family
        kinds = (*self._setup.kinds, *KEDA, *((TRAFFIC_SPLITS,) if self._mesh else ()))
        for kind in (*kinds, *(family.kinds if family else ())):
            await self._create(kind)
        for obj in (INGRESS_CLASS, *(family.objects(self._traefik.web_port) if family else ())):
            await self._create(obj)

    async def _create(self, obj: Obj) -> None:
        resource = self.server.registry.of_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        namespace = obj["metadata"].get("namespace")
        scope = f"/namespaces/{namespace}" if namespace else ""
        path = f"/apis/{obj['apiVersion']}{scope}/{resource.plural}"
        request = ApiRequest("POST", path, body=json.dumps(obj).encode())
        answer = await self.transport("sandbox").call(request)
        if answer.status >= 300:
            raise RuntimeError(f"{obj['kind']} {obj['metadata']['name']}: {answer.body.decode()}")

    async def _start_metrics(self, http: Http) -> str:
        """Start Prometheus, embedded or real. Returns its base URL."""
        interval, wanted = self._setup.scrape_seconds, self._setup.prometheus
        if wanted == "auto":
            try:
                wanted = metrics.find_prometheus()
            except metrics.PrometheusError:
                wanted = "embedded"
        if wanted != "embedded":
            return await self._stack.enter_async_context(
                metrics.external_prometheus(
                    self._targets, http, self._clock, self._ended.put_nowait, binary=wanted, interval=interval
                )
            )
        store = metrics.Store()
        scraper = metrics.Scraper(store, self._targets, http, self._clock, interval=interval)
        url = await self._stack.enter_async_context(
            metrics.serving(metrics.Api(metrics.Engine(store), self._clock, scraper))
        )
        task = asyncio.create_task(scraper.run(), name="scraper")
        self._stack.push_async_callback(_cancelled, task)
        return url

    async def _targets(self) -> Sequence[metrics.ScrapeTarget]:
        ingress = metrics.ScrapeTarget(f"http://127.0.0.1:{self._traefik.metrics_port}/metrics", {"job": "traefik"})
        mesh = [metrics.ScrapeTarget(self._mesh.metrics, {"job": "linkerd-proxy"})] if self._mesh else []
        return [ingress, *mesh, *pod_targets(self._list("Pod", ""), self._runtime.port)]

    # Callbacks of the parts -------------------------------------------------------------------------------------------

    def _shelf(self, kind: str) -> Shelf:
        resource = next(resource for resource in self.server.registry.all() if resource.kind == kind)
        return self.server.store.shelf(resource.shelf)

    def _get(self, kind: str, namespace: str, name: str) -> Obj | None:
        entry = self._shelf(kind).get((namespace, name))
        return entry.obj if entry else None

    def _list(self, kind: str, namespace: str) -> list[Obj]:
        return [entry.obj for entry in self._shelf(kind).entries(namespace)]

    def _address(self, service: Obj) -> str:
        meta = service["metadata"]
        return self._services.take((meta["namespace"], meta["name"]))

    def _environ(self, launch: Launch) -> Mapping[str, str]:
        proxy = self._proxy.url(launch.namespace, "" if launch.remap else launch.address)
        more = self._environment(launch.namespace, self._proxy.url(launch.namespace))
        image = {podcli.IMAGE: launch.image.reference}
        return {**kept_environment(), "http_proxy": proxy, "HTTP_PROXY": proxy, **image, **more}

    async def _execute(
        self, namespace: str, name: str, container: str, argv: Sequence[str], stdin: bool, terminal: bool
    ) -> Command:
        """Start a command in a container. Raises ApiError, OSError."""
        pod = self._get("Pod", namespace, name)
        if pod is None:
            raise not_found("pods", "", name)
        container = container or pod["spec"]["containers"][0]["name"]
        launch = self._runtime.running(pod["metadata"]["uid"], container)
        if launch is None:
            raise bad_request(f'unable to upgrade connection: container not found ("{container}")')
        if not argv:
            raise bad_request("you must specify at least one command for the container")
        env = {**self._environ(launch), **launch.env}
        return await commands.start(argv, env, stdin=stdin, terminal=terminal)

    def _forward(self, namespace: str, name: str) -> Dial:
        """A function that connects to the ports of a pod while this pod exists. Raises ApiError."""
        pod = self._get("Pod", namespace, name)
        if pod is None:
            raise not_found("pods", "", name)
        uid = pod["metadata"]["uid"]

        async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            address = self._runtime.address(uid)
            if address is None:
                raise ConnectionError("the pod is gone")
            return await asyncio.open_connection(address, self._runtime.port(uid, port))

        return dial

    async def _logs(self, pod: Obj, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The log lines of a container. With `follow` also new lines."""
        names = [entry["name"] for entry in pod["spec"]["containers"]]
        name = query.get("container") or names[0]
        if name not in names:
            raise bad_request(f"container {name} is not valid for pod {pod['metadata']['name']}")
        told = 0
        while True:
            lines = self._runtime.logs(pod["metadata"]["uid"], name, previous=query.get("previous") == "true")
            if lines is None:
                return
            kept = list(lines)
            first = max(0, len(kept) - int(query["tailLines"])) if told == 0 and "tailLines" in query else told
            for line in kept[first:]:
                yield f"{line}\n".encode()
            told = len(kept)
            if query.get("follow") not in ("true", "1"):
                return
            await self._clock.sleep(LOG_PAUSE)

    # The kubeconfig ---------------------------------------------------------------------------------------------------

    def _own_kubeconfig(self) -> None:
        if self._setup.kubeconfig is None:
            kept = leftovers.file("sandbox", ".kubeconfig")
            self.kubeconfig = kept.path
            self._stack.callback(kept.remove)
        elif not replaceable(self.kubeconfig):
            raise CannotStart(f"{self.kubeconfig} exists and is not the kubeconfig of a sandbox: choose another file")
        self._stack.callback(self._remove_kubeconfig)

    def _write_kubeconfig(self) -> None:
        self.kubeconfig.touch(0o600)
        self.kubeconfig.chmod(0o600)
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig(self.api), sort_keys=False))

    def _remove_kubeconfig(self) -> None:
        with contextlib.suppress(OSError):
            self.kubeconfig.unlink()


def replaceable(path: Path) -> bool:
    """Whether the sandbox may write and later remove this kubeconfig: it is absent or empty, or a sandbox left it."""
    if not path.exists():
        return True
    said = path.read_text(encoding="utf-8", errors="replace")
    return not said.strip() or f"current-context: {CONTEXT}" in said.splitlines()


def kubeconfig(api: str) -> Obj:
    """A kubeconfig whose only context is the sandbox. The server address contains the token."""
    name = CONTEXT
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": api}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def kept_environment() -> dict[str, str]:
    """The part of our environment that child processes get. Its PATH includes our own commands."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    own = str(Path(sys.executable).parent)
    return kept | {"PATH": os.pathsep.join([own, kept.get("PATH", os.defpath)])}


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
