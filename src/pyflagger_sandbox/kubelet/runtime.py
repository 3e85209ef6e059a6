"""What runs pods: the seam between the kubelet, which talks to the API server, and the ways to run a container.

A runtime is handed a pod and a desk; it reports statuses and says events over the desk until the pod is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from pyflagger.clock import Clock
from pyflagger.objects import Obj

from .status import ContainerState, pod_status, running

Broken: TypeAlias = Callable[[Obj, str], bool]
"""(pod, image) → whether a container of this image never gets ready."""


class Desk(Protocol):
    """Where a runtime reports about one pod."""

    def report(self, status: Obj, ports: dict[int, int]) -> None:
        """The pod's status now, and container port → real port where they differ. Only the latest report counts."""

    def say(self, type_: str, reason: str, message: str) -> None:
        """A Kubernetes Event about the pod: `Normal` or `Warning`."""

    async def fetch(self, kind: str, name: str) -> Obj | None:
        """A ConfigMap or Secret of the pod's namespace, None when there is none."""


class Runtime(Protocol):
    """A way to run pods. All methods are called by one kubelet, for one pod in turn."""

    async def start(self, pod: Obj, desk: Desk) -> None:
        """Begin to run a pod; returns soon, what happens is reported."""

    def changed(self, pod: Obj) -> None:
        """The pod's object has changed."""

    async def stop(self, uid: str, grace: float) -> None:
        """End a pod within `grace` seconds; returns when nothing of it runs any more."""

    def logs(self, uid: str, container: str, *, previous: bool = False) -> Iterable[str] | None:
        """The kept lines of a container, oldest first; None when there is no such container."""

    async def close(self) -> None:
        """End everything at once."""


def never(pod: Obj, image: str) -> bool:
    """No image is broken."""
    return False


class InstantRuntime:
    """Pretends: containers are ready after the seconds that they take, unless `broken` says that an image never is."""

    def __init__(self, clock: Clock, broken: Broken = never, *, takes: float = 0.0, address: str = "127.0.0.1") -> None:
        self._clock, self._broken, self._takes, self._address = clock, broken, takes, address

    async def start(self, pod: Obj, desk: Desk) -> None:
        """Report the pod's one and only status."""
        if self._takes:
            await self._clock.sleep(self._takes)
        now = self._clock.now()
        containers = [self._container(pod, entry, now) for entry in pod["spec"]["containers"]]
        desk.report(pod_status(pod, containers, now, address=self._address, host="127.0.0.1", began=now), {})

    def _container(self, pod: Obj, entry: Obj, now: float) -> ContainerState:
        ready = not self._broken(pod, entry["image"])
        return ContainerState(entry["name"], entry["image"], running(now), started=True, ready=ready)

    def changed(self, pod: Obj) -> None:
        """Nothing depends on it."""

    async def stop(self, uid: str, grace: float) -> None:
        """Nothing runs."""

    def logs(self, uid: str, container: str, *, previous: bool = False) -> Iterable[str] | None:
        """Nothing is said."""
        return ()

    async def close(self) -> None:
        """Nothing to end."""
