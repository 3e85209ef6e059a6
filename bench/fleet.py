"""So many canaries on a real control plane: created, released at the same moment, watched from outside.

The manifests are those of the tests' stage: an app with a ConfigMap, an Ingress and a canary of three steps and one
metric. When each canary reached a phase is taken from the bench's own watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from pyflagger.clock import Clock
from pyflagger.kube.cache import Cache, ObjectChange
from pyflagger.kube.client import Client
from pyflagger.kube.resources import CANARIES, DEPLOYMENTS
from pyflagger.objects import Obj
from stage.fleet import steps
from stage.manifests import canary, deployment, image, ingress, settings
from stage.stage import path_of

NAMESPACE = "bench"
AT_ONCE = 32
"""Requests of the bench in flight."""

BATCH = 100
"""Canaries created at a time. Most of what they take is waiting, so the next ones begin meanwhile."""

MERGE = "application/merge-patch+json"


def named(count: int) -> list[str]:
    """Names of canaries."""
    return [f"app-{number:04d}" for number in range(count)]


class Late(RuntimeError):
    """Something did not come about in time; the text says for whom."""


class Fleet:
    """`count` canaries. `start` first, `stop` last."""

    def __init__(self, client: Client, clock: Clock, count: int) -> None:
        self._client, self._clock = client, clock
        self.names = named(count)
        self._phases: dict[str, tuple[str, float]] = {}
        self._moved = asyncio.Event()
        self._cache = Cache(client, clock, NAMESPACE)

    async def start(self) -> None:
        """Follow canaries."""
        await self._client.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self._cache.subscribe(self._changed)
        await self._cache.wait(CANARIES)

    async def stop(self) -> None:
        """Follow them no longer."""
        await self._cache.stop()

    async def create(self, seconds: float) -> None:
        """Create everything, two batches under way at a time, and wait until each is initialized. Raises Late."""
        end, before = self._clock.monotonic() + seconds, list[str]()
        for first in range(0, len(self.names), BATCH):
            names = self.names[first : first + BATCH]
            await self._each(names, self._create)
            await self.until(before, "Initialized", end - self._clock.monotonic())
            before = names
        await self.until(before, "Initialized", end - self._clock.monotonic())

    async def release(self, version: str) -> dict[str, float]:
        """A new version of every one of them at once; when each was asked for."""
        asked = {}

        async def one(name: str) -> None:
            containers = deployment(name)["spec"]["template"]["spec"]["containers"]
            containers[0]["image"] = image(name, version)
            body = {"spec": {"template": {"spec": {"containers": containers}}}}
            asked[name] = self._clock.now()
            self._phases.pop(name, None)
            await self._client.call("PATCH", DEPLOYMENTS.path(NAMESPACE, name), body, MERGE)

        await self._each(self.names, one)
        return asked

    async def until(self, names: Iterable[str], phase: str, seconds: float) -> dict[str, float]:
        """Wait until each of them is in a phase; when each was. Raises Late."""
        wanted = set(names)
        try:
            async with asyncio.timeout(seconds):
                while left := {name for name in wanted if self._phases.get(name, ("", 0))[0] != phase}:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            some = {name: self._phases.get(name, ("",))[0] for name in sorted(left)[:5]}
            raise Late(f"{len(left)} of {len(wanted)} are not {phase} after {seconds:.0f} s: {some}") from None
        return {name: self._phases[name][1] for name in wanted}

    async def _each(self, names: Iterable[str], do: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with slots:
                await do(name)

        await asyncio.gather(*map(one, names))

    async def _create(self, name: str) -> None:
        for obj in (settings(name), _single(deployment(name)), ingress(name), canary(name, analysis=steps())):
            await self._client.call("POST", path_of(obj["kind"], NAMESPACE), obj)

    def _changed(self, change: ObjectChange) -> None:
        phase = ((change.new or {}).get("status") or {}).get("phase", "")
        if self._phases.get(change.ref.name, ("",))[0] != phase:
            self._phases[change.ref.name] = (phase, self._clock.now())
            self._moved.set()


def _single(workload: Obj) -> Obj:
    """One pod each: pods are not what is measured."""
    workload["spec"]["replicas"] = 1
    return workload
