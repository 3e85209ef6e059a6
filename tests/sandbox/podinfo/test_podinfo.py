"""The podinfo twin over real loopback sockets: paths, metrics, faults, and an end without a failed request."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from pyflagger.clock import Clock, SystemClock
from pyflagger_sandbox.podinfo import tokens
from pyflagger_sandbox.podinfo.options import BadFlag, Options, parse
from pyflagger_sandbox.podinfo.server import Podinfo
from pyflagger_sandbox.podinfo.telemetry import path_label

SEED = [
    *("--port=9898", "--port-metrics=9797", "--grpc-port=9999", "--grpc-service-name=podinfo", "--level=info"),
    *("--random-delay=false", "--random-error=false"),
]


@asynccontextmanager
async def serving(
    tag: str = "3.1.0",
    argv: list[str] | None = None,
    environ: dict[str, str] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[tuple[Podinfo, aiohttp.ClientSession, list[str]]]:
    """A podinfo on free ports, a session on its main port, and its log."""
    lines: list[str] = []
    options = parse(SEED if argv is None else argv, environ or {}, tag)
    podinfo = Podinfo(
        options,
        clock or SystemClock(),
        hostname="podinfo-abc",
        environ=environ,
        write=lines.append,
        real_port=lambda port: 0,
    )
    await podinfo.start()
    base = f"http://127.0.0.1:{podinfo.ports.get(options.port, 1)}"
    try:
        async with aiohttp.ClientSession(base) as session:
            yield podinfo, session, lines
    finally:
        await podinfo.stop()


async def test_index_tells_programs_what_runs_here() -> None:
    """`curl /` answers JSON in podinfo's order, with the tag as version."""
    async with serving() as (_, session, _lines), session.get("/") as answer:
        body = await answer.json()
        assert list(body)[:6] == ["hostname", "version", "revision", "color", "logo", "message"]
        assert body["hostname"] == "podinfo-abc"
        assert body["version"] == "3.1.0"
        assert body["message"] == "greetings from podinfo v3.1.0"
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_index_shows_browsers_a_page_in_its_colour() -> None:
    """A browser gets HTML, with what users set escaped."""
    environ = {"PODINFO_UI_COLOR": "#ff0000", "PODINFO_UI_MESSAGE": "<b>hi</b>"}
    async with serving(environ=environ) as (_, session, _lines):
        async with session.get("/", headers={"User-Agent": "Mozilla/5.0"}) as answer:
            page = await answer.text()
        assert answer.content_type == "text/html"
        assert "#ff0000" in page
        assert "<b>hi</b>" not in page


@pytest.mark.parametrize(
    ("method", "path", "status", "part"),
    [
        ("GET", "/version", 200, '"version": "3.1.0"'),
        ("GET", "/healthz", 200, '"status": "OK"'),
        ("GET", "/readyz", 200, '"status": "OK"'),
        ("GET", "/status/503", 503, '"status": 503'),
        ("GET", "/status/999", 200, '"code": 400'),
        ("GET", "/delay/0", 200, '"delay": 0'),
        ("POST", "/echo", 202, "test"),
        ("POST", "/api/echo", 202, "test"),
        ("PUT", "/echo/any/thing", 202, "test"),
        ("GET", "/headers", 200, '"X-Probe"'),
        ("GET", "/env", 200, "COLOR=red"),
        ("POST", "/token", 200, '"token": "'),
        ("GET", "/token/validate", 200, '"code": 401'),
        ("GET", "/nowhere", 404, ""),
        ("POST", "/version", 405, ""),
    ],
)
async def test_paths(method: str, path: str, status: int, part: str) -> None:
    """Every path answers as podinfo's does."""
    data = b"test" if method != "GET" else None
    async with serving(environ={"COLOR": "red"}) as (_, session, _lines):
        answer = await session.request(method, path, data=data, headers={"X-Probe": "1"})
        assert answer.status == status
        assert part in await answer.text()


