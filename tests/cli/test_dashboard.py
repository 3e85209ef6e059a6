"""`flagger dashboard`: where it listens, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

import aiohttp
import pytest
from click.testing import CliRunner

from pyflagger.cli.cluster import Cluster, Wrong
from pyflagger.cli.dashboard import ADDRESS, command, serve, serve_cluster
from pyflagger.cli.people import call
from pyflagger.clock import SystemClock
from pyflagger.dashboard.guard import public
from pyflagger.dashboard.incluster import Settings
from pyflagger.dashboard.local import Running
from pyflagger.kube.client import Client
from pyflagger.kube.reach import Endpoint
from pyflagger_sandbox.apiserver import HttpFront
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess
from stage.stage import OURS, path_of


async def cluster() -> Cluster:
    """A cluster with our kinds and no canary."""
    clock = SystemClock()
    client = Client(InProcess(ApiServer(clock), "ann"), clock)
    for definition in OURS:
        await client.call("POST", path_of("CustomResourceDefinition"), definition)
    return Cluster(client, clock, "default", "prod")


async def test_it_listens_on_loopback_and_answers() -> None:
    """The address that it prints opens the fleet; without its key there is nothing."""
    ready = asyncio.Queue[Running]()
    task = asyncio.create_task(serve(await cluster(), "", 0, "", ready.put_nowait))
    found = await ready.get()
    assert urlsplit(found.url).hostname == "127.0.0.1" == ADDRESS
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        assert (await browser.get(found.url.partition("?")[0])).status == 401
        answer = await browser.get(found.url)
        assert (answer.status, answer.url.query_string) == (200, "")
        assert "This cluster has no canaries yet." in await answer.text()
        stream = await browser.get(found.url.partition("?")[0] + "api/v1/stream/fleet")
        assert stream.content_type == "text/event-stream" and (await stream.content.readline()).startswith(b"id: 1")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_port_that_is_taken() -> None:
    """One line, with what to do."""
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        with pytest.raises(Wrong, match=r"port \d+ of 127.0.0.1 is not free: .* Choose another with --port"):
            await serve(await cluster(), "", taken.getsockname()[1], "", print)


IN_CLUSTER = ("--in-cluster", "--public-url", "https://flagger.example.com")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["--in-cluster"], "needs --public-url"),
        (["--in-cluster", "--public-url", "http://flagger.example.com"], "in the clear"),
        ([*IN_CLUSTER, "--trust-user-headers", "X-User"], "need each other"),
        ([*IN_CLUSTER, "--trusted-proxies", "10.0.0.0/8"], "need each other"),
        ([*IN_CLUSTER, "--trust-user-headers", "X-User", "--trusted-proxies", "0.0.0.0/0"], "trust every address"),
        ([*IN_CLUSTER, "--context", "prod"], "--context cannot be used with --in-cluster"),
        ([*IN_CLUSTER, "--as", "root"], "--as cannot be used with --in-cluster"),
        ([*IN_CLUSTER, "--no-open"], "--no-open cannot be used with --in-cluster"),
        (["--public-url", "https://flagger.example.com"], "--public-url cannot be used without --in-cluster"),
        (["--trusted-proxies", "10.0.0.0/8"], "--trusted-proxies cannot be used without --in-cluster"),
    ],
)
def test_options_of_the_other_kind(given: list[str], text: str) -> None:
    """Before anything is asked, and with the option's name."""
    found = CliRunner().invoke(command, given)
    assert found.exit_code == 2 and text in found.output


async def test_a_pod(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Over sockets: it listens, takes the API server's tokens and no others, streams, and frees its port at the end."""
    server = ApiServer(SystemClock())
    client = Client(InProcess(server, "ann"), SystemClock())
    for definition in OURS:
        await client.call("POST", path_of("CustomResourceDefinition"), definition)
    with socket.socket() as free:
        free.bind((ADDRESS, 0))
        port = free.getsockname()[1]
    settings = Settings(public(f"http://localhost:{port}"), None, "", port, ADDRESS)
    async with HttpFront(server, token="planted") as front, aiohttp.ClientSession() as browser:

        async def account() -> dict[str, str]:
            return {"Authorization": "Bearer planted"}

        both = Endpoint(front.base, headers=account), Endpoint(front.base)
        monkeypatch.setattr("pyflagger.kube.reach.own", lambda clock: both)
        task = asyncio.create_task(serve_cluster(settings, ""))
        while "ready" not in (said := capsys.readouterr().out):
            assert not task.done()
            await asyncio.sleep(0)
        assert said == f"The dashboard is ready: http://localhost:{port}/, on port {port} of this pod.\n"
        url, host = f"http://{ADDRESS}:{port}", {"Host": f"localhost:{port}"}
        good = host | await account()
        assert (await browser.get(f"{url}/healthz")).status == 200
        assert (await browser.get(url, headers=host)).status == 401
        assert (await browser.get(url, headers=host | {"Authorization": "Bearer other"})).status == 401
        assert (await browser.get(url, headers=good)).status == 200
        stream = await browser.get(f"{url}/api/v1/stream/fleet", headers=good)
        assert (await stream.content.readline()).startswith(b"id: 1")
        with pytest.raises(Wrong, match=rf"port {port} is not free: .* Choose another with --port"):
            await serve_cluster(settings, "")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_outside_of_a_pod(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubeconfig is not used: its client certificate would prove the same user for everybody."""
    monkeypatch.setenv("KUBECONFIG", "/dev/null")
    assert call(command, IN_CLUSTER, "flagger dashboard") == 1
    assert "this is no pod with a service account" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--address", "0.0.0.0"], ["--port", "99999"], ["--port", "-1"]])
def test_what_it_refuses(given: list[str]) -> None:
    """There is no way to another address."""
    assert CliRunner().invoke(command, given).exit_code == 2
