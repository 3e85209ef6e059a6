"""The interface between the kubelet, which talks to the API server, and the runtimes, which run containers.

A runtime gets a pod and a reporter. It reports statuses and Events to the reporter until the pod stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from pyflagger.clock import Clock
from pyflagger.objects import Obj

from .status import ContainerState, pod_status, running

Broken: TypeAlias = Callable[[Obj, str], bool]
"""(pod, image) → whether a container of this image never becomes ready."""


class PodReporter(Protocol):
    """Receives a runtime's reports about one pod."""

    def report(self, status: Obj, ports: dict[int, int]) -> None:
        """Report the pod's status, and container port → real port where they differ. Only the latest report counts."""

    def say(self, type_: str, reason: str, message: str) -> None:
        """Record a Kubernetes Event about the pod. `type_` is `Normal` or `Warning`."""

    async def fetch(self, kind: str, name: str) -> Obj | None:
        """A ConfigMap or Secret in the pod's namespace, or None."""


class Runtime(Protocol):
    """Runs pods. One kubelet calls all methods, in sequence for each pod."""

    async def start(self, pod: Obj, reporter: PodReporter) -> None:
        """Start a pod. Returns soon, and reports progress to the reporter."""

    def changed(self, pod: Obj) -> None:
        """Handle a change of the pod's object."""

    async def stop(self, uid: str, grace: float) -> None:
        """Stop a pod within `grace` seconds. Returns when all of its containers have ended."""

    def logs(self, uid: str, container: str, *, previous: bool = False) -> Iterable[str] | None:
        """The log lines of a container, oldest first; None when the container does not exist."""

    async def close(self) -> None:
        """Stop all pods at once."""


def never(pod: Obj, image: str) -> bool:
    """Says that no image is broken."""
    return False


class InstantRuntime:
    """Simulates pods: containers are ready after a fixed time, unless `broken` says that an image never is."""

    def __init__(self, clock: Clock, broken: Broken = never, *, takes: float = 0.0, address: str = "127.0.0.1") -> None:
        self._clock, self._broken, self._takes, self._address = clock, broken, takes, address

    async def start(self, pod: Obj, reporter: PodReporter) -> None:
        """Report the pod's only status."""
        if self._takes:
            await self._clock.sleep(self._takes)
        now = self._clock.now()
        containers = [self._container(pod, entry, now) for entry in pod["spec"]["containers"]]
        reporter.report(pod_status(pod, containers, now, address=self._address, host="127.0.0.1", began=now), {})

    def _container(self, pod: Obj, entry: Obj, now: float) -> ContainerState:
        ready = not self._broken(pod, entry["image"])
        return ContainerState(entry["name"], entry["image"], running(now), started=True, ready=ready)

    def changed(self, pod: Obj) -> None:
        """Changes have no effect."""

    async def stop(self, uid: str, grace: float) -> None:
        """No process to stop."""

    def logs(self, uid: str, container: str, *, previous: bool = False) -> Iterable[str] | None:
        """Containers have no logs."""
        return ()

    async def close(self) -> None:
        """No process to stop."""
