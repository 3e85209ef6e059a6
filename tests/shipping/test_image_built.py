"""Both images, built for real and started: `make image-test`. What is in them, what is not, and what they answer."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import grpc
import pytest
import yaml
from grpc_health.v1 import health, health_pb2_grpc

from pyflagger import __version__
from pyflagger.clock import SystemClock
from pyflagger_sandbox.apiserver.http import HttpFront
from shipping import building
from stage.manifests import canary, deployment, settings
from stage.stage import Stage

pytestmark = pytest.mark.image

SECONDS_MAX = 60.0
MIB_MAX = {"operator": 330, "loadtester": 640}
"""Each whole image with its base; 298 and 587 when this was written."""

NAMES = {"operator": "localhost/pyflagger:test", "loadtester": "localhost/pyflagger-loadtester:test"}
ENTRIES = {"operator": "flagger", "loadtester": "./loadtester"}
OURS = "/opt/flagger/lib/python3.*/site-packages"


@pytest.fixture(scope="module", params=NAMES)
def target(request: pytest.FixtureRequest) -> str:
    """The target of the Dockerfile."""
    return str(request.param)


@pytest.fixture(scope="module")
def image(target: str) -> str:
    """The name of the image, built of the working tree."""
    return building.build(target, NAMES[target])


@pytest.fixture(scope="module")
def box(image: str) -> Iterator[str]:
    """A container of the image."""
    with building.container(image) as name:
        yield name


@pytest.fixture(scope="module")
def tester() -> Iterator[str]:
    """A container of the load tester's image, which the tests above have built."""
    with building.container(NAMES["loadtester"]) as name:
        yield name


def run(box: str, *words: str) -> tuple[int, str]:
    """Run words in the container as the image's user; the status and both outputs."""
    done = building.run(box, *words)
    return done.returncode, done.stdout + done.stderr


def test_it_is_what_it_says(box: str, target: str) -> None:
    """Each image has both programs, by the names that the reference's manifests run."""
    entry: list[str] = json.loads(building.buildah("inspect", box).stdout)["OCIv1"]["config"]["Entrypoint"]
    assert entry == [ENTRIES[target]]
    for words, said in (
        (["flagger", "version"], f"Flagger version {__version__} revision  unknown"),
        (["flagger", "--help"], "Usage: flagger"),
        (["./flagger", "-version"], f"Flagger version {__version__} revision  unknown"),
        (["./loadtester", "--help"], "-port"),
        (["./loadtester", "loadtester", "--help"], "-port"),
        (["flagger", "crds"], "kind: CustomResourceDefinition"),
    ):
        status, text = run(box, *words)
        assert status == 0 and said in text, text


def test_no_sandbox_is_in_it(box: str) -> None:
    """No fake API server, nothing that starts a cluster; its commands say what to install."""
    status, text = run(box, "python", "-c", "import pyflagger_sandbox")
    assert status == 1 and "No module named 'pyflagger_sandbox'" in text
    assert building.run(box, "find", "/", "-xdev", "-path", "*pyflagger_sandbox*").stdout == ""
    _, found = run(box, "sh", "-c", f"ls {OURS} /opt/flagger/bin")
    assert "aiohttp" in found and "traefik" not in found and "promql_parser" not in found
    status, text = run(box, "flagger", "sandbox")
    assert status == 1 and "the sandbox is not installed" in text


def test_the_tools(box: str, target: str) -> None:
    """The load tester's image has the programs of the reference's; the operator's has wget, and `hey` as an alias."""
    names = ("bats", "curl", "ghz", "git", "grpc_health_probe", "helm", "helmv3", "hey", "jq", "kubectl", "wget", "wrk")
    _, found = run(box, "sh", "-c", f"for name in {' '.join(names)}; do command -v $name || true; done")
    paths = {path.rpartition("/")[2]: path for path in found.split()}
    wanted = set(names) if target == "loadtester" else {"hey", "wget"}
    assert set(paths) == wanted
    assert paths["hey"] == ("/usr/bin/hey" if target == "loadtester" else "/opt/flagger/tools/hey")
    status, text = run(box, "hey", "-n", "1", "-c", "1", "http://127.0.0.1:9/")
    assert status == 0 and "Error distribution" in text


