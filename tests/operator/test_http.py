"""The way out over HTTP, against servers on loopback: bounds, redirects, failures, proxies, names."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from pyflagger.clock import SystemClock
from pyflagger.operator.process.http import AiohttpHttp, is_metadata
from pyflagger.operator.process.proxies import Proxies
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers that answer everything by a handler; gives their URLs."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler, context: ssl.SSLContext | None = None) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[AiohttpHttp]:
    """A client without proxies."""
    async with AiohttpHttp(proxies=Proxies({})) as client:
        yield client


async def failure(http: AiohttpHttp, request: HttpRequest) -> HttpFailure:
    """The failure that a request ends in."""
    with pytest.raises(HttpFailure) as caught:
        await http.send(request)
    return caught.value


async def echo(request: web.Request) -> web.Response:
    """Tells what was asked."""
    told = {
        "method": request.method,
        "path": request.path_qs,
        "body": (await request.read()).decode(),
        "headers": [[name.lower(), value] for name, value in request.headers.items()],
    }
    return web.json_response(told)


def told(answer: HttpAnswer) -> dict[str, object]:
    """What `echo` tells."""
    found: dict[str, object] = json.loads(answer.body)
    return found


async def test_a_request_as_it_is(http: AiohttpHttp, serve: Serve) -> None:
    """Method, path, query, body and every header arrive; nothing of ours but the agent is added."""
    url = await serve(echo)
    headers = (("X-A", "1"), ("X-A", "2"), ("Content-Type", "text/x"))
    answer = await http.send(HttpRequest("POST", f"{url}/a/b?q=a%2Bb%20c&r=1", headers, b"hello"))
    seen = told(answer)
    assert (answer.status, seen["method"], seen["body"]) == (200, "POST", "hello")
    assert str(seen["path"]).startswith("/a/b?q=a%2Bb")
    assert [value for name, value in seen["headers"] if name == "x-a"] == ["1", "2"]  # type: ignore[attr-defined]
    assert ["user-agent", "pyflagger"] in seen["headers"]  # type: ignore[operator]
    assert not {"cookie", "authorization"} & {name for name, _ in seen["headers"]}  # type: ignore[attr-defined]
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("status", [204, 304, 400, 404, 500, 503])
async def test_every_status_is_an_answer(http: AiohttpHttp, serve: Serve, status: int) -> None:
    """Only a missing answer is a failure."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status)

    assert (await http.send(HttpRequest("GET", await serve(handler)))).status == status


async def test_bodies_are_bounded(http: AiohttpHttp, serve: Serve) -> None:
    """A body up to the bound is read, a larger one is given up while it comes, compressed ones by their full size."""
    packed = web.Response(body=b"x" * 2_000_000)
    packed.enable_compression()
    answers = {"/fits": web.Response(body=b"x" * 1000), "/large": web.Response(body=b"x" * 1001), "/packed": packed}

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path in answers:
            return answers[request.path]
        endless = web.StreamResponse()
        await endless.prepare(request)
        while True:
            await endless.write(b"x" * 4096)

    url = await serve(handler)
    assert len((await http.send(HttpRequest("GET", f"{url}/fits", max_bytes=1000))).body) == 1000
    for path in ("/large", "/packed", "/endless"):
        assert (await failure(http, HttpRequest("GET", f"{url}{path}", max_bytes=1000))).kind == "too-large"


async def test_a_bomb_is_given_up_before_it_bursts(http: AiohttpHttp, serve: Serve) -> None:
    """A compressed body that would unpack to a gigabyte costs a few megabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    bomb = b"".join(packer.compress(block) for _ in range(256)) + packer.flush()

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    request = HttpRequest("GET", await serve(handler))
    tracemalloc.start()
    try:
        assert (await failure(http, request)).kind == "too-large"
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
async def test_an_answer_that_trickles(http: AiohttpHttp, unused_tcp_port: int, drip: bytes) -> None:
    """A byte now and then does not keep us: the whole exchange has one limit of time."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(drip)
        with contextlib.suppress(OSError):
            while not writer.is_closing():
                writer.write(b"a")
                await writer.drain()
                await SystemClock().sleep(0.02)
        writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", unused_tcp_port):
        request = HttpRequest("GET", f"http://127.0.0.1:{unused_tcp_port}/", timeout=0.3)
        assert (await failure(http, request)).kind == "timeout"
        await http.close()


