"""A Transport over aiohttp to a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import aiohttp

from pyflagger import __version__
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, TransportError
from pyflagger.kube.reach import Endpoint

CALLS_MAX = 12
"""Concurrent calls, without watches. More only queue at the API server, and each connection holds TLS buffers."""
LINE_MAX = 8 << 20
BODY_MAX = 256 << 20
"""Bytes of one answer. A page of 500 large objects is far smaller; no API server sends more."""


class AiohttpTransport:
    """Calls share a bounded number of connections. Each watch has its own.

    `limit`: the seconds that each call may take, instead of its own limit.
    """

    def __init__(
        self, endpoint: Endpoint, user_agent: str = f"flagger/{__version__}", limit: float | None = None
    ) -> None:
        self._endpoint, self._agent, self._limit = endpoint, user_agent, limit
        self._slots = asyncio.Semaphore(CALLS_MAX)
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = self._endpoint.tls if self._endpoint.tls is not None else True
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=tls, keepalive_timeout=75),
                timeout=aiohttp.ClientTimeout(total=None, connect=10),
                headers={"User-Agent": self._agent},
                proxy=self._endpoint.proxy,
                cookie_jar=aiohttp.DummyCookieJar(),  # One connection may serve many users.
                read_bufsize=1 << 18,
                max_line_size=LINE_MAX,
            )
        return self._session

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _headers(self, request: ApiRequest) -> list[tuple[str, str]]:
        """The request's headers. Outside the call's timeout, as an auth plug-in may fetch a token first."""
        headers = {"Accept": request.accept, **await self._endpoint.headers()}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return [*headers.items(), *self._endpoint.impersonated, *request.headers]

    async def _ask(self, request: ApiRequest, headers: Sequence[tuple[str, str]]) -> aiohttp.ClientResponse:
        """Send a request. The caller reads the body and releases the answer."""
        answer = await self._open().request(
            request.method,
            self._endpoint.url + request.path,
            params=request.query,
            data=request.body,
            headers=headers,
            allow_redirects=False,
            server_hostname=self._endpoint.server_name,
        )
        self._endpoint.heed(answer.status)
        return answer

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Make a call. Raises TransportError when there is no answer."""
        with _named(self._limit or request.timeout):
            headers = await self._headers(request)
            async with (
                self._slots,
                asyncio.timeout(self._limit or request.timeout),
                await self._ask(request, headers) as answer,
            ):
                return ApiAnswer(answer.status, _lower(answer.headers), await _whole(answer))

    @asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[ApiStream]:
        """Open a watch. Raises TransportError when there is no answer."""
        with _named(self._limit or request.timeout):
            headers = await self._headers(request)
            async with asyncio.timeout(self._limit or request.timeout):
                answer = await self._ask(request, headers)
                body = await _whole(answer) if answer.status >= 300 else b""
        try:
            yield ApiStream(answer.status, _lower(answer.headers), lines_of(answer.content), body)
        finally:
            answer.close()


@contextmanager
def _named(seconds: float) -> Iterator[None]:
    """Turn timeouts and connection errors into TransportError."""
    try:
        yield
    except TimeoutError:
        raise TransportError(f"no answer within {seconds:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(str(error) or type(error).__name__) from error


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > BODY_MAX:
            raise TransportError(f"the answer is larger than {BODY_MAX} bytes")
    return bytes(body)


class Chunks(Protocol):
    """The part of aiohttp's StreamReader that is used here."""

    def iter_any(self) -> AsyncIterator[bytes]:
        """Chunks of any size."""


async def lines_of(content: Chunks) -> AsyncIterator[bytes]:
    """The complete lines of a stream; a last line without a newline is dropped. Raises TransportError."""
    rest = b""
    try:
        async for chunk in content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
            if len(rest) > LINE_MAX:
                raise TransportError(f"a watch event is larger than {LINE_MAX} bytes")
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(str(error) or type(error).__name__) from error


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
