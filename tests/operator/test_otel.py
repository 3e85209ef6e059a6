"""The export of traces: a receiver on loopback gets them, and a receiver that does not work delays nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.exporter.otlp.common import http as exporting
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pyflagger.clock import SystemClock
from pyflagger.operator import otel
from pyflagger.operator.otel import NOT_INSTALLED, Traces, endpoint
from pyflagger.operator.spectator import Spectator
from pyflagger.operator.tracing import Span, Tracing

# A thread of the exporter may outlive its test by some seconds. Hypothesis refuses a test during which Python's own
# generator is used, so the exporter gets another one.
vars(exporting).update(random=random.Random(0))

CLOCK = SystemClock()
RELEASE = Span("release test/web", 7 << 100, 5, 0, 100.0, 130.5, {"k8s.namespace.name": "test", "flagger.checks": 2})
STEP = Span("weight 10", 7 << 100, 6, 5, 101.0, 110.0, {}, "no values found")


class Log:
    """Keeps levels and texts."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda text, error="": self.lines.append((level, f"{text}{error and ': '}{error}"))


@asynccontextmanager
async def receiver(*, answers: bool = True) -> AsyncIterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """An OTLP receiver; its address and what it got. One that does not answer keeps the request open."""
    got: list[ExportTraceServiceRequest] = []
    closing = asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        assert (request.path, request.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
        assert request.headers["X-Team"] == "shop"
        got.append(ExportTraceServiceRequest.FromString(await request.read()))
        if not answers:
            await closing.wait()
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    finally:
        closing.set()
        await runner.cleanup()


def started(monkeypatch: pytest.MonkeyPatch, url: str) -> tuple[Traces, Log]:
    """Traces as `flagger run` starts them, with the standard variables."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": "X-Team=shop"}
    environ |= {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    log = Log()
    return Traces(environ, CLOCK, log, "1.2.3"), log


def sink(traces: Traces) -> Any:
    """Where spans go."""
    assert isinstance(traces.spectator, Tracing)
    return traces.spectator._sink


async def test_a_receiver_gets_the_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, identifiers, times, attributes and errors; the resource says which service."""
    async with receiver() as (url, got):
        traces, log = started(monkeypatch, url)
        assert log.lines == [("info", "sending traces of releases by OTLP")]
        for span in (STEP, RELEASE):
            sink(traces)(span)
        await traces.close()
        await traces.close()
    (resource,) = got[0].resource_spans
    about = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (about["service.name"], about["service.version"]) == ("flagger", "1.2.3")
    assert about["deployment.environment"] == "test"
    step, release = resource.scope_spans[0].spans
    assert (release.name, release.parent_span_id, step.parent_span_id) == (RELEASE.name, b"", release.span_id)
    assert release.trace_id == step.trace_id == (7 << 100).to_bytes(16, "big")
    assert (release.start_time_unix_nano, release.end_time_unix_nano) == (100 * 10**9, 1305 * 10**8)
    assert (step.status.message, step.status.code, release.status.code) == ("no values found", 2, 1)
    assert {each.key for each in release.attributes} == {"k8s.namespace.name", "flagger.checks"}


async def test_a_receiver_that_hangs_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans beyond the queue are dropped, and a shutdown waits for a bounded time only."""
    monkeypatch.setattr(otel, "FLUSH_SECONDS", 0.2)
    async with receiver(answers=False) as (url, got):
        traces, _ = started(monkeypatch, url)
        began = CLOCK.monotonic()
        for _ in range(5000):
            sink(traces)(STEP)
        await traces.close()
        assert CLOCK.monotonic() - began < 5
        assert len(got) <= 2


async def test_a_failure_is_a_line_of_the_log_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own reports do not go to standard error."""
    traces, log = started(monkeypatch, "http://me:s3cret@127.0.0.1:9")
    monkeypatch.setattr(otel, "FLUSH_SECONDS", 0.2)
    sink(traces)(STEP)
    await traces.close()
    logging.getLogger("opentelemetry.exporter").error("no route to me:s3cret@x, token=%s", "a-token")
    assert ("warning", "failed to send traces: no route to ***@x, token=a-token") in log.lines
    assert "s3cret" not in str(log.lines)


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, "http://a"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b"}, "http://b"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_SDK_DISABLED": "TRUE"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_EXPORTER": "none"}, ""),
    ],
)
def test_the_standard_variables_decide(environ: dict[str, str], found: str) -> None:
    """Off without an endpoint, and where the environment turns them off."""
    assert endpoint(environ) == found
    if not found:
        assert type(Traces(environ, CLOCK, Log(), "1").spectator) is Spectator


@pytest.mark.parametrize(
    ("environ", "hidden", "text"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "", "OTLP protocol grpc is not supported. Use http/protobuf"),
        ({}, "opentelemetry.sdk", NOT_INSTALLED),
    ],
)
async def test_what_cannot_be_exported_is_a_warning(
    environ: dict[str, str], hidden: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many clusters set these variables for every pod: the operator runs on without traces."""
    if hidden:
        monkeypatch.setitem(sys.modules, hidden, None)
    log = Log()
    traces = Traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"} | environ, CLOCK, log, "1")
    assert type(traces.spectator) is Spectator
    ((level, said),) = log.lines
    assert level == "warning" and said.endswith(text)
    await traces.close()


def test_no_optional_library_is_loaded_by_the_operator() -> None:
    """`flagger run` and the load tester import what they always need, and nothing of the extras."""
    optional = ("opentelemetry", "grpc", "google", "botocore", "requests", "traefik", "promql_parser", "click", "rich")
    code = "import json, sys, pyflagger.cli.run, pyflagger.cli.loadtester; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & set(optional) == set()
    assert {"aiohttp", "structlog"} <= loaded
