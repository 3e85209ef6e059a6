"""`python -m e2e.dataplane --kubeconfig F`: nodes, pods, an ingress and a Prometheus for a bare control plane.

The pods are the sandbox's, on the addresses of the real EndpointSlices; Traefik and Prometheus are real. What else
there is to scrape stands in the file of `--targets`, which may change. Prints one
JSON line when ready (ingress, metrics, proxy: base URLs) and stays until SIGINT or SIGTERM. `proxy` is the way into
the cluster by its names, for an operator that runs outside of it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from e2e.broken_primary import BROKEN_PRIMARY
from e2e.nodes import SCHEDULER
from e2e.parts import prometheus
from pyflagger.cli.stage import Commands
from pyflagger.clock import SystemClock
from pyflagger.kube.http import AiohttpTransport
from pyflagger.kube.reach import find
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger_sandbox.cluster import kept_environment
from pyflagger_sandbox.kubelet.cluster import Workers
from pyflagger_sandbox.kubelet.images import Launch
from pyflagger_sandbox.kubelet.local import LocalRuntime
from pyflagger_sandbox.kubelet.network import Addresses
from pyflagger_sandbox.kubelet.programs import builtin_images
from pyflagger_sandbox.metrics import ScrapeTarget, external_prometheus
from pyflagger_sandbox.network.ingress import Access, Traefik
from pyflagger_sandbox.network.names import Address, Names
from pyflagger_sandbox.network.proxy import ForwardProxy
from pyflagger_sandbox.targets import pod_targets

POD_NETWORK = "10.244.0.0/16"
API_HOST = "10.244.0.1"
KINDS = ("Service", "EndpointSlice", "Ingress")


class DataPlane:
    """Nodes, pods and the data plane over an API server."""

    def __init__(self, kubeconfig: Path, targets: Path) -> None:
        self._kubeconfig, self._more, self._clock = kubeconfig, targets, SystemClock()
        self._stack = AsyncExitStack()
        addresses = Addresses(POD_NETWORK)
        addresses.claim("the API server", API_HOST)
        self._runtime = LocalRuntime(
            self._clock, builtin_images(self._environ, {"broken-primary": BROKEN_PRIMARY}), addresses=addresses
        )
        self._traefik = Traefik(self._clock, kept_environment())
        self._home = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="flagger-e2e-"))
        self._commands = Commands(Path(self._home))

    async def start(self) -> Mapping[str, str]:
        """Bring everything up; where it is. Raises MissingExtra, PrometheusError, OSError."""
        enter, later = self._stack.enter_async_context, self._stack.push_async_callback
        transport = AiohttpTransport(await find(str(self._kubeconfig), "", self._clock), "nodes")
        later(transport.close)
        http = await enter(AiohttpHttp())
        self._workers = Workers(transport, self._clock, self._runtime, controllers=(SCHEDULER,), kinds=KINDS)
        cache = self._workers.cache
        names = Names(
            cache.get,
            lambda kind, namespace: cache.by(kind, "namespace", namespace) if namespace else cache.all(kind),
            Address("127.0.0.1", self._traefik.web_port),
        )
        self._proxy = ForwardProxy(names)
        await self._proxy.start()
        later(self._proxy.stop)
        later(self._runtime.close)
        later(self._traefik.stop)
        await self._workers.start()
        later(self._workers.stop)
        found = external_prometheus(self._targets, http, self._clock, binary=str(prometheus()))
        metrics = await enter(found)
        await self._traefik.start(self._access())
        return {"ingress": self._traefik.url, "metrics": metrics, "proxy": self._proxy.url("default")}

    async def stop(self) -> None:
        """Take everything down."""
        await self._stack.aclose()

    def _access(self) -> Access:
        config = json.loads(self._kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = Path(self._home) / "authority.pem"
        authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        return Access(cluster["server"], user["token"], authority)

    async def _targets(self) -> Sequence[ScrapeTarget]:
        ingress = ScrapeTarget(f"http://127.0.0.1:{self._traefik.metrics_port}/metrics", {"job": "traefik"})
        more = json.loads(self._more.read_text()) if self._more.exists() else {}
        named = (ScrapeTarget(url, {"job": job}) for job, url in more.items())
        return [ingress, *named, *pod_targets(self._workers.cache.all("Pod"), self._runtime.port)]

    def _environ(self, launch: Launch) -> Mapping[str, str]:
        proxy = self._proxy.url(launch.namespace)
        more = self._commands.environment(launch.namespace, proxy)
        return {**kept_environment(), "http_proxy": proxy, "HTTP_PROXY": proxy, **more}


@asynccontextmanager
async def dataplane(kubeconfig: Path, targets: Path) -> AsyncIterator[Mapping[str, str]]:
    """A data plane while the block runs; yields its addresses."""
    made = DataPlane(kubeconfig, targets)
    try:
        yield await made.start()
    finally:
        await made.stop()


async def serve(kubeconfig: Path, targets: Path) -> None:
    """Run until told to stop."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with dataplane(kubeconfig, targets) as urls:
        print(json.dumps(urls), flush=True)
        await stopped.wait()


if __name__ == "__main__":
    reader = argparse.ArgumentParser()
    reader.add_argument("--kubeconfig", type=Path, required=True)
    reader.add_argument("--targets", type=Path, required=True, help="JSON: job, and the URL of its metrics")
    asked = reader.parse_args()
    asyncio.run(serve(asked.kubeconfig, asked.targets))
