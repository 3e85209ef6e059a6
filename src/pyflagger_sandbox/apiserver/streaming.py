"""`kubectl exec` over a WebSocket: carries a command's streams in the channels of v5.channel.k8s.io.

A message's first byte is its channel. The last message is in the error channel: a Status that says how the command
ended. The HTTP frontend calls it with the socket and the command.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from aiohttp import WSMsgType, web

from pyflagger.objects import Obj

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
CHUNK = 32 << 10


class Running(Protocol):
    """A running command with open streams."""

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None

    async def write(self, data: bytes) -> None:
        """Write to its standard input."""

    def end_of_input(self) -> None:
        """Close its standard input."""

    def resize(self, columns: int, rows: int) -> None:
        """Set the size of its terminal."""

    async def wait(self) -> int:
        """Wait for its end. Returns the exit code."""

    async def stop(self) -> None:
        """Stop the command."""


Execute = Callable[[str, str, str, Sequence[str], bool, bool], Awaitable[Running]]
"""(namespace, pod, container, argv, stdin, terminal) → a running command. Raises ApiError, OSError."""


async def attend(socket: web.WebSocketResponse, command: Running) -> None:
    """Carry the streams until the command ends, and send its Status. Stops the command when the client disconnects."""
    listening = asyncio.create_task(_listen(socket, command))
    readers = [(STDOUT, command.stdout), (STDERR, command.stderr)]
    telling = [asyncio.create_task(_tell(socket, channel, reader)) for channel, reader in readers if reader]
    try:
        code = await command.wait()
        await asyncio.wait(telling, timeout=2.0)
        await socket.send_bytes(bytes([ERROR]) + json.dumps(ended(code)).encode())
        await socket.close()
    except ConnectionError:
        pass
    finally:
        for task in (listening, *telling):
            task.cancel()
        await asyncio.gather(listening, *telling, return_exceptions=True)
        await command.stop()


def ended(code: int) -> Obj:
    """The Status for a command that ended with this code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def not_started(text: str) -> Obj:
    """The Status for a command that did not start."""
    return {"metadata": {}, "status": "Failure", "reason": "InternalError", "message": text, "code": 500}


async def _tell(socket: web.WebSocketResponse, channel: int, reader: asyncio.StreamReader) -> None:
    with suppress(OSError):  # A closed terminal raises an error instead of returning an empty read.
        while data := await reader.read(CHUNK):
            await socket.send_bytes(bytes([channel]) + data)


async def _listen(socket: web.WebSocketResponse, command: Running) -> None:
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == STDIN:
            await command.write(data)
        elif channel == RESIZE:
            size = json.loads(data)
            command.resize(int(size.get("Width", 80)), int(size.get("Height", 24)))
        elif channel == CLOSE and data[:1] == bytes([STDIN]):
            command.end_of_input()
    await command.stop()
