"""`kubectl exec` on the wire: channels of a WebSocket, what is refused, and a client that goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import pytest

from pyflagger.admission.errors import not_found
from pyflagger.clock import SystemClock
from pyflagger_sandbox.apiserver import streaming
from pyflagger_sandbox.apiserver.http import HttpFront
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.kubelet import commands
from pyflagger_sandbox.kubelet.commands import Command

PATH = "/api/v1/namespaces/test/pods/web/exec"
STARTED: list[Command] = []


async def execute(
    namespace: str, name: str, container: str, argv: Sequence[str], stdin: bool, terminal: bool
) -> Command:
    """Run a command of pod test/web on this machine."""
    if (namespace, name) != ("test", "web"):
        raise not_found("pods", "", name)
    environ: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "CONTAINER": container}
    STARTED.append(await commands.start(argv, environ, stdin=stdin, terminal=terminal))
    return STARTED[-1]


async def talk(argv: Sequence[str], said: Sequence[bytes] = (), **query: str) -> dict[int, bytes]:
    """What came in each channel until the server closed."""
    got: dict[int, bytes] = {}
    async with HttpFront(ApiServer(SystemClock()), execute=execute) as front, aiohttp.ClientSession() as session:
        params = [("command", word) for word in argv] + list(query.items())
        async with session.ws_connect(front.url + PATH, params=params, protocols=streaming.PROTOCOLS) as socket:
            assert socket.protocol == "v5.channel.k8s.io"
            for message in said:
                await socket.send_bytes(message)
            async for message in socket:
                got[message.data[0]] = got.get(message.data[0], b"") + message.data[1:]
    return got


async def test_streams_have_their_channels() -> None:
    """Output, errors, and how it ended."""
    got = await talk(["sh", "-c", "echo $CONTAINER; echo bad >&2"], stdout="true", stderr="true", container="web")
    assert (got[streaming.STDOUT], got[streaming.STDERR]) == (b"web\n", b"bad\n")
    assert json.loads(got[streaming.ERROR])["status"] == "Success"


@pytest.mark.parametrize(("script", "code"), [("exit 3", "3"), ("kill -9 $$", "137")])
async def test_exit_codes(script: str, code: str) -> None:
    """As kubectl reads them."""
    status = json.loads((await talk(["sh", "-c", script]))[streaming.ERROR])
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": code}]


async def test_input_and_its_end() -> None:
    """`cat` ends once the client says that no more comes."""
    got = await talk(["cat"], [b"\0one ", b"\0two", bytes([streaming.CLOSE, 0])], stdin="true")
    assert got[streaming.STDOUT] == b"one two"


async def test_a_terminal_and_its_size() -> None:
    """Both streams come by one channel; the command sees the size that was said."""
    resize = bytes([streaming.RESIZE]) + json.dumps({"Width": 101, "Height": 33}).encode()
    got = await talk(["sh", "-c", "read a; stty size; echo $a >&2"], [resize, b"\0go\n"], stdin="true", tty="true")
    assert b"33 101" in got[streaming.STDOUT] and b"go" in got[streaming.STDOUT]
    assert streaming.STDERR not in got


async def test_what_cannot_be_run() -> None:
    """The client is told why; nothing is left."""
    status = json.loads((await talk(["/no/such/program"]))[streaming.ERROR])
    assert "cannot run /no/such/program in this container: No such file" in status["message"]


async def test_a_client_that_goes_away_ends_its_command() -> None:
    """Nothing runs on for nobody."""
    STARTED.clear()
    async with HttpFront(ApiServer(SystemClock()), execute=execute) as front, aiohttp.ClientSession() as session:
        params = [("command", "sleep"), ("command", "600"), ("stdin", "true")]
        async with session.ws_connect(front.url + PATH, params=params, protocols=streaming.PROTOCOLS):
            pass
        async with asyncio.timeout(10):
            assert await STARTED[0].wait() == 137


async def test_refusals() -> None:
    """A pod that is not there, and a client that speaks no WebSocket, get a Status."""
    async with HttpFront(ApiServer(SystemClock()), execute=execute) as front, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(front.url + PATH.replace("web", "other"), params={"command": "true"})
        assert caught.value.status == 404
        async with session.post(front.url + PATH, params={"command": "true"}) as answer:
            said: Any = await answer.json()
            assert (answer.status, said["kind"]) == (400, "Status") and "kubectl 1.31" in said["message"]
