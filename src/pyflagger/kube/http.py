"""A Transport over aiohttp to a real API server, with the discovery of its address and credentials.

In-cluster tokens are reread as they rotate. A kubeconfig is reread after the API server refuses its user.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import aiohttp

from pyflagger import __version__
from pyflagger.clock import Clock
from pyflagger.kube.kubeconfig import CURRENT, Access, Choice, Login, NoCluster, access, read
from pyflagger.kube.protocol import ApiAnswer, ApiRequest, ApiStream, TransportError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS_MAX = 60.0
CALLS_MAX = 12
"""Concurrent calls, without watches. More only queue at the API server, and each connection holds TLS buffers."""
LINE_MAX = 8 << 20
UNAUTHORIZED = 401
BODY_MAX = 256 << 20
"""Bytes of one answer. A page of 500 large objects is far smaller; no API server sends more."""

Headers = Callable[[], Awaitable[Mapping[str, str]]]


async def _anonymous() -> Mapping[str, str]:
    return {}


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server: base URL, TLS settings (None: plain http or the system's), headers computed for each call.

    `server_name` is the name that its certificate must have (None: that of the URL). `proxy` is the URL of an HTTP
    proxy. The transport calls `refused` after an answer of 401. `impersonated`: headers that every call has besides.
    """

    url: str
    tls: ssl.SSLContext | None = None
    headers: Headers = field(default=_anonymous)
    refused: Callable[[], None] = field(default=_nothing)
    server_name: str | None = None
    proxy: str | None = None
    impersonated: Sequence[tuple[str, str]] = ()

    def heed(self, status: int) -> None:
        """Note the status of an answer."""
        if status == UNAUTHORIZED:
            self.refused()


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
        return [*headers.items(), *self._endpoint.impersonated]

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


async def find(kubeconfig: str, master: str, clock: Clock) -> Endpoint:
    """The API server of a kubeconfig, of an address, or of the pod's own cluster. Raises NoCluster."""
    source = "-kubeconfig" if kubeconfig else "the variable KUBECONFIG"
    kubeconfig = kubeconfig or ("" if master else os.environ.get("KUBECONFIG", ""))
    if kubeconfig:
        if not _some_exist(kubeconfig):
            raise NoCluster(f"kubeconfig {kubeconfig} does not exist: correct {source}")
        found = await access(kubeconfig)
        login = Login(kubeconfig, found, clock)
        name, proxy = found.server_name or None, found.proxy or None
        return Endpoint(master.rstrip("/") or found.url, _tls(found), login.headers, login.refused, name, proxy)
    if master:
        return Endpoint(master.rstrip("/"))
    return _in_cluster(clock)


class Person(NamedTuple):
    """How a person reaches a cluster: the flags that kubectl has too. Empty texts mean that the flag is not set.

    `impersonated` is the user to act as, and `groups` are its groups.
    """

    kubeconfig: str = ""
    choice: Choice = CURRENT
    impersonated: str = ""
    groups: tuple[str, ...] = ()


class Reached(NamedTuple):
    """The API server of a person, the name of the context, and the namespace of commands that name none."""

    endpoint: Endpoint
    context: str
    namespace: str


async def reach(person: Person, clock: Clock) -> Reached:
    """The API server that kubectl would use: by the flags, KUBECONFIG, `~/.kube/config`, or the pod's own.

    Raises NoCluster.
    """
    usual = Path.home() / ".kube" / "config"
    path = person.kubeconfig or os.environ.get("KUBECONFIG", "") or (str(usual) if usual.exists() else "")
    if not path:
        return Reached(_as(person, _in_cluster(clock)), "", (ACCOUNT / "namespace").read_text().strip())
    if not _some_exist(path):
        raise NoCluster(f"kubeconfig {path} does not exist: correct --kubeconfig or the variable KUBECONFIG")
    found = await read(path, person.choice)
    login = Login(path, found, clock, partial(read, choice=person.choice))
    name, proxy = found.server_name or None, found.proxy or None
    endpoint = Endpoint(found.url, _tls(found), login.headers, login.refused, name, proxy)
    return Reached(_as(person, endpoint), found.context, found.namespace or "default")


def _as(person: Person, endpoint: Endpoint) -> Endpoint:
    """The endpoint with the headers of impersonation."""
    users = [("Impersonate-User", person.impersonated)] if person.impersonated else []
    return replace(endpoint, impersonated=(*users, *(("Impersonate-Group", group) for group in person.groups)))


def _some_exist(paths: str) -> bool:
    """Whether one of the files exists: KUBECONFIG can name several."""
    return any(os.path.exists(path) for path in paths.split(os.pathsep))


def _tls(found: Access) -> ssl.SSLContext | None:
    if not found.url.startswith("https"):
        return None
    context = ssl.create_default_context(cadata=found.authority or None)
    if not found.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if found.certificate:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
            both.write(f"{found.certificate}\n{found.key}")
            both.flush()
            context.load_cert_chain(both.name)
    return context


def _in_cluster(clock: Clock) -> Endpoint:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (ACCOUNT / "token").exists():
        raise NoCluster("no cluster: set -kubeconfig or -master, or run in a pod with a service account")
    address = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    return Endpoint(f"https://{address}:{port}", tls, _rotating_token(ACCOUNT / "token", clock))


def _rotating_token(path: Path, clock: Clock) -> Headers:
    token, read_at = "", float("-inf")

    def read() -> str:
        nonlocal token, read_at
        if clock.monotonic() - read_at > TOKEN_SECONDS_MAX:
            token, read_at = path.read_text().strip(), clock.monotonic()
        return token

    async def headers() -> Mapping[str, str]:
        return {"Authorization": f"Bearer {read()}"}

    return headers
