"""The life cycle of one container: pull, configure, start, probe, end, and restart after a pause.

The local runtime runs one task for each container. The task changes its `ContainerState` and calls back. Other modules
build the pod's status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from pyflagger.clock import Clock
from pyflagger.objects import Obj

from .env import ConfigProblem, Source, command_line, environment, sources
from .images import Images, Launch, Process, Program, StartFailed, parse
from .logs import Log
from .probes import Place, keep_checking
from .runtime import PodReporter
from .status import ContainerState, running, terminated, waiting

BACKOFF_FIRST = 10.0
BACKOFF_MAX = 300.0
# After a run of this length the container is not in a crash loop.
SETTLED_SECONDS = 600.0
CONFIG_RETRY_SECONDS = 2.0
KILL_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The properties that the containers of a pod share."""

    pod: Obj
    reporter: PodReporter
    images: Images
    clock: Clock
    session: aiohttp.ClientSession
    address: str
    remap: bool
    changed: Callable[[], None]

    @property
    def restart_policy(self) -> str:
        """`Always`, `OnFailure` or `Never`."""
        return str(self.pod["spec"].get("restartPolicy") or "Always")


def pause_after(failures: int) -> float:
    """The seconds before the restart of a container that ended `failures` times in a row. The first restart is
    immediate.
    """
    return 0.0 if failures < 2 else float(min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** min(failures - 2, 10)))


