"""The HTTP client for metric providers, webhooks and notifiers: one aiohttp session.

Bodies, redirects and time are limited. Error texts have only scheme, host and path of a URL, never user, password or
query.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import TracebackType
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from pyflagger.operator.process.proxies import Proxies
from pyflagger.wire import FailureKind, HttpAnswer, HttpFailure, HttpRequest, is_secret, shown_url

Rewrite = Callable[[str, int], tuple[str, int] | None]
"""(host, port) → where to connect instead; None leaves it to DNS. Raises LookupError when nothing answers there."""

CONNECTIONS_MAX = 1000
"""The maximum number of connections, high enough that slow webhooks of one canary never delay another canary."""

METADATA = tuple(ip_network(net) for net in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32"))
"""The addresses at which clouds serve a machine's credentials. No webhook or metric provider has such an address."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = frozenset({301, 302, 303})
_CHUNK = 16 * 1024
_NAT64 = ip_network("64:ff9b::/96")


class AiohttpHttp:
    """A `wire.Http`. Use as an async context manager, or call `close`.

    `rewrite` is called for every new connection to a host name and may also change the port. `proxies` defaults to the
    proxies of the environment.
    """

    def __init__(self, *, rewrite: Rewrite | None = None, proxies: Proxies | None = None) -> None:
        self._rewrite, self._proxies = rewrite, proxies or Proxies()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> AiohttpHttp:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. A later request opens a new session."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send a request and follow redirects. Raises HttpFailure."""
        try:
            async with asyncio.timeout(request.timeout):
                return await self._follow(request)
        except TimeoutError:
            raise HttpFailure("timeout", f"{_named(request)}: no answer within {request.timeout:g}s") from None

    async def _follow(self, request: HttpRequest) -> HttpAnswer:
        left = request.redirects
        while True:
            answer = await self._once(request)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location or request.redirects == 0:
                return answer
            if not left:
                raise HttpFailure("redirects", f"{_named(request)}: more than {request.redirects} redirects")
            left -= 1
            request = _redirected(request, answer.status, location)

    async def _once(self, request: HttpRequest) -> HttpAnswer:
        try:
            async with self._open().request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                ssl=request.verify,
                proxy=request.proxy or self._proxies.of(request.url),
                allow_redirects=False,
            ) as response:
                body = await _read(response, request)
                headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
                return HttpAnswer(response.status, body, headers)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                raise
            kind, text = _explained(error)
            raise HttpFailure(kind, f"{_named(request)}: {text}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = _Rewriting(self._rewrite) if self._rewrite else None
            connector = aiohttp.TCPConnector(
                resolver=resolver, use_dns_cache=resolver is None, limit=CONNECTIONS_MAX, socket_factory=_socket
            )
            # No netrc and no cookies: a request contains only the fields of its value.
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
                headers={"User-Agent": "pyflagger"},
            )
        return self._session


def _socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """Create the socket for a connection. This checks the address after DNS resolution and redirects."""
    family, kind, protocol, _, place = info
    if is_metadata(str(place[0])):
        text = f"{place[0]} is a cloud metadata address: flagger does not connect to it"
        raise OSError(errno.EACCES, text)
    return socket.socket(family, kind, protocol)


def is_metadata(host: str) -> bool:
    """Whether this is a cloud metadata address, in any notation."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or _translated(address) or address
    return any(address.version == net.version and address in net for net in METADATA)


def _translated(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside a NAT64 address."""
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


class _Rewriting(AbstractResolver):
    """A resolver that calls `rewrite` first and then DNS."""

    def __init__(self, rewrite: Rewrite) -> None:
        self._rewrite = rewrite
        self._fallback = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            known = self._rewrite(host, port)
        except LookupError as error:
            raise OSError(str(error)) from error
        if known is None:
            return await self._fallback.resolve(host, port, family)
        address, real_port = known
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=address, port=real_port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        await self._fallback.close()


async def _read(response: aiohttp.ClientResponse, request: HttpRequest) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > request.max_bytes:
            raise HttpFailure("too-large", f"{_named(request)}: the answer is larger than {request.max_bytes} bytes")
    return bytes(body)


def _redirected(request: HttpRequest, status: int, location: str) -> HttpRequest:
    """The request after a redirect. Credentials are not sent to another host."""
    try:
        url = urljoin(request.url, location)
        old, new = urlsplit(request.url), urlsplit(url)
        moved = _origin(old) != _origin(new)
    except ValueError:
        raise HttpFailure("redirects", f"{_named(request)}: redirects to an invalid URL") from None
    if new.scheme not in ("http", "https"):
        raise HttpFailure("redirects", f"{_named(request)}: redirects to {new.scheme or 'an empty'} scheme")
    rewrites = status in _SEE_OTHER and request.method not in ("GET", "HEAD")
    dropped = frozenset({"content-type", "content-length"}) if rewrites else frozenset()
    return replace(
        request,
        method="GET" if rewrites else request.method,
        url=url,
        headers=tuple(
            (name, value)
            for name, value in request.headers
            if name.lower() not in dropped and not (moved and is_secret(name, value, request))
        ),
        body=None if rewrites else request.body,
    )


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port


def _explained(error: Exception) -> tuple[FailureKind, str]:
    """The kind of a failure, and a text without data of the request."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "tls", f"certificate: {error.certificate_error}"
        case aiohttp.ClientSSLError():
            return "tls", f"TLS: {error.os_error.strerror or type(error.os_error).__name__}"
        case aiohttp.ClientConnectorDNSError():
            return "connect", f"cannot resolve {error.host}: {_reason(error.os_error)}"
        case aiohttp.ClientConnectorError():
            return "connect", _reason(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "connect", "the connection was closed without an answer"
        case OSError():
            return "connect", _reason(error)
        case aiohttp.ClientPayloadError():
            return "malformed", "the answer ended early"
        case aiohttp.InvalidURL():
            return "malformed", "the URL is invalid"
        case aiohttp.ClientResponseError():
            return "malformed", "the answer is not HTTP"
        case ValueError():
            return "malformed", "HTTP cannot express the request"
    return "malformed", type(error).__name__


def _reason(error: OSError) -> str:
    """The words of the system. asyncio replaces those of a refused connection by its own."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return error.strerror or str(error) or type(error).__name__


def _named(request: HttpRequest) -> str:
    return f"{request.method} {shown_url(request.url)}"
