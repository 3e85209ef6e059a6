"""The life of containers under the local runtime, on virtual time with programs of the test's own."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.objects import Obj
from pyflagger_sandbox.kubelet.container import pause_after
from pyflagger_sandbox.kubelet.images import Entry, Images, Launch, NoSuchCommand, StartFailed
from pyflagger_sandbox.kubelet.local import LocalRuntime
from pyflagger_sandbox.kubelet.network import OneAddress

pytestmark = [pytest.mark.looptime, pytest.mark.xdist_group("pod addresses")]


class Fake:
    """A process that does what the test says. `commands` gives the exit code of an exec probe."""

    def __init__(self, launch: Launch, commands: Callable[[Sequence[str]], int]) -> None:
        self.launch, self.commands = launch, commands
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.story: list[tuple[str, float]] = []

    @property
    def ports(self) -> Mapping[int, int]:
        return {}

    async def wait(self) -> int:
        return await asyncio.shield(self.exit)

    def drain(self) -> None:
        self.story.append(("drain", self.launch.clock.monotonic()))

    async def stop(self, grace: float) -> None:
        self.story.append(("stop", self.launch.clock.monotonic()))
        if not self.exit.done():
            self.exit.set_result(0)

    async def execute(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        code = self.commands(argv)
        if code == 127:
            raise NoSuchCommand(argv[0])
        if code == 124:
            await asyncio.sleep(seconds * 2)
        return code, "said so"


class reporter:
    """Keeps what a runtime reports; `objects` are the ConfigMaps and Secrets that exist."""

    def __init__(self) -> None:
        self.status: Obj = {}
        self.history: list[str] = []
        self.events: list[str] = []
        self.objects: dict[tuple[str, str], Obj] = {}

    def report(self, status: Obj, ports: dict[int, int]) -> None:
        self.status = status
        entry = status["containerStatuses"][0]
        (kind, detail), *_ = entry["state"].items()
        line = detail.get("reason") or ("ready" if entry["ready"] else kind)
        if self.history[-1:] != [line]:
            self.history.append(line)

    def say(self, type_: str, reason: str, message: str) -> None:
        self.events.append(f"{reason}: {message}")

    async def fetch(self, kind: str, name: str) -> Obj | None:
        return self.objects.get((kind, name))


class Stage:
    """A runtime with one image, `app`, and a pod on it."""

    def __init__(self, *, drain: float = 2.0) -> None:
        self.clock = LoopClock()
        self.reporter = reporter()
        self.started: list[Fake] = []
        self.commands: Callable[[Sequence[str]], int] = lambda argv: 0
        self.refusals: list[StartFailed] = []
        images = Images({"app": Entry(self._start)})
        self.runtime = LocalRuntime(self.clock, images, addresses=OneAddress(), drain=drain)

    async def _start(self, launch: Launch) -> Fake:
        if self.refusals:
            raise self.refusals.pop(0)
        fake = Fake(launch, lambda argv: self.commands(argv))
        self.started.append(fake)
        return fake

    async def run(self, container: Mapping[str, Any] | None = None, **spec: Any) -> None:
        entry = {"name": "main", "image": "registry.example/app:1"} | dict(container or {})
        meta = {"name": "pod", "namespace": "test", "uid": "u", "labels": {"app": "x"}}
        await self.runtime.start({"metadata": meta, "spec": {"containers": [entry]} | spec}, self.reporter)

    async def after(self, seconds: float) -> Obj:
        """Let time pass; gives the container's status."""
        await self.clock.sleep(seconds)
        entry: Obj = self.reporter.status["containerStatuses"][0]
        return entry


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A stage whose runtime closes after the test."""
    stage = Stage()
    yield stage
    await stage.runtime.close()


def probe(**more: Any) -> dict[str, Any]:
    """An exec probe that the fake process answers."""
    return {"exec": {"command": ["check"]}} | more


async def test_without_probes_ready_at_once(stage: Stage) -> None:
    """Pulled, created, started, ready; the pod has an address and the conditions."""
    await stage.run()
    entry = await stage.after(0.1)
    assert entry["ready"] and entry["started"] and "running" in entry["state"]
    assert stage.reporter.status["phase"] == "Running"
    assert stage.reporter.status["podIP"] == "127.0.0.1"
    assert {entry["type"]: entry["status"] for entry in stage.reporter.status["conditions"]}["Ready"] == "True"
    assert [event.partition(":")[0] for event in stage.reporter.events] == ["Pulled", "Created", "Started"]


async def test_readiness_waits_for_its_probe_and_follows_it(stage: Stage) -> None:
    """Ready after the initial delay, unready after three failures in a row, ready again after one success."""
    answers = iter([0, 1, 1, 0, 1, 1, 1, 0])
    stage.commands = lambda argv: next(answers, 0)
    await stage.run({"readinessProbe": probe(initialDelaySeconds=5, periodSeconds=10)})
    assert not (await stage.after(4.9))["ready"]
    assert (await stage.after(0.2))["ready"]
    assert (await stage.after(30))["ready"], "two failures are not three"
    assert not (await stage.after(30))["ready"]
    unready = next(entry for entry in stage.reporter.status["conditions"] if entry["type"] == "Ready")
    assert unready["message"] == "containers with unready status: [main]"
    assert (await stage.after(10))["ready"]
    assert "Unhealthy: Readiness probe failed: command exited with 1: said so" in stage.reporter.events


async def test_success_threshold(stage: Stage) -> None:
    """With a threshold of two, one success is not enough."""
    await stage.run({"readinessProbe": probe(periodSeconds=10, successThreshold=2)})
    assert not (await stage.after(1))["ready"]
    assert (await stage.after(10))["ready"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (127, 'exec: "check": executable file not found in $PATH'),
        (124, "timed out after 1s"),
        (3, "command exited with 3: said so"),
    ],
)
async def test_probe_failures_say_why(stage: Stage, code: int, text: str) -> None:
    """A missing command, a time-out and an exit code are told apart."""
    stage.commands = lambda argv: code
    await stage.run({"readinessProbe": probe()})
    await stage.after(3)
    assert f"Unhealthy: Readiness probe failed: {text}" in stage.reporter.events


async def test_liveness_restarts(stage: Stage) -> None:
    """After three failures the container is killed and started again, and its restarts are counted."""
    stage.commands = lambda argv: 1 if len(stage.started) == 1 else 0
    await stage.run({"livenessProbe": probe(initialDelaySeconds=5, periodSeconds=10)})
    await stage.after(24)
    assert len(stage.started) == 1
    entry = await stage.after(2)
    assert len(stage.started) == 2
    assert entry["restartCount"] == 1
    assert "terminated" in entry["lastState"]
    assert "Killing: Container main failed liveness probe, will be restarted" in stage.reporter.events


async def test_startup_probe_holds_the_others_back(stage: Stage) -> None:
    """Nothing else is asked before it passes, and it kills when it never does."""
    asked: list[str] = []

    def answer(argv: Sequence[str]) -> int:
        asked.append(argv[0])
        return 0 if argv[0] != "startup" or asked.count("startup") > 2 else 1

    stage.commands = answer
    startup = {"exec": {"command": ["startup"]}, "periodSeconds": 1, "failureThreshold": 5}
    await stage.run({"startupProbe": startup, "readinessProbe": probe()})
    assert not (await stage.after(1.5))["started"]
    assert asked == ["startup", "startup"]
    entry = await stage.after(1)
    assert entry["started"] and entry["ready"]


async def test_startup_probe_that_never_passes_kills(stage: Stage) -> None:
    """The container is restarted when its startup probe has failed often enough."""
    stage.commands = lambda argv: 1
    await stage.run({"startupProbe": probe(periodSeconds=1, failureThreshold=2)})
    await stage.after(1.5)
    assert len(stage.started) == 2
    assert any("failed startup probe" in event for event in stage.reporter.events)


def test_pauses_between_restarts() -> None:
    """At once, then ten seconds, doubled each time, five minutes at most."""
    assert [pause_after(n) for n in (1, 2, 3, 4, 5, 6, 7, 50)] == [0, 10, 20, 40, 80, 160, 300, 300]


async def test_crash_loop(stage: Stage) -> None:
    """A container that keeps ending is started at growing distances, and says so."""
    await stage.run()
    await stage.after(1)
    stage.started[0].exit.set_result(2)
    await stage.after(1)
    assert len(stage.started) == 2
    stage.started[1].exit.set_result(2)
    entry = await stage.after(5)
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["state"]["waiting"]["message"] == "back-off 10s restarting failed container=main pod=pod_test"
    assert entry["lastState"]["terminated"]["exitCode"] == 2
    assert not entry["ready"]
    entry = await stage.after(6)
    assert len(stage.started) == 3
    assert entry["restartCount"] == 2


async def test_a_long_run_is_no_crash_loop(stage: Stage) -> None:
    """Having run for ten minutes it is started again without a pause."""
    await stage.run()
    for number in range(3):
        await stage.after(700)
        stage.started[number].exit.set_result(1)
        await stage.after(1)
    assert len(stage.started) == 4


async def test_start_that_fails_counts_as_a_crash(stage: Stage) -> None:
    """A program that cannot start ends with its code; the reason is in the log."""
    stage.refusals = [StartFailed("port is taken"), StartFailed("port is taken")]
    await stage.run()
    entry = await stage.after(1)
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert entry["lastState"]["terminated"]["exitCode"] == 128
    assert list(stage.runtime.logs("u", "main") or ()) == ["port is taken"]
    entry = await stage.after(10)
    assert entry["ready"]
    assert list(stage.runtime.logs("u", "main", previous=True) or ()) == ["port is taken"]


@pytest.mark.parametrize(
    ("policy", "code", "phase"), [("Never", 0, "Succeeded"), ("Never", 1, "Failed"), ("OnFailure", 0, "Succeeded")]
)
async def test_pods_that_end(stage: Stage, policy: str, code: int, phase: str) -> None:
    """Without a restart the pod has a final phase."""
    await stage.run(restartPolicy=policy)
    await stage.after(1)
    stage.started[0].exit.set_result(code)
    await stage.after(60)
    assert len(stage.started) == 1
    assert stage.reporter.status["phase"] == phase


@pytest.mark.parametrize("image", ["registry.example/nginx:1", "app:no-such-tag", "localhost:5000/appp"])
async def test_image_that_does_not_exist(stage: Stage, image: str) -> None:
    """ErrImagePull, then ImagePullBackOff with growing pauses; the message names what there is."""
    await stage.run({"image": image})
    await stage.after(0.5)
    assert stage.reporter.history[-1] == "ErrImagePull"
    entry = await stage.after(1)
    assert entry["state"]["waiting"] == {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}
    assert stage.reporter.status["phase"] == "Pending"
    assert any(f'Failed to pull image "{image}"' in event and "not found" in event for event in stage.reporter.events)
    count = len(stage.reporter.events)
    await stage.after(8)
    assert len(stage.reporter.events) == count
    await stage.after(4)
    assert len(stage.reporter.events) > count
    assert not stage.started


async def test_config_that_is_missing_is_waited_for(stage: Stage) -> None:
    """CreateContainerConfigError names the object; the container starts once it is there, with its values."""
    reference = {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}}
    await stage.run({"env": [reference]})
    entry = await stage.after(1)
    assert entry["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "settings" not found',
    }
    stage.reporter.objects["ConfigMap", "settings"] = {"kind": "ConfigMap", "data": {}}
    entry = await stage.after(3)
    assert entry["state"]["waiting"]["message"] == "couldn't find key color in ConfigMap test/settings"
    stage.reporter.objects["ConfigMap", "settings"] = {"kind": "ConfigMap", "data": {"color": "red"}}
    entry = await stage.after(3)
    assert entry["ready"]
    assert stage.started[0].launch.env["COLOR"] == "red"


async def test_volume_that_is_missing_is_waited_for(stage: Stage) -> None:
    """The pod stays ContainerCreating with FailedMount events until its Secret is there; optional ones may lack."""
    volumes = [
        {"name": "keys", "secret": {"secretName": "front-keys"}},
        {"name": "more", "configMap": {"name": "none", "optional": True}},
    ]
    await stage.run(volumes=volumes)
    entry = await stage.after(1)
    assert entry["state"]["waiting"]["reason"] == "ContainerCreating"
    assert stage.reporter.events == [
        'FailedMount: MountVolume.SetUp failed for volume "keys" : secret "front-keys" not found'
    ]
    data = {"token": base64.b64encode(b"abc").decode()}
    stage.reporter.objects["Secret", "front-keys"] = {"kind": "Secret", "data": data}
    assert (await stage.after(3))["ready"]


async def test_orderly_end() -> None:
    """Drain first, serve on for the pause, then stop; nothing is reported any more."""
    stage = Stage(drain=2.0)
    await stage.run()
    await stage.after(1)
    began, reports = stage.clock.monotonic(), len(stage.reporter.history)
    await stage.runtime.stop("u", 30)
    assert stage.started[0].story == [("drain", began), ("stop", began + 2)]
    assert len(stage.reporter.history) == reports
    assert stage.runtime.logs("u", "main") is None
    assert "Killing: Stopping container main" in stage.reporter.events


@pytest.mark.parametrize(("sleeps", "grace", "pause"), [(20, 60, 20), (1, 60, 2), (20, 10, 10)])
async def test_a_sleep_before_the_end_is_slept(sleeps: int, grace: float, pause: float) -> None:
    """`preStop.sleep` lets a pod serve on for longer than it would, within its grace; a shorter one changes nothing."""
    stage = Stage(drain=2.0)
    await stage.run({"lifecycle": {"preStop": {"sleep": {"seconds": sleeps}}}})
    await stage.after(1)
    began = stage.clock.monotonic()
    await stage.runtime.stop("u", grace)
    assert stage.started[0].story == [("drain", began), ("stop", began + pause)]


@pytest.mark.parametrize(("grace", "pause"), [(0.0, 0.0), (1.0, 1.0)])
async def test_the_pause_is_within_the_grace(grace: float, pause: float) -> None:
    """A short grace cuts the pause short."""
    stage = Stage(drain=5.0)
    await stage.run()
    await stage.after(1)
    began = stage.clock.monotonic()
    await stage.runtime.stop("u", grace)
    assert stage.clock.monotonic() - began == pytest.approx(pause)


async def test_a_pod_that_was_never_ready_ends_at_once() -> None:
    """Nobody was sent there, so nobody has to learn of it; also while its image cannot be pulled."""
    for container in ({"readinessProbe": probe(initialDelaySeconds=60)}, {"image": "none"}):
        stage = Stage(drain=5.0)
        await stage.run(container)
        await stage.after(1)
        began = stage.clock.monotonic()
        await stage.runtime.stop("u", 30)
        assert stage.clock.monotonic() == began


async def test_stopping_an_unknown_pod_is_nothing() -> None:
    """As after a restart of the kubelet."""
    stage = Stage()
    await stage.runtime.stop("no-such-uid", 30)
    assert stage.runtime.logs("no-such-uid", "main") is None