class Container:
    """One container of a pod."""

    def __init__(self, spec: Obj, around: Surroundings) -> None:
        self._spec, self._around = spec, around
        self.state = ContainerState(spec["name"], spec["image"])
        self.log = Log()
        self.process: Process | None = None
        self.launched: Launch | None = None
        self._image = parse(spec["image"])

    async def run(self) -> None:
        """Run and restart it as its restart policy says. Returns when no restart follows."""
        failures = 0
        while True:
            began, code = await self._one_life()
            lasted = self._around.clock.now() - began
            failures = 1 if lasted >= SETTLED_SECONDS else failures + 1
            policy = self._around.restart_policy
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            await self._back_off(pause_after(failures))
            self.state.restarts += 1

    async def _one_life(self) -> tuple[float, int]:
        """Run it once. Returns the start time and the exit code."""
        self.log.restart()
        clock, code = self._around.clock, 0
        launch_with = await self._pulled()
        env = await self._configured()
        began = clock.now()
        try:
            self.launched = self._launch(env)
            process = await launch_with(self.launched)
        except StartFailed as error:
            self.log.write(str(error))
            self._say("Warning", "Failed", f"Error: {error}")
            code = error.code
        else:
            self._say("Normal", "Started", f"Started container {self.state.name}")
            code = await self._supervise(process)
        self.process = None
        self._become(terminated(code, began, clock.now()))
        return began, code

    async def _pulled(self) -> Program:
        """The program of the image. Retries until the image exists."""
        delay = BACKOFF_FIRST
        while True:
            try:
                program = self._around.images.pull(self._image)
            except LookupError as error:
                message = f'failed to pull image "{self._image.reference}": {error.args[0]}'
                self._say("Warning", "Failed", message[0].upper() + message[1:])
                self._say("Warning", "Failed", "Error: ErrImagePull")
                self._become(waiting("ErrImagePull", message))
                await self._around.clock.sleep(min(1.0, delay))
                self._say("Normal", "BackOff", f'Back-off pulling image "{self._image.reference}"')
                self._become(waiting("ImagePullBackOff", f'Back-off pulling image "{self._image.reference}"'))
                await self._around.clock.sleep(delay)
                delay = min(BACKOFF_MAX, delay * 2)
                continue
            self._say("Normal", "Pulled", f'Container image "{self._image.reference}" already present on machine')
            return program

    async def _configured(self) -> Mapping[str, str]:
        """The environment. Retries until every ConfigMap and Secret that it uses exists."""
        pod = self._around.pod
        while True:
            wanted = sources({"spec": {"containers": [self._spec]}})
            found: dict[Source, Obj | None] = {
                source: await self._around.reporter.fetch(source.kind, source.name) for source in sorted(wanted)
            }
            try:
                return environment(pod, self._spec, found, self._around.address)
            except ConfigProblem as error:
                self._say("Warning", "Failed", f"Error: {error}")
                self._become(waiting("CreateContainerConfigError", str(error)))
                await self._around.clock.sleep(CONFIG_RETRY_SECONDS)

    def _launch(self, env: Mapping[str, str]) -> Launch:
        self._say("Normal", "Created", f"Created container: {self.state.name}")
        around, meta = self._around, self._around.pod["metadata"]
        return Launch(
            image=self._image,
            namespace=meta["namespace"],
            pod=meta["name"],
            container=self.state.name,
            argv=command_line(self._spec, env),
            env=env,
            address=around.address,
            remap=around.remap,
            clock=around.clock,
            write=self.log.write,
        )

    async def _supervise(self, process: Process) -> int:
        """Probe it until it ends or its liveness probe fails. Returns the exit code."""
        self.process = process
        self.state.image_id = f"sandbox://{self._image.reference}"
        self.state.container_id = f"loopback://{self._around.address}/{self.state.name}"
        self._become(running(self._around.clock.now()))
        dead = asyncio.Event()
        tasks = [
            asyncio.create_task(process.wait()),
            asyncio.create_task(dead.wait()),
            asyncio.create_task(self._probe(process, dead)),
        ]
        ended, found_dead, probing = tasks
        try:
            await asyncio.wait({ended, found_dead}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                probing.cancel()
                await process.stop(KILL_GRACE_SECONDS)
            return int(await ended or 0)
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _probe(self, process: Process, dead: asyncio.Event) -> None:
        """Run the startup probe, then readiness and liveness probes in parallel. A missing probe counts as passed."""
        place = Place(self._around.address, self._named_ports(), process)
        await self._started(place, dead)
        self.state.started = True
        readiness, liveness = self._spec.get("readinessProbe"), self._spec.get("livenessProbe")
        self._ready(not readiness)
        verdicts = {"Readiness": self._ready, "Liveness": lambda alive: None if alive else self._kill(dead, "liveness")}
        probes = {"Readiness": readiness, "Liveness": liveness}
        checks = [self._keep(kind, probe, place, verdicts[kind]) for kind, probe in probes.items() if probe]
        await asyncio.gather(*checks)

    async def _started(self, place: Place, dead: asyncio.Event) -> None:
        probe = self._spec.get("startupProbe")
        if not probe:
            return
        up = asyncio.Event()
        checking = asyncio.create_task(
            self._keep("Startup", probe, place, lambda passed: up.set() if passed else self._kill(dead, "startup"))
        )
        try:
            await up.wait()
        finally:
            checking.cancel()

    async def _keep(self, kind: str, probe: Obj, place: Place, verdict: Callable[[bool], None]) -> None:
        def failed(problem: str) -> None:
            self._say("Warning", "Unhealthy", f"{kind} probe failed: {problem}")

        around = self._around
        await keep_checking(probe, place, around.session, around.clock, verdict, failed)

    def _kill(self, dead: asyncio.Event, kind: str) -> None:
        self._say("Normal", "Killing", f"Container {self.state.name} failed {kind} probe, will be restarted")
        dead.set()

    def _ready(self, ready: bool) -> None:
        self.state.ready = ready
        self._around.changed()

    def _named_ports(self) -> dict[str, int]:
        ports = self._spec.get("ports") or ()
        return {entry["name"]: int(entry["containerPort"]) for entry in ports if entry.get("name")}

    async def _back_off(self, seconds: float) -> None:
        if not seconds:
            return
        name, meta = self.state.name, self._around.pod["metadata"]
        message = f"back-off {seconds:g}s restarting failed container={name} pod={meta['name']}_{meta['namespace']}"
        self._say("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {meta['name']}")
        self._become(waiting("CrashLoopBackOff", message))
        await self._around.clock.sleep(seconds)

    def _become(self, state: Mapping[str, object]) -> None:
        if "terminated" in self.state.state:
            self.state.last = self.state.state
        self.state.state = state
        if "running" not in state:
            self.state.ready = self.state.started = False
        self._around.changed()

    def _say(self, type_: str, reason: str, message: str) -> None:
        self._around.reporter.say(type_, reason, message)