async def test_acceptance_check_of_the_walkthrough() -> None:
    """`curl -sd 'test' …/token | grep token` finds a token, and the token is good."""
    async with serving() as (_, session, _lines):
        answer = await session.post("/token", data="test")
        token = (await answer.json())["token"]
        async with session.get("/token/validate", headers={"Authorization": f"Bearer {token}"}) as answer:
            assert (await answer.json())["token_name"] == "test"
        async with session.get("/token/validate", headers={"Authorization": f"Bearer {token}x"}) as answer:
            assert (await answer.json())["code"] == 401


def test_tokens_expire_and_cannot_be_forged() -> None:
    """A token is good for a minute and for its issuer only."""
    token, expires = tokens.issue("me", 1000.0)
    assert tokens.check(token, 1059.0) == ("me", expires)
    with pytest.raises(tokens.TokenRefused, match="expired"):
        tokens.check(token, 1061.0)
    for forged in ("", "a.b.c", token[:-2], "x" + token):
        with pytest.raises(tokens.TokenRefused):
            tokens.check(forged, 1000.0)


async def test_readiness_can_be_switched() -> None:
    """`/readyz/disable` takes the pod out, `/readyz/enable` brings it back; liveness is another thing."""
    async with serving() as (_, session, _lines):
        for path, ready in (("/readyz/disable", 503), ("/readyz/enable", 200)):
            async with session.post(path) as answer:
                assert answer.status == 202
            async with session.get("/readyz") as answer:
                assert answer.status == ready
            async with session.get("/healthz") as answer:
                assert answer.status == 200


async def test_metrics_have_podinfos_names_and_labels() -> None:
    """Counter by status, histogram by method, path and status, on both ports, without creation times."""
    async with serving() as (podinfo, session, _lines):
        for path in ("/", "/status/500", "/status/500", "/delay/0"):
            await (await session.get(path)).read()
        async with session.get("/metrics") as answer:
            page = await answer.text()
        async with session.get(f"http://127.0.0.1:{podinfo.ports[9797]}/metrics") as answer:
            assert 'http_requests_total{status="200"} 3.0' in await answer.text()
    assert 'http_requests_total{status="500"} 2.0' in page
    assert 'http_request_duration_seconds_count{method="GET",path="root",status="200"} 1.0' in page
    assert 'http_request_duration_seconds_count{method="GET",path="status",status="500"} 2.0' in page
    assert 'http_request_duration_seconds_bucket{le="0.005",method="GET",path="root",status="200"} ' in page
    assert "_created" not in page


@pytest.mark.parametrize(
    ("template", "label"),
    [("/", "root"), ("/readyz/enable", "readyz_enable"), ("/A//b-c/", "a_b_c"), ("delay", "delay")],
)
def test_path_labels(template: str, label: str) -> None:
    """Paths become labels as podinfo makes them."""
    assert path_label(template) == label


async def test_instances_count_for_themselves() -> None:
    """Two pods in one process share no series."""
    async with serving() as (one, session, _a), serving() as (_, other, _b):
        await (await session.get("/")).read()
        async with other.get("/metrics") as answer:
            assert "http_requests_total{" not in await answer.text()
        assert one.ports[9898] != 9898


async def test_grpc_port_takes_connections() -> None:
    """The gRPC port is open and silent."""
    async with serving() as (podinfo, _, _lines):
        reader, writer = await asyncio.open_connection("127.0.0.1", podinfo.ports[9999])
        writer.write(b"PRI")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()


async def test_a_faulty_version_fails_visitors_but_not_probes() -> None:
    """A tag ending in `-errors` fails about every third request, with podinfo's three codes; probes stay good."""
    async with serving("3.1.3-errors") as (_, session, _lines):
        codes = [(await session.get("/")).status for _ in range(200)]
        probes = {(await session.get("/readyz")).status for _ in range(30)}
    assert set(codes) == {200, 400, 409, 500}
    assert 30 < sum(code != 200 for code in codes) < 110
    assert probes == {200}


class Gate(SystemClock):
    """A clock whose sleeps last until the gate is opened."""

    def __init__(self) -> None:
        self.entered, self.open = asyncio.Event(), asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.entered.set()
        await self.open.wait()


