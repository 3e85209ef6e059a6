"""All proxies of the mesh in one: listens on every Service's cluster IP, splits and forwards traffic, and counts
requests.

`pyflagger_sandbox.cluster` starts it when `Setup.mesh` is set. It splits the requests of clients that call a Service by
its name or cluster IP. As in a real mesh, it does not split an ingress that calls pods directly, unless the Ingress has
the annotation service-upstream.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from aiohttp import web
from yarl import URL

from pyflagger.clock import Clock
from pyflagger.objects import Obj
from pyflagger_sandbox.kubelet.network import Claim
from pyflagger_sandbox.mesh.split import Turns
from pyflagger_sandbox.mesh.telemetry import MeshMetrics
from pyflagger_sandbox.network.names import Address, Listing, Names, NoSuchService
from pyflagger_sandbox.network.relay import Relay
from pyflagger_sandbox.trouble import CannotStart

REFRESH_SECONDS = 0.2
INJECT = "linkerd.io/inject"


class NoMesh(CannotStart):
    """This machine has no addresses for Services."""


class Listener(NamedTuple):
    """A listening address and its Service."""

    address: Address
    namespace: str
    service: str


class Mesh:
    """`names` must resolve to endpoints. `listing` returns live objects."""

    def __init__(self, names: Names, listing: Listing, clock: Clock, claim: Claim) -> None:
        self._names, self._listing, self._clock, self._claim = names, listing, clock, claim
        self._turns, self._telemetry, self._relay = Turns(), MeshMetrics(), Relay()
        self._runner = web.ServerRunner(web.Server(self._handle))
        self._sites: dict[Listener, web.TCPSite] = {}
        self._listeners: dict[Address, Listener] = {}
        self._task: asyncio.Task[None] | None = None
        self.metrics = ""

    async def start(self) -> None:
        """Listen. Raises NoMesh."""
        if not self._claim.held:
            raise NoMesh(
                f"a mesh needs the loopback addresses {self._claim.services}, which this machine lacks: use Linux"
            )
        self._relay.start()
        await self._runner.setup()
        page = web.TCPSite(self._runner, "127.0.0.1", 0)
        await page.start()
        self.metrics = f"http://127.0.0.1:{self._runner.addresses[0][1]}/metrics"
        self._task = asyncio.create_task(self._keep_up(), name="mesh")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._runner.cleanup()
        await self._relay.stop()

    async def _keep_up(self) -> None:
        while True:
            wanted = set(self._wanted())
            for listener in self._sites.keys() - wanted:
                await self._sites.pop(listener).stop()
                self._listeners.pop(listener.address, None)
            for listener in wanted - self._sites.keys():
                site = web.TCPSite(self._runner, listener.address.host, listener.address.port)
                with contextlib.suppress(OSError):
                    await site.start()
                    self._sites[listener], self._listeners[listener.address] = site, listener
            await self._clock.sleep(REFRESH_SECONDS)

    def _wanted(self) -> Iterator[Listener]:
        for service in self._listing("Service", ""):
            meta, spec = service["metadata"], service["spec"]
            if spec.get("clusterIP") in (None, "", "None"):
                continue
            for port in spec.get("ports") or ():
                yield Listener(Address(spec["clusterIP"], port["port"]), meta["namespace"], meta["name"])

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        host, port, *_ = request.transport.get_extra_info("sockname")
        listener = self._listeners.get(Address(host, port))
        if listener is None:
            return self._elsewhere(URL(self.metrics), host, port)
        splits = self._listing("TrafficSplit", listener.namespace)
        backend = self._turns.next(listener.namespace, listener.service, splits)
        try:
            address = self._names.resolve(f"{backend}.{listener.namespace}", port)
        except NoSuchService as error:
            return web.Response(status=503, text=f"{error}\n")
        assert address is not None, "a name in two parts is the cluster's"
        began = self._clock.monotonic()
        answer = await self._relay.send(request, URL(f"http://{address.host}:{address.port}{request.raw_path}"))
        pod = self._meshed(listener.namespace, address.host)
        if pod is not None:
            self._telemetry.answered(pod, answer.status, self._clock.monotonic() - began)
        return answer

    def _elsewhere(self, page: URL, host: str, port: int) -> web.Response:
        """The response for other addresses: the metrics page, or an error when the Service is gone."""
        if (page.host, page.port) == (host, port):
            return web.Response(body=self._telemetry.page(), content_type="text/plain")
        gone = web.Response(status=503, text=f"no Service listens on {host}:{port}\n")
        gone.force_close()
        return gone

    def _meshed(self, namespace: str, address: str) -> Obj | None:
        """The pod at an address, if it has a proxy: an annotation of the pod or its namespace says so."""
        pods = self._listing("Pod", namespace)
        pod = next((pod for pod in pods if (pod.get("status") or {}).get("podIP") == address), None)
        spaces = (space for space in self._listing("Namespace", "") if space["metadata"]["name"] == namespace)
        if pod is None:
            return None
        said = (pod["metadata"].get("annotations") or {}).get(INJECT) or next(
            ((space["metadata"].get("annotations") or {}).get(INJECT) for space in spaces), None
        )
        return pod if said == "enabled" else None
