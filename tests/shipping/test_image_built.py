"""The image, built for real and started: `make image-test`. What is in it, what is not, and both services answer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from pyflagger import __version__
from pyflagger.clock import SystemClock
from pyflagger_sandbox.apiserver.http import HttpFront
from shipping import building
from stage.manifests import canary, deployment, settings
from stage.stage import Stage

pytestmark = pytest.mark.image

SECONDS_MAX = 60.0
MIB_MAX = 320
"""The whole image with its base; 263 when this was written."""

OURS = "/opt/flagger/lib/python3.*/site-packages"


@pytest.fixture(scope="module")
def image() -> str:
    """The name of the image, built of the working tree."""
    return building.build("localhost/pyflagger:test")


@pytest.fixture(scope="module")
def box(image: str) -> Iterator[str]:
    """A container of the image."""
    with building.container(image) as name:
        yield name


def run(box: str, *words: str) -> tuple[int, str]:
    """Run words in the container as the image's user; the status and both outputs."""
    done = building.run(box, *words)
    return done.returncode, done.stdout + done.stderr


def entry(box: str) -> list[str]:
    """The words of the image's entry point."""
    words: list[str] = json.loads(building.buildah("inspect", box).stdout)["OCIv1"]["config"]["Entrypoint"]
    return words


def test_it_is_what_it_says(box: str) -> None:
    """The entry point answers as `flagger`, also by the names that the reference's manifests run."""
    assert run(box, *entry(box), "version") == (0, f"Flagger version {__version__} revision  unknown\n")
    for words, said in (
        ([*entry(box), "--help"], "Usage: flagger"),
        (["./flagger", "-version"], f"Flagger version {__version__}"),
        (["./loadtester", "--help"], "-port"),
        ([*entry(box), "crds"], "kind: CustomResourceDefinition"),
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
    status, text = run(box, *entry(box), "sandbox")
    assert status == 1 and "the sandbox is not installed" in text


def test_the_tools_of_load_tests(box: str) -> None:
    """Debian's curl, and `hey` as an alias of `flagger load`."""
    found = run(box, "sh", "-c", "command -v curl; command -v hey")
    assert found == (0, "/usr/bin/curl\n/opt/flagger/tools/hey\n")
    status, text = run(box, "hey", "-n", "1", "-c", "1", "http://127.0.0.1:9/")
    assert status == 0 and "Error distribution" in text
    _, found = run(box, "sh", "-c", f"ls {OURS}/pyflagger/loadtester")
    assert "curl.py" not in found and "load.py" in found


def test_it_is_closed(box: str) -> None:
    """Runs as nobody, may write nothing of its own, and has neither pip nor a compiler beside it."""
    assert run(box, "id", "-u") == (0, "10001\n")
    _, found = run(box, "find", "/opt/flagger", "/home/app", "-writable", "-not", "-type", "l")
    assert found == ""
    status, _ = run(box, "sh", "-c", "command -v cc gcc || ls /opt/flagger/bin/pip*")
    assert status != 0


def test_its_size(image: str) -> None:
    """No more than it was, but for a little room: a new dependency is seen here."""
    size = building.size(image) >> 20
    print(f"image: {size} MiB, of which the base is {building.size(building.base()) >> 20} MiB")
    assert size < MIB_MAX


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


async def test_the_operator_initializes_a_canary(box: str, tmp_path: Path) -> None:
    """With a kubeconfig, against an API server on loopback: healthy, and the canary's primary is there."""
    stage = Stage(clock=SystemClock())
    await stage.start(operator=False)
    try:
        async with HttpFront(stage.server, token="secret") as front:
            config = tmp_path / "kubeconfig"
            config.write_text(yaml.safe_dump(kubeconfig(front.url)))
            config.chmod(0o644)
            port = free_port()
            flags = (f"-port={port}", "-kubeconfig=/kubeconfig", "-mesh-provider=kubernetes", "-log-level=debug")
            volume = ("--volume", f"{config}:/kubeconfig:ro")
            async with started(box, port, [*entry(box), *flags], *volume):
                await stage.namespace("test")
                for obj in (settings("app"), deployment("app"), canary("app", provider="kubernetes")):
                    await stage.create(obj)
                async with asyncio.timeout(SECONDS_MAX):
                    while (await stage.status("app")).get("phase") != "Initialized":
                        await stage.clock.sleep(0.1)
                assert (await stage.get("Deployment", "app-primary"))["spec"]["replicas"] == 2
    finally:
        await stage.stop()


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


async def test_the_load_tester_runs_a_command(box: str) -> None:
    """As the charts start it; a hook's command finds the tools."""
    port = free_port()
    async with started(box, port, ["./loadtester", f"-port={port}"]) as session:
        body = {"name": "app", "namespace": "test", "metadata": {"type": "bash", "cmd": "curl --version && hey -h"}}
        async with session.post("/", json=body) as answer:
            assert answer.status == 200, await answer.text()
