"""What the operator logs of its connections when it starts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pyflagger.clock import LoopClock
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.operator.process.greeting import PROBE, UNREACHABLE, greet
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from pyflagger_sandbox.apiserver.server import ApiServer
from pyflagger_sandbox.apiserver.transport import InProcess

pytestmark = pytest.mark.looptime


class Log:
    """Keeps level, text and advice."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda text, todo="", error="": self.lines.append((level, text, todo or error))


class Prometheus:
    """A metrics server with one answer."""

    def __init__(self, answer: HttpAnswer | HttpFailure) -> None:
        self.answer, self.asked = answer, ""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """The answer."""
        self.asked = request.url
        if isinstance(self.answer, HttpFailure):
            raise self.answer
        return self.answer


class Mute(InProcess):
    """An API server that refuses everything."""

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """403."""
        return ApiAnswer(403, {}, b"{}")


async def said(answer: HttpAnswer | HttpFailure, url: str, way: type[InProcess] = InProcess) -> list[Any]:
    """What is logged; nothing is raised."""
    clock, log, prometheus = LoopClock(), Log(), Prometheus(answer)
    await greet(Client(way(ApiServer(clock), "flagger"), clock), prometheus, url, log)
    assert prometheus.asked in ("", f"{url.rstrip('/')}{PROBE}")
    return log.lines


async def test_both_are_named_when_they_answer() -> None:
    """In the reference's words, and without the credentials in the URL."""
    first, second = await said(HttpAnswer(200, b"{}"), "http://me:secret@prom:9090/")
    assert first[0] == "info" and first[1].startswith("Connected to Kubernetes API v1.")
    assert second == ("info", "Connected to metrics server http://prom:9090/", "")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (HttpFailure("connect", "GET http://prom: refused"), "http://prom unreachable GET http://prom: refused"),
        (HttpAnswer(401, b"who are you"), "http://prom unreachable Status 401 Unauthorized: who are you"),
        (HttpAnswer(302), "http://prom unreachable Status 302 Found"),
    ],
)
async def test_a_metrics_server_that_does_not_answer(answer: HttpAnswer | HttpFailure, text: str) -> None:
    """An error with what to check; the operator goes on."""
    _, line = await said(answer, "http://prom")
    assert line == ("error", f"Metrics server {text}", UNREACHABLE)


async def test_no_metrics_server_and_no_right() -> None:
    """Without `-metrics-server` nothing is asked; without the right to the version a warning says so."""
    (line,) = await said(HttpAnswer(200), "", Mute)
    assert line[:2] == ("warning", "the API server does not tell its version")


async def test_a_start_never_waits_for_it() -> None:
    """A metrics server that hangs is cancelled with the operator."""

    class Hanging(Prometheus):
        async def send(self, request: HttpRequest) -> HttpAnswer:
            return await asyncio.Event().wait() or HttpAnswer(200)  # type: ignore[return-value]

    clock = LoopClock()
    client = Client(InProcess(ApiServer(clock), "flagger"), clock)
    task = asyncio.create_task(greet(client, Hanging(HttpAnswer(200)), "http://prom", Log()))
    await asyncio.sleep(60)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
