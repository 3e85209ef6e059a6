"""`kubectl port-forward`: each connection is a pair of SPDY streams (data, error) in one WebSocket.

The HTTP frontend calls it with the socket and a function that connects to the ports of the pod.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import WSMsgType, web

from pyflagger_sandbox.apiserver import spdy

PROTOCOLS = ("SPDY/3.1+portforward.k8s.io",)
DATA, ERROR = "data", "error"
PORT_MAX = 65535
CHUNK = 32 << 10
UNREAD_MAX = 8 << 20
"""The unread bytes on one connection to a pod. Above this, all connections of the client wait."""

Dial: TypeAlias = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Connects to a port of one pod. Raises OSError."""

Forward: TypeAlias = Callable[[str, str], Dial]
"""(namespace, pod) → a function that connects to its ports. Raises ApiError."""


@dataclass(slots=True)
class _Connection:
    """A connection to the pod, its streams, and the directions that have ended."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    data: int
    error: int
    asked: bool = False
    answered: bool = False
    dropped: bool = False

    def close_if_over(self) -> None:
        if self.asked and self.answered:
            self.writer.close()


class Tunnel:
    """Serves the connections of one client on a prepared WebSocket. Errors name `pod`."""

    def __init__(self, socket: web.WebSocketResponse, dial: Dial, pod: str) -> None:
        self._socket, self._dial, self._pod = socket, dial, pod
        self._replies = spdy.Writer()
        self._halves: dict[str, dict[str, int]] = {}
        self._open: dict[int, _Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0

    async def attend(self) -> None:
        """Serve until the client disconnects, then close its connections."""
        try:
            await self._listen()
        except spdy.Malformed:
            with suppress(ConnectionError):
                await self._send(spdy.go_away(self._last, spdy.PROTOCOL_ERROR))
        except ConnectionError:
            pass
        finally:
            for connection in self._open.values():
                connection.writer.transport.abort()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._socket.close()

    async def _listen(self) -> None:
        reader = spdy.Reader()
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY:
                continue
            for frame in reader.feed(message.data):
                if frame.type == spdy.GOAWAY:
                    return
                await self._take(frame)

    async def _take(self, frame: spdy.Frame) -> None:
        """Process a frame. Ignores SETTINGS, HEADERS and WINDOW_UPDATE."""
        connection = self._open.get(frame.stream)
        if frame.type == spdy.SYN_STREAM:
            await self._accept(frame)
        elif frame.type == spdy.PING:
            await self._send(spdy.ping(frame))
        elif frame.type == spdy.DATA and connection:
            await _pass_on(connection, frame)
        elif frame.type == spdy.RST_STREAM and connection:
            connection.dropped = True
            connection.writer.transport.abort()

    async def _accept(self, frame: spdy.Frame) -> None:
        """Accept a stream. Connect when both streams of a request are open."""
        self._last = frame.stream
        said = frame.headers
        kind, port, halves = said.get("streamtype"), said.get("port", ""), self._halves
        half = halves.setdefault(said.get("requestid", ""), {})
        if kind not in (DATA, ERROR) or kind in half or not (port.isdecimal() and 0 < int(port) <= PORT_MAX):
            await self._send(spdy.reset(frame.stream, spdy.REFUSED_STREAM))
            return
        await self._send(self._replies.reply(frame.stream))
        half[kind] = frame.stream
        if len(half) == len((DATA, ERROR)):
            del halves[said.get("requestid", "")]
            await self._connect(half[DATA], half[ERROR], int(port))

    async def _connect(self, data: int, error: int, port: int) -> None:
        try:
            reader, writer = await self._dial(port)
        except OSError as problem:
            text = f"error forwarding port {port} to pod {self._pod}: {_cause(problem, port)}"
            await self._send(spdy.data(error, text.encode(), fin=True) + spdy.data(data, b"", fin=True))
            return
        writer.transport.set_write_buffer_limits(UNREAD_MAX)
        self._open[data] = connection = _Connection(reader, writer, data, error)
        task = asyncio.create_task(self._answer(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: _Connection) -> None:
        """Carry the pod's data. When the pod breaks a connection, the client's other connections continue."""
        last = spdy.data(connection.data, b"", fin=True)
        try:
            while piece := await connection.reader.read(CHUNK):
                await self._send(spdy.data(connection.data, piece))
        except ConnectionError:
            last = spdy.reset(connection.data, spdy.CANCEL)
        with suppress(ConnectionError):
            await self._send((b"" if connection.dropped else last) + spdy.data(connection.error, b"", fin=True))
        connection.answered = True
        connection.close_if_over()

    async def _send(self, frames: bytes) -> None:
        await self._socket.send_bytes(frames)


async def _pass_on(connection: _Connection, frame: spdy.Frame) -> None:
    """Send the client's data to the pod. Drops the data when the pod has closed the connection."""
    with suppress(ConnectionError):
        if frame.body:
            connection.writer.write(frame.body)
            await connection.writer.drain()
        if frame.fin and not connection.asked:
            connection.asked = True
            connection.writer.write_eof()
    connection.close_if_over()


def _cause(problem: OSError, port: int) -> str:
    """The error text of a failed connection, in the words of the container runtimes."""
    if problem.errno is None:
        return str(problem)
    return f"failed to connect to localhost:{port} inside the pod: {os.strerror(problem.errno).lower()}"