async def test_a_flood_of_headers(http: AiohttpHttp, serve: Serve) -> None:
    """More headers than anybody needs are no answer."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(headers={f"X-{number}": "a" for number in range(5000)})

    assert (await failure(http, HttpRequest("GET", await serve(handler)))).kind == "malformed"


@pytest.mark.parametrize(
    ("status", "method", "want"),
    [
        (301, "POST", ("GET", "")),
        (302, "POST", ("GET", "")),
        (303, "POST", ("GET", "")),
        (303, "HEAD", ("HEAD", "")),
        (307, "POST", ("POST", "hello")),
        (308, "POST", ("POST", "hello")),
        (302, "GET", ("GET", "")),
    ],
)
async def test_redirects(http: AiohttpHttp, serve: Serve, status: int, method: str, want: tuple[str, str]) -> None:
    """301, 302 and 303 turn into GET without a body; 307 and 308 repeat the request; a relative place is understood."""
    seen: list[tuple[str, str, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/a/old":
            return web.Response(status=status, headers={"Location": "../new?x=1"})
        seen.append((request.method, (await request.read()).decode(), request.headers.get("Content-Type")))
        return web.Response()

    url = await serve(handler)
    body = b"hello" if method == "POST" else None
    headers = (("Content-Type", "text/x"),) if body else ()
    answer = await http.send(HttpRequest(method, f"{url}/a/old", headers, body))
    assert answer.status == 200
    assert [(got, sent) for got, sent, _ in seen] == [want]
    assert (seen[0][2] == "text/x") == (want[1] == "hello")


async def test_redirects_are_bounded(http: AiohttpHttp, serve: Serve) -> None:
    """So many are followed and not one more; none when none are wanted."""
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        left = int(request.path[1:])
        return web.Response(status=302, headers={"Location": f"/{left - 1}"}) if left else web.Response()

    url = await serve(handler)
    assert (await http.send(HttpRequest("GET", f"{url}/3", redirects=3))).status == 200
    assert (await failure(http, HttpRequest("GET", f"{url}/4", redirects=3))).kind == "redirects"
    count = 0
    assert (await http.send(HttpRequest("GET", f"{url}/4", redirects=0))).status == 302
    assert count == 1


async def test_secrets_do_not_follow_to_another_host(http: AiohttpHttp, serve: Serve) -> None:
    """Authorization, keys and the values of a Secret stay within the origin."""
    other = await serve(echo)

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/away":
            return web.Response(status=307, headers={"Location": f"{other}/there"})
        if request.path == "/stay":
            return web.Response(status=307, headers={"Location": "/here"})
        return await echo(request)

    url = await serve(handler)
    keys = (("DD-API-KEY", "hunter2"), ("X-SF-Token", "hunter2"), ("X-Login", "hunter2"))
    headers = (("Authorization", "Bearer hunter2"), ("Cookie", "a=b"), ("X-Kept", "1"), *keys)
    away = told(await http.send(HttpRequest("GET", f"{url}/away", headers, secrets=("hunter2",))))
    stay = told(await http.send(HttpRequest("GET", f"{url}/stay", headers)))
    assert "hunter2" not in str(away)
    assert ["cookie", "a=b"] not in away["headers"]  # type: ignore[operator]
    assert ["x-kept", "1"] in away["headers"]  # type: ignore[operator]
    assert ["authorization", "Bearer hunter2"] in stay["headers"]  # type: ignore[operator]


@pytest.mark.parametrize("place", ["ftp://x/y", "file:///etc/passwd", "http://[::1"])
async def test_redirects_out_of_http(http: AiohttpHttp, serve: Serve, place: str) -> None:
    """Only http and https are followed."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": place})

    assert (await failure(http, HttpRequest("GET", await serve(handler)))).kind == "redirects"


