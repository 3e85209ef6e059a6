"""Pods with troubles, in the words that a kubelet and a container runtime write into their statuses and Events.

The last part of an image's tag names the trouble: every pod of `shop:2-crash` crashes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pyflagger.api.durations import stamp
from pyflagger.clock import Clock
from pyflagger.objects import Obj
from pyflagger_sandbox.kubelet.runtime import InstantRuntime, PodReporter
from pyflagger_sandbox.kubelet.status import ContainerState, pod_status, running, waiting

Event = tuple[str, str, str]
NONE: Obj = {}


class Trouble(NamedTuple):
    """What a pod shows: its container now and before, how often it was restarted, Events, and more of its status."""

    state: Obj
    last: Obj = NONE
    restarts: int = 0
    events: tuple[Event, ...] = ()
    status: Obj = NONE


def _looping(pod: Obj, restarts: int, code: int, reason: str = "Error", message: str = "", **more: str) -> Trouble:
    """A container that ends again and again."""
    meta = pod["metadata"]
    words = f"back-off 2m40s restarting failed container=shop pod={meta['name']}_{meta['namespace']}({meta['uid']})"
    last = {"terminated": {"exitCode": code, "reason": reason, **({"message": message} if message else {})}}
    events = tuple(("Warning" if each == "Unhealthy" else "Normal", each, text) for each, text in more.items())
    return Trouble(waiting("CrashLoopBackOff", words), last, restarts, events)


def _pull(pod: Obj, now: float) -> Trouble:
    image = pod["spec"]["containers"][0]["image"]
    words = f'Back-off pulling image "{image}": ErrImagePull: failed to resolve reference "{image}": {image}: not found'
    return Trouble(waiting("ImagePullBackOff", words))


def _crash(pod: Obj, now: float) -> Trouble:
    return _looping(pod, 5, 1)


def _command(pod: Obj, now: float) -> Trouble:
    words = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
        'unable to start container process: exec: "/bin/shp": stat /bin/shp: no such file or directory: unknown'
    )
    return _looping(pod, 4, 128, "StartError", words)


def _memory(pod: Obj, now: float) -> Trouble:
    return _looping(pod, 3, 137, "OOMKilled")


def _unhealthy(pod: Obj, now: float) -> Trouble:
    killing = "Container shop failed liveness probe, will be restarted"
    return _looping(pod, 3, 137, Killing=killing, Unhealthy="Liveness probe failed: HTTP probe failed with code 500")


def _unready(pod: Obj, now: float) -> Trouble:
    words = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    return Trouble(running(now), events=(("Warning", "Unhealthy", words),))


def _init(pod: Obj, now: float) -> Trouble:
    migrate = {"name": "migrate", "image": "registry.example/migrate:1", "ready": False, "restartCount": 0}
    return Trouble(waiting("PodInitializing"), status={"initContainerStatuses": [{**migrate, "state": running(now)}]})


def _config(pod: Obj, now: float) -> Trouble:
    words = "couldn't find key Y in ConfigMap test/web-config"
    return Trouble(waiting("CreateContainerConfigError", words), events=(("Warning", "Failed", f"Error: {words}"),))


def _unscheduled(words: str) -> Callable[[Obj, float], Trouble]:
    entry = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}

    def found(pod: Obj, now: float) -> Trouble:
        condition = {**entry, "lastTransitionTime": stamp(now)}
        status = {"phase": "Pending", "conditions": [condition], "containerStatuses": []}
        return Trouble(waiting(""), status=status, events=(("Warning", "FailedScheduling", words),))

    return found


TROUBLES: Mapping[str, Callable[[Obj, float], Trouble]] = {
    "pull": _pull,
    "crash": _crash,
    "command": _command,
    "memory": _memory,
    "unhealthy": _unhealthy,
    "unready": _unready,
    "init": _init,
    "config": _config,
    "claim": _unscheduled('0/2 nodes are available: persistentvolumeclaim "cart" not found.'),
    "cpu": _unscheduled("0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available."),
}


class Kubelet(InstantRuntime):
    """Runs pods that have troubles. `mended` ends that of every pod, as when what it waits for has come.

    `sick`: the trouble of pods by a part of their names, besides that of their images. `takes`: seconds in which a pod
    runs and is not ready yet.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.mended = asyncio.Event()
        self.sick: dict[str, str] = {}
        self.takes = 0.0

    async def start(self, pod: Obj, reporter: PodReporter) -> None:
        """Report the trouble, or a pod that is ready."""
        name = self._trouble(pod)
        if name and not self.mended.is_set():
            self._report(pod, reporter, TROUBLES[name](pod, self._clock.now()))
            await self.mended.wait()
        if self.takes:
            self._report(pod, reporter, Trouble(running(self._clock.now())))
            await self._clock.sleep(self.takes)
        await super().start(pod, reporter)

    def _trouble(self, pod: Obj) -> str:
        of_image = pod["spec"]["containers"][0]["image"].rpartition("-")[2]
        of_name = next((trouble for part, trouble in self.sick.items() if part in pod["metadata"]["name"]), "")
        return of_name or (of_image if of_image in TROUBLES else "")

    def _report(self, pod: Obj, reporter: PodReporter, found: Trouble) -> None:
        now, entry = self._clock.now(), pod["spec"]["containers"][0]
        container = ContainerState(entry["name"], entry["image"], found.state, found.last, restarts=found.restarts)
        status = pod_status(pod, [container], now, address="127.0.0.1", host="127.0.0.1", began=now)
        reporter.report({**status, **found.status}, {})
        for event in found.events:
            reporter.say(*event)