async def test_drained_and_stopped_without_a_failed_request() -> None:
    """Unready at once, still serving; a request under way when the listeners close is finished."""
    gate = Gate()
    async with serving(clock=gate) as (podinfo, session, _lines):
        podinfo.drain()
        async with session.get("/readyz") as answer:
            assert answer.status == 503
        async with session.get("/version") as answer:
            assert answer.status == 200
            assert answer.headers["Connection"] == "close"
        slow = asyncio.create_task(session.get("/delay/1"))
        await gate.entered.wait()
        stopping = asyncio.create_task(podinfo.stop())
        while not stopping.done():
            try:
                await (await session.get("/version", timeout=aiohttp.ClientTimeout(total=20))).read()
            except aiohttp.ClientConnectionError:
                break
        assert not stopping.done()
        gate.open.set()
        assert (await slow).status == 200
        await stopping
        assert await podinfo.wait() == 0


async def test_panic_ends_the_process() -> None:
    """`/panic` exits with 255."""
    async with serving() as (podinfo, session, lines):
        await session.get("/panic")
        assert await podinfo.wait() == 255
        assert any("Panic" in line for line in lines)


async def test_a_version_that_crashes_never_listens() -> None:
    """A tag ending in `-crash` exits with 1 at the start."""
    async with serving("1.0-crash") as (podinfo, _, _lines):
        assert await podinfo.wait() == 1
        assert not podinfo.ports


async def test_log_says_what_was_not_understood() -> None:
    """An unknown flag is accepted and named; lines are JSON with level and message."""
    async with serving(argv=["--port=9898", "--no-such=1", "--config-path=/x"]) as (_, _session, lines):
        first = json.loads(lines[0])
        assert (first["level"], first["msg"]) == ("warn", "unknown flag: --no-such")
        assert json.loads(lines[1])["version"] == "3.1.0"
        assert "config-path" not in "".join(lines)


async def test_log_level_is_honoured() -> None:
    """`--level=error` keeps the start quiet."""
    async with serving(argv=["--level=error"]) as (_, _session, lines):
        assert lines == []


@pytest.mark.parametrize(
    ("argv", "environ", "tag", "wanted"),
    [
        ([], {}, "3.1.0", Options("3.1.0", ui_message="greetings from podinfo v3.1.0")),
        (["--port", "80"], {"PODINFO_PORT": "81"}, "1", Options("1", port=80, ui_message="greetings from podinfo v1")),
        ([], {"PODINFO_UI_MESSAGE": "hi"}, "1", Options("1", ui_message="hi")),
        (
            [],
            {"PODINFO_RANDOM_ERROR": "true", "PODINFO_UI_MESSAGE": "x"},
            "1",
            Options("1", ui_message="x", random_error=True),
        ),
        (["--random-error"], {"PODINFO_UI_MESSAGE": "x"}, "1", Options("1", ui_message="x", random_error=True)),
        (["--unready", "--ui-message=x"], {}, "1", Options("1", ui_message="x", unready=True)),
        (
            ["--random-error=false"],
            {"PODINFO_UI_MESSAGE": "x"},
            "2-errors",
            Options("2-errors", ui_message="x", random_error=True),
        ),
        ([], {"PODINFO_UI_MESSAGE": "x"}, "errors", Options("errors", ui_message="x")),
    ],
)
def test_options(argv: list[str], environ: dict[str, str], tag: str, wanted: Options) -> None:
    """The tag's fault over a flag over its variable over the default."""
    assert parse(argv, environ, tag) == wanted


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["--port=http"], '"http" for "--port"'),
        (["--random-error=maybe"], '"--random-error"'),
        (["--random-delay-min=9"], "random-delay-max"),
        (["--random-delay-unit=h"], "s|ms"),
        (["--server-shutdown-timeout=soon"], "server-shutdown-timeout"),
    ],
)
def test_bad_flags_are_named(argv: list[str], part: str) -> None:
    """A value that podinfo would refuse is refused, with the flag's name."""
    with pytest.raises(BadFlag, match=re.escape(part)):
        parse(argv, {}, "1")