async def test_time_is_bounded(http: AiohttpHttp, serve: Serve) -> None:
    """The whole exchange has the time, redirects and slow bodies included; the text names no query."""

    async def handler(request: web.Request) -> web.StreamResponse:
        slow = web.StreamResponse()
        await slow.prepare(request)
        await asyncio.Event().wait()
        return slow

    found = await failure(http, HttpRequest("GET", f"{await serve(handler)}/slow?token=hunter2", timeout=0.05))
    assert found.kind == "timeout"
    assert "/slow: no answer within 0.05s" in str(found)
    assert "hunter2" not in str(found)


async def test_nobody_there(http: AiohttpHttp, unused_tcp_port: int) -> None:
    """A refused connection; login and query stay out of the text."""
    found = await failure(http, HttpRequest("GET", f"http://me:hunter2@127.0.0.1:{unused_tcp_port}/x?t=hunter2"))
    assert found.kind == "connect"
    assert str(found).startswith(f"GET http://127.0.0.1:{unused_tcp_port}/x: ")
    assert "hunter2" not in str(found)


async def raw(reply: bytes) -> tuple[asyncio.Server, str]:
    """A server that sends these bytes to whoever connects, and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", "connect"),
        (b"SSH-2.0-OpenSSH\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "malformed"),
    ],
)
async def test_broken_answers(http: AiohttpHttp, reply: bytes, kind: str) -> None:
    """What is no HTTP, or ends early, is a failure that says so."""
    server, url = await raw(reply)
    async with server:
        assert (await failure(http, HttpRequest("GET", url))).kind == kind


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "http://[::1", "http://x:y/", "ftp://127.0.0.1/"])
async def test_no_such_url(http: AiohttpHttp, url: str) -> None:
    """What is no URL is a failure like others, never another exception."""
    assert (await failure(http, HttpRequest("GET", url))).kind == "malformed"


@pytest.mark.parametrize("header", [("A", "x\r\nB: y"), ("A\nB", "x"), ("A", "x\0")])
async def test_headers_cannot_smuggle(http: AiohttpHttp, serve: Serve, header: tuple[str, str]) -> None:
    """A header that would become two is not sent."""
    found = await failure(http, HttpRequest("GET", await serve(echo), (header,)))
    assert found.kind == "malformed"


async def test_the_session_is_shared_and_reopened(serve: Serve) -> None:
    """Connections are kept between requests; a closed client opens anew."""
    peers: list[object] = []

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.append(request.transport.get_extra_info("peername"))
        return web.Response()

    url = await serve(handler)
    client = AiohttpHttp(proxies=Proxies({}))
    await client.send(HttpRequest("GET", url))
    await client.send(HttpRequest("GET", url))
    await client.close()
    await client.close()
    await client.send(HttpRequest("GET", url))
    await client.close()
    assert peers[0] == peers[1] != peers[2]


async def test_nobody_waits_for_others(http: AiohttpHttp, serve: Serve) -> None:
    """A hundred and fifty requests without an answer do not hold up the next one."""
    waiting, all_there = 0, asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        nonlocal waiting
        if request.path == "/quick":
            return web.Response()
        waiting += 1
        if waiting == 150:
            all_there.set()
        await asyncio.Event().wait()
        return web.Response()

    url = await serve(handler)
    stuck = [asyncio.ensure_future(http.send(HttpRequest("GET", f"{url}/stuck", timeout=60))) for _ in range(150)]
    await all_there.wait()
    assert (await http.send(HttpRequest("GET", f"{url}/quick"))).status == 200
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)


async def test_names_of_the_cluster(serve: Serve) -> None:
    """A name may lead to another host and port; the Host header stays; a name that nothing answers for is told."""
    url = await serve(echo)
    real = int(url.rpartition(":")[2])

    def rewrite(host: str, port: int) -> tuple[str, int] | None:
        if host == "gone.test":
            raise LookupError("service gone.test has no ready endpoint")
        return ("127.0.0.1", real) if (host, port) == ("cart.test", 9898) else None

    async with AiohttpHttp(rewrite=rewrite, proxies=Proxies({})) as client:
        seen = told(await client.send(HttpRequest("GET", "http://cart.test:9898/")))
        assert ["host", "cart.test:9898"] in seen["headers"]  # type: ignore[operator]
        assert (await client.send(HttpRequest("GET", f"http://localhost:{real}/"))).status == 200
        gone = await failure(client, HttpRequest("GET", "http://gone.test:80/"))
    assert gone.kind == "connect"
    assert "no ready endpoint" in str(gone)


@pytest.fixture
def certified(tmp_path: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody knows."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=here"]
    try:
        subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def test_tls(certified: ssl.SSLContext, http: AiohttpHttp, serve: Serve) -> None:
    """An unknown certificate is refused, unless verification is off; plain HTTP on a TLS port is a TLS failure."""
    secure, plain = await serve(echo, certified), await serve(echo)
    assert (await failure(http, HttpRequest("GET", secure))).kind == "tls"
    assert (await http.send(HttpRequest("GET", secure, verify=False))).status == 200
    assert (await failure(http, HttpRequest("GET", plain.replace("http:", "https:"), verify=False))).kind == "tls"


async def test_a_proxy_is_used(serve: Serve) -> None:
    """A host that is not direct is asked through the proxy."""
    proxy = await serve(echo)
    async with AiohttpHttp(proxies=Proxies({"http": proxy, "no": "direct.example"})) as client:
        seen = told(await client.send(HttpRequest("GET", "http://hooks.example/x")))
    assert ["host", "hooks.example"] in seen["headers"]  # type: ignore[operator]


async def test_a_request_has_a_proxy_of_its_own(serve: Serve) -> None:
    """It replaces the environment's, also after a redirect."""
    proxy = await serve(echo)
    async with AiohttpHttp(proxies=Proxies({"http": "http://127.0.0.1:1"})) as client:
        seen = told(await client.send(HttpRequest("GET", "http://hooks.example/x", proxy=proxy)))
    assert ["host", "hooks.example"] in seen["headers"]  # type: ignore[operator]


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "[fd00:ec2::254]", "[fe80::1]"),
        *("[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "2852039166", "0xa9fea9fe"),
        "metadata.example",
    ],
)
@pytest.mark.parametrize("way", ["asked for", "redirected to"])
async def test_nobody_asks_for_a_machine_s_credentials(serve: Serve, host: str, way: str) -> None:
    """Whatever way the address is written, by name or by a redirect: no connection is tried, and the text says why."""
    seen: list[str] = []

    def rewrite(name: str, port: int) -> tuple[str, int] | None:
        seen.append(name)
        return ("169.254.169.254", port) if "." not in name.removesuffix(".example") else None

    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://{host}/latest/meta-data/iam/")

    start = await serve(redirect)
    url = f"http://{host}/latest" if way == "asked for" else start
    async with AiohttpHttp(proxies=Proxies({}), rewrite=rewrite) as client:
        found = await failure(client, HttpRequest("GET", url, timeout=2))
    assert found.kind in ("connect", "malformed")
    assert "is a cloud metadata address" in str(found) or "the URL is invalid" in str(found), str(found)


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        *((host, True) for host in ("169.254.0.1", "fe80::1%eth0", "::ffff:100.100.100.200", "fd00:ec2::254")),
        *((host, False) for host in ("10.0.0.1", "127.0.0.1", "fd00:ec2::253", "::1", "64:ff9b::a00:1", "a.b", "")),
    ],
)
def test_which_addresses_those_are(host: str, is_one: bool) -> None:
    """Link-local ones and those that clouds document; no other."""
    assert is_metadata(host) is is_one