def test_it_is_closed(box: str) -> None:
    """Runs as nobody, may write nothing of its own, and has neither pip nor a compiler beside it."""
    assert run(box, "id", "-u") == (0, "10001\n")
    _, found = run(box, "find", "/opt", "/home/app", "/usr/local", "-writable", "-not", "-type", "l")
    assert found == ""
    status, _ = run(box, "sh", "-c", "command -v cc gcc go || ls /opt/*/bin/pip*")
    assert status != 0


def test_its_size(image: str, target: str) -> None:
    """No more than it was, but for a little room: a new dependency is seen here."""
    size = building.size(image) >> 20
    print(f"image: {target}: {size} MiB, of which the base is {building.size(building.base()) >> 20} MiB")
    assert size < MIB_MAX[target]


# Started ------------------------------------------------------------------------------------------------------------


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def started(box: str, port: int, words: Sequence[str], *options: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Words in the container until /healthz answers; asked to stop afterwards, and stopped in good order."""
    process = await asyncio.create_subprocess_exec(
        *building.running(box, *words, options=options), stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    said = asyncio.ensure_future(process.stderr.read())
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            await answers(session, process, said)
            yield session
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        async with asyncio.timeout(SECONDS_MAX):
            await process.wait()
            await said


async def answers(
    session: aiohttp.ClientSession, process: asyncio.subprocess.Process, said: asyncio.Future[bytes]
) -> None:
    """Wait for /healthz."""
    clock = SystemClock()
    end = clock.monotonic() + SECONDS_MAX
    while clock.monotonic() < end:
        assert process.returncode is None, (await said).decode()
        try:
            async with session.get("/healthz") as answer:
                assert answer.status == 200
                return
        except aiohttp.ClientConnectionError:
            await clock.sleep(0.1)
    raise AssertionError("no answer at /healthz")


PROBE = ["wget", "--quiet", "--tries=1", "--timeout=4", "--spider"]
"""What the reference's manifests and charts run as a probe, before the URL."""


async def probed(box: str, port: int) -> None:
    """The probe passes where the service answers, and fails where nothing does."""
    for number, good in ((port, True), (free_port(), False)):
        done = await asyncio.to_thread(building.run, box, *PROBE, f"http://localhost:{number}/healthz")
        assert (done.returncode == 0) == good, done.stderr


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Stage]:
    """An API server on loopback, and a kubeconfig for it in a folder that the image's user can read."""
    stage = Stage(clock=SystemClock())
    await stage.start(operator=False)
    try:
        async with HttpFront(stage.server, token="secret") as front:
            (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig(front.url)))
            readable(folder)
            await stage.namespace("test")
            yield stage
    finally:
        await stage.stop()


def readable(folder: Path) -> None:
    """Let every user read a folder."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


async def test_the_operator_initializes_a_canary(tmp_path: Path) -> None:
    """With a kubeconfig, against an API server on loopback: probes pass, and the canary's primary is there."""
    port, folder = free_port(), tmp_path / "etc"
    folder.mkdir()
    flags = (f"-port={port}", "-kubeconfig=/etc/test/kubeconfig", "-mesh-provider=kubernetes", "-log-level=debug")
    with building.container(NAMES["operator"]) as box:
        async with cluster(folder) as stage, started(box, port, ["flagger", *flags], *volume(folder)):
            await probed(box, port)
            for obj in (settings("app"), deployment("app"), canary("app", provider="kubernetes")):
                await stage.create(obj)
            async with asyncio.timeout(SECONDS_MAX):
                while (await stage.status("app")).get("phase") != "Initialized":
                    await stage.clock.sleep(0.1)
            assert (await stage.get("Deployment", "app-primary"))["spec"]["replicas"] == 2


def volume(folder: Path) -> tuple[str, str]:
    """The options that mount a folder at /etc/test."""
    return "--volume", f"{folder}:/etc/test:ro"


