"""`kubectl port-forward` on the wire: SPDY frames in a WebSocket, half-closed connections, and what is refused."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from pyflagger.admission.errors import not_found
from pyflagger.clock import SystemClock
from pyflagger_sandbox.apiserver import portforward, spdy
from pyflagger_sandbox.apiserver.http import HttpFront
from pyflagger_sandbox.apiserver.portforward import Dial
from pyflagger_sandbox.apiserver.server import ApiServer

PATH = "/api/v1/namespaces/test/pods/web/portforward"
PORT, SILENT, GONE = 80, 81, 82
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client:
    """A client's side of the protocol: opens streams, sends frames, keeps what comes back."""

    def __init__(self, carrier: aiohttp.ClientWebSocketResponse) -> None:
        self.carrier, self._reader, self._next = carrier, spdy.Reader(), 1
        self._headers = zlib.compressobj(zdict=spdy.DICTIONARY)
        self.got: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.others: list[tuple[int, int]] = []

    async def send(self, frames: bytes) -> None:
        """Frames in one message."""
        await self.carrier.send_bytes(frames)

    async def open(self, **headers: str) -> int:
        """A stream's number."""
        stream, self._next = self._next, self._next + 2
        words = [word.encode() for pair in headers.items() for word in pair]
        block = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(word)) + word for word in words)
        packed = self._headers.compress(block) + self._headers.flush(zlib.Z_SYNC_FLUSH)
        body = struct.pack(">IIH", stream, 0, 0) + packed
        await self.send(struct.pack(">HHI", 0x8003, spdy.SYN_STREAM, len(body)) + body)
        return stream

    async def connect(self, request: int, port: int = PORT) -> tuple[int, int]:
        """The streams of a connection: data and error."""
        said = {"port": str(port), "requestid": str(request)}
        error = await self.open(streamtype="error", **said)
        await self.send(spdy.data(error, b"", fin=True))
        return await self.open(streamtype="data", **said), error

    async def until(self, so: Callable[[], object]) -> None:
        """Take frames until it is so."""
        async with asyncio.timeout(10):
            while not so():
                for frame in self._reader.feed(await self.carrier.receive_bytes()):
                    if frame.type != spdy.DATA:
                        self.others.append((frame.type, frame.stream))
                        continue
                    self.got[frame.stream] = self.got.get(frame.stream, b"") + frame.body
                    self.ended |= {frame.stream} if frame.fin else set()


@asynccontextmanager
async def forwarded(serve: Callable[..., Awaitable[None]]) -> AsyncIterator[Client]:
    """A client of pod test/web, whose port 80 is served so."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    real = server.sockets[0].getsockname()[1]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        def forward(namespace: str, name: str) -> Dial:
            if (namespace, name) != ("test", "web"):
                raise not_found("pods", "", name)

            async def dial(port: int) -> Connection:
                if port == GONE:
                    raise ConnectionError("the pod is gone")
                return await asyncio.open_connection("127.0.0.1", real if port == PORT else unused.getsockname()[1])

            return dial

        async with (
            HttpFront(ApiServer(SystemClock()), forward=forward) as front,
            aiohttp.ClientSession() as session,
            session.ws_connect(front.url + PATH, protocols=portforward.PROTOCOLS) as carrier,
        ):
            assert carrier.protocol == "SPDY/3.1+portforward.k8s.io"
            yield Client(carrier)
    server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what comes."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_connections_beside_each_other() -> None:
    """Each has its own pod connection; the first one's silence holds up nobody; a large body arrives whole."""
    large = bytes(range(256)) * 4096
    async with forwarded(echo) as client:
        (silent, _), (one, _), (two, _) = [await client.connect(number) for number in range(3)]
        for at in range(0, len(large), 1 << 15):
            await client.send(spdy.data(one, large[at : at + (1 << 15)]) + spdy.data(two, b"x"))
        await client.until(lambda: len(client.got.get(one, b"")) == len(large) and len(client.got[two]) == 32)
        assert client.got[one] == large and silent not in client.got and not client.ended
        await client.send(struct.pack(">HHII", 0x8003, spdy.PING, 4, 7))
        await client.until(lambda: (spdy.PING, 7) in client.others)


async def test_frames_in_pieces() -> None:
    """Messages of the WebSocket need not begin where frames do."""
    async with forwarded(echo) as client:
        stream, _ = await client.connect(0)
        for byte in spdy.data(stream, b"abc"):
            await client.send(bytes([byte]))
        await client.until(lambda: client.got.get(stream) == b"abc")


