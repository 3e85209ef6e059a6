"""The local runtime: gives every pod an address on loopback, where its containers listen.

`pyflagger_sandbox.cluster` builds it with an image table and passes it to the kubelet. It does not know Deployments,
Services or canaries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import aiohttp

from pyflagger.clock import Clock
from pyflagger.objects import Obj

from .container import Container, Surroundings
from .env import volumes
from .images import Images, Launch
from .network import Addresses, OneAddress
from .runtime import PodReporter
from .status import pod_status

DRAIN_SECONDS = 2.0
CLOSE_GRACE_SECONDS = 1.0
MOUNT_RETRY_SECONDS = 2.0


class _Pod:
    """One pod: the tasks of its containers, and its last reported status."""

    def __init__(self, pod: Obj, reporter: PodReporter, runtime: LocalRuntime, address: str) -> None:
        self._pod, self._reporter, self._clock, self.address = pod, reporter, runtime.clock, address
        self._began = runtime.clock.now()
        self._ending = False
        around = Surroundings(
            pod, reporter, runtime.images, runtime.clock, runtime.session, address, runtime.remap, self._report
        )
        self.containers = {entry["name"]: Container(entry, around) for entry in pod["spec"]["containers"]}
        self._task = asyncio.create_task(self._run(), name=f"pod {pod['metadata']['name']}")

    async def _run(self) -> None:
        self._report()
        await self._mounted()
        await asyncio.gather(*(container.run() for container in self.containers.values()))

    async def _mounted(self) -> None:
        """Wait until every ConfigMap and Secret of a volume exists."""
        for volume, source in volumes(self._pod).items():
            while await self._reporter.fetch(source.kind, source.name) is None:
                problem = f'{source.kind.lower()} "{source.name}" not found'
                self._reporter.say(
                    "Warning", "FailedMount", f'MountVolume.SetUp failed for volume "{volume}" : {problem}'
                )
                await self._clock.sleep(MOUNT_RETRY_SECONDS)

    def _report(self) -> None:
        if self._ending:
            return
        states = [container.state for container in self.containers.values()]
        now = self._clock.now()
        status = pod_status(self._pod, states, now, address=self.address, host="127.0.0.1", began=self._began)
        # Later statuses keep the timestamps of unchanged conditions.
        self._pod = self._pod | {"status": status}
        self._reporter.report(status, self._ports())

    def real_port(self, port: int) -> int:
        """The port that really listens for a container port."""
        return self._ports().get(port, port)

    def _ports(self) -> dict[int, int]:
        live = [container.process for container in self.containers.values() if container.process]
        return {port: real for process in live for port, real in process.ports.items() if port != real}

    async def stop(self, grace: float, drain: float) -> None:
        """Stop gracefully: become unready, keep serving while proxies learn of it, then finish requests and stop.

        A `preStop` that sleeps longer than `drain` takes precedence.
        """
        self._ending = True
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        live = [container for container in self.containers.values() if container.process]
        for container in live:
            assert container.process
            container.process.drain()
            self._reporter.say("Normal", "Killing", f"Stopping container {container.state.name}")
        drain = max(drain, *map(_sleep_before_stop, self._pod["spec"]["containers"]))
        pause = min(drain, grace) if any(container.state.ready for container in live) else 0.0
        if pause:
            await self._clock.sleep(pause)
        await asyncio.gather(*(container.process.stop(grace - pause) for container in live if container.process))


def _sleep_before_stop(container: Obj) -> float:
    """The seconds that a container's `preStop` sleeps; 0 without one, or if it runs another command."""
    hook = container.get("lifecycle", {}).get("preStop", {})
    return float(hook.get("sleep", {}).get("seconds", 0))


class LocalRuntime:
    """Runs pods on this machine. `drain` is the time in seconds that a ready pod keeps serving after its deletion."""

    def __init__(self, clock: Clock, images: Images, *, addresses: Addresses, drain: float = DRAIN_SECONDS) -> None:
        self.clock, self.images = clock, images
        self._addresses = addresses
        self.remap = isinstance(self._addresses, OneAddress)
        self._drain = drain
        self._pods: dict[str, _Pod] = {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP session for probes: opens a new connection for each probe, as the kubelet does."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0), headers={"User-Agent": "kube-probe/1.34"}
            )
        return self._session

    async def start(self, pod: Obj, reporter: PodReporter) -> None:
        """Give the pod an address and start it."""
        uid = pod["metadata"]["uid"]
        self._pods[uid] = _Pod(pod, reporter, self, self._addresses.take(uid))

    def changed(self, pod: Obj) -> None:
        """Does nothing: no allowed change of a running pod's spec matters here."""

    async def stop(self, uid: str, grace: float) -> None:
        """Stop a pod and release its address."""
        pod = self._pods.get(uid)
        if pod is None:
            return
        await pod.stop(grace, self._drain)
        self._pods.pop(uid, None)
        self._addresses.release(uid)

    def address(self, uid: str) -> str | None:
        """The address of a pod; None after it has stopped."""
        pod = self._pods.get(uid)
        return pod.address if pod else None

    def port(self, uid: str, port: int) -> int:
        """The port that really listens for a container port of a pod."""
        pod = self._pods.get(uid)
        return pod.real_port(port) if pod else port

    def logs(self, uid: str, container: str, *, previous: bool = False) -> Iterable[str] | None:
        """The log lines of a container."""
        pod = self._pods.get(uid)
        if pod is None or container not in pod.containers:
            return None
        log = pod.containers[container].log
        return tuple(log.previous if previous else log.current)

    def running(self, uid: str, container: str) -> Launch | None:
        """The arguments of a running container; None if it does not run."""
        pod = self._pods.get(uid)
        found = pod.containers.get(container) if pod else None
        return found.launched if found and found.process else None

    async def close(self) -> None:
        """Stop every pod at once and close the session."""
        await asyncio.gather(*(pod.stop(CLOSE_GRACE_SECONDS, 0.0) for pod in self._pods.values()))
        self._pods.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None