def kubeconfig(server: str) -> dict[str, object]:
    """One cluster and no credentials: the token is in the URL."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "users": [{"name": "c", "user": {}}],
        "current-context": "c",
    }


@asynccontextmanager
async def grpc_server() -> AsyncIterator[int]:
    """A gRPC server with the health service and without reflection; its port."""
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


FILES = {
    "acceptance.bats": '@test "adds" {\n  [ "$((1 + 1))" -eq 2 ]\n}\n@test "has jq" {\n  command -v jq\n}\n',
    "bad.bats": '@test "subtracts" {\n  [ "$((2 - 1))" -eq 2 ]\n}\n',
    "load.lua": 'wrk.method = "POST"\n',
    "chart/Chart.yaml": "apiVersion: v2\nname: smoke\nversion: 1.0.0\n",
    "chart/templates/test.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: smoke\n"
    "  annotations: {helm.sh/hook: test}\n",
}
"""What a ConfigMap of tests holds: for Bats, for wrk, and a chart with a test."""

GHZ = "ghz -z 1s --rps 10 -c 2 --insecure --proto=/tmp/ghz/health.proto --call=grpc.health.v1.Health/Check"
TASKS: list[tuple[str, str, int, str]] = [
    ("bash", "hey -z 1s -q 10 -c 2 {url}/healthz", 200, r"\[200\]\s+\d+ responses"),
    ("bash", "hey -n 2 -c 1 -m POST -d '{{test: 2}}' {url}/gate/approve", 200, r"\[200\]\s+2 responses"),
    ("bash", "wrk -d 1s -c 2 -t 1 {url}/healthz", 200, r"Requests/sec:"),
    ("bash", "wrk -d 1s -c 2 -t 1 -s /etc/test/load.lua {url}/gate/approve", 200, r"Requests/sec:"),
    ("bash", GHZ + " 127.0.0.1:{grpc}", 200, r"\[OK\]\s+\d+ responses"),
    ("bash", "grpc_health_probe -addr=127.0.0.1:{grpc}", 200, r"status: SERVING"),
    ("bash", "grpc_health_probe -addr=127.0.0.1:{closed} -connect-timeout 1s", 500, r"exit status 2"),
    ("bash", "bats /etc/test/acceptance.bats", 200, r"1\.\.2\nok 1 adds\nok 2 has jq"),
    ("bash", "bats /etc/test/bad.bats", 500, r"not ok 1 subtracts"),
    ("bash", 'curl -sf {url}/healthz && curl -sd \'{{"name":"a"}}\' {url}/gate/approve', 200, r"^OKOK$"),
    ("bash", "echo '{{\"token\": [1, 2]}}' | jq -e '.token | length == 2'", 200, r"^true$"),
    ("bash", "cd $(mktemp -d) && git init -q . && git status --short && git --version", 200, r"git version 2"),
    ("kubectl", "-n test get configmap app-env -o jsonpath='{{.metadata.name}}'", 200, r"^app-env$"),
    ("kubectl", "-n test get deployment nope", 500, r"deployments.apps \"nope\" not found"),
    ("helmv3", "test smoke --timeout 1m -n test", 200, r"Phase:\s+Succeeded"),
    ("helm", "test nope -n test", 500, r"release: not found"),
]
"""Commands of the reference's documentation and the like: type, command, status, and what the answer contains."""


async def test_the_tools_run_as_tasks(tester: str, tmp_path: Path) -> None:
    """As the charts start the load tester: probes pass, and each tool does its work when a webhook asks for it."""
    folder = tmp_path / "test"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    port = free_port()
    options = (*volume(folder), "--env", "KUBECONFIG=/etc/test/kubeconfig", "--env", "HOME=/tmp")
    async with cluster(folder) as stage, grpc_server() as grpc_port:
        await stage.create(settings("app"))
        async with started(tester, port, ["./loadtester", f"-port={port}"], *options) as session:
            await probed(tester, port)
            install = await ask(session, "helm", "install smoke /etc/test/chart -n test")
            assert install[0] == 200, install[1]
            places = {"url": f"http://127.0.0.1:{port}", "grpc": grpc_port, "closed": free_port()}
            for kind, command, status, wanted in TASKS:
                got, text = await ask(session, kind, command.format(**places))
                assert got == status and re.search(wanted, text), f"{command}: {got} {text}"


async def ask(session: aiohttp.ClientSession, kind: str, command: str) -> tuple[int, str]:
    """Ask for a task as a webhook does; status and output."""
    metadata = {"type": kind, "cmd": command, "returnCmdOutput": "true"}
    async with session.post("/", json={"name": "app", "namespace": "test", "metadata": metadata}) as answer:
        return answer.status, (await answer.text()).strip()