async def test_an_answer_after_the_end_of_the_question() -> None:
    """The client closes its half, the pod answers then, and both streams end without an error."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(len(await reader.read())).encode())
        writer.close()

    async with forwarded(count) as client:
        stream, error = await client.connect(0)
        await client.send(spdy.data(stream, b"x" * 1000) + spdy.data(stream, b"yz", fin=True))
        await client.until(lambda: {stream, error} <= client.ended)
        assert (client.got[stream], client.got[error]) == (b"1002", b"")


@pytest.mark.parametrize(
    ("port", "cause"),
    [(SILENT, "failed to connect to localhost:81 inside the pod: connection refused"), (GONE, "the pod is gone")],
)
async def test_no_connection(port: int, cause: str) -> None:
    """The error's stream says why, and both end. Other connections go on."""
    async with forwarded(echo) as client:
        stream, error = await client.connect(0, port)
        await client.until(lambda: {stream, error} <= client.ended)
        assert client.got == {stream: b"", error: f"error forwarding port {port} to pod web: {cause}".encode()}
        other, _ = await client.connect(1)
        await client.send(spdy.data(other, b"on"))
        await client.until(lambda: client.got.get(other) == b"on")


async def test_a_connection_that_the_pod_breaks_off() -> None:
    """It is reset, with no error that would end the whole client."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word = await reader.read(100)
        if word == b"break":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.write(b"" if word == b"break" else word)
        writer.close()

    async with forwarded(break_off) as client:
        broken, error = await client.connect(0)
        await client.send(spdy.data(broken, b"break"))
        await client.until(lambda: error in client.ended)
        assert (spdy.RST_STREAM, broken) in client.others and client.got[error] == b""
        await client.send(spdy.data(broken, b"too late"))
        other, _ = await client.connect(1)
        await client.send(spdy.data(other, b"fine"))
        await client.until(lambda: client.got.get(other) == b"fine")


@pytest.mark.parametrize("how", ["reset", "go away", "close"])
async def test_a_client_that_is_through(how: str) -> None:
    """Its connections to the pod end."""
    ended = asyncio.Event()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read()
        ended.set()
        writer.close()

    async with forwarded(note) as client:
        stream, error = await client.connect(0)
        await client.until(lambda: client.got.get(stream) == b"hello")
        if how == "reset":
            await client.send(spdy.reset(stream, spdy.CANCEL))
            await client.until(lambda: error in client.ended)
        elif how == "go away":
            await client.send(spdy.go_away(stream, 0))
        else:
            await client.carrier.close()
        async with asyncio.timeout(10):
            await ended.wait()
        assert stream not in client.ended


@pytest.mark.parametrize(
    "headers",
    [
        {"streamtype": "stdin", "port": "80"},
        {"streamtype": "data", "port": "http"},
        {"streamtype": "data", "port": "65536"},
        {"streamtype": "error", "port": "0"},
        {"port": "80"},
        {},
    ],
)
async def test_streams_that_lead_nowhere(headers: dict[str, str]) -> None:
    """They are refused, and so is a second one of a kind; nothing is connected."""
    async with forwarded(echo) as client:
        stream = await client.open(**headers)
        await client.until(lambda: client.others)
        first, second = [await client.open(streamtype="data", port="80", requestid="1") for _ in range(2)]
        await client.until(lambda: len(client.others) == 3)
        refused, taken = spdy.RST_STREAM, spdy.SYN_REPLY
        assert client.others == [(refused, stream), (taken, first), (refused, second)]


SYN = struct.pack(">IIH", 1, 0, 0)


@pytest.mark.parametrize(
    ("kind", "version", "body"),
    [
        (spdy.SYN_STREAM, 0x8002, SYN),
        (spdy.SYN_STREAM, 0x8003, SYN + b"no zlib"),
        (spdy.SYN_STREAM, 0x8003, SYN + zlib.compress(b"\0\0\0\1")),
        (spdy.SYN_STREAM, 0x8003, SYN),
        (spdy.PING, 0x8003, b"\0"),
    ],
)
async def test_nonsense(kind: int, version: int, body: bytes) -> None:
    """The client is told that this is not the protocol, and the connection ends."""
    async with forwarded(echo) as client:
        await client.send(struct.pack(">HHI", version, kind, len(body)) + body)
        await client.until(lambda: client.others == [(spdy.GOAWAY, 0)])
        assert (await client.carrier.receive()).type is aiohttp.WSMsgType.CLOSE


def test_headers_that_swell() -> None:
    """A few bytes that stand for megabytes are refused before they are there."""
    packed = zlib.compressobj(zdict=spdy.DICTIONARY)
    body = SYN + packed.compress(bytes(8 << 20)) + packed.flush()
    with pytest.raises(spdy.Malformed, match="the headers exceed 65536 bytes"):
        list(spdy.Reader().feed(struct.pack(">HHI", 0x8003, spdy.SYN_STREAM, len(body)) + body))


async def test_refusals() -> None:
    """A pod that is not there, and a client that speaks no WebSocket."""
    async with forwarded(echo) as client:
        url = client.carrier.get_extra_info("peername")
        base = f"http://{url[0]}:{url[1]}"
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(base + PATH.replace("web", "other"), protocols=portforward.PROTOCOLS)
            assert caught.value.status == 404
            async with session.post(base + PATH) as answer:
                assert answer.status == 400 and "kubectl 1.31" in (await answer.json())["message"]
