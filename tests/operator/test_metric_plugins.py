"""Metric providers of other packages: their code never blocks the event loop, and one that breaks is named."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from pyflagger import plugins
from pyflagger.api.canary import MetricTemplate
from pyflagger.api.parse import parse_canary, parse_metric_template
from pyflagger.clock import SystemClock
from pyflagger.core.situation import CheckMetric, Passed, ProbeProviders, QueryFailed, Refused, Result, Value
from pyflagger.metrics import registry
from pyflagger.metrics.base import NoValues, ProviderError
from pyflagger.operator.evidence.metrics import Checks, Lookups
from pyflagger.operator.options import Options
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

GATE = threading.Event()
REQUEST = HttpRequest("GET", "http://u:planted-9a2b@x")


class Mine:
    """A provider whose code does what the address says."""

    def __init__(self, settings: Any) -> None:
        self.does = settings.address
        if self.does == "wrong":
            raise ProviderError("the address is wrong")

    def query(self, question: Any) -> Any:
        """The body of one answer as a number."""
        if self.does in ("slow", "hanging"):
            GATE.wait(5)
        try:
            answer = yield REQUEST
        except HttpFailure as failure:
            raise ProviderError(f"request failed: {failure}") from failure
        if self.does == "raising":
            raise KeyError("no such thing at planted-9a2b")
        if self.does == "empty":
            raise NoValues
        return float(answer.body)

    def online(self) -> Any:
        """Whether it answers."""
        yield from self.query(None)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`mine` is a plugin."""
    point = EntryPoint("mine", f"{__name__}:Mine", registry.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == registry.GROUP else [])
    for cached in (plugins.installed, plugins.load):
        cached.cache_clear()
    registry.REGISTRY._callers.clear()
    GATE.clear()
    yield
    GATE.set()
    for cached in (plugins.installed, plugins.load):
        cached.cache_clear()
    registry.REGISTRY._callers.clear()


class Network:
    """Answers 7, or fails."""

    def __init__(self, failure: HttpFailure | None = None) -> None:
        self.failure = failure

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """One exchange."""
        if self.failure:
            raise self.failure
        return HttpAnswer(200, b"7")


async def checked(does: str, need: Any = None, network: Network | None = None) -> Result:
    """The result of a check whose provider does this."""
    meta = {"name": "depth", "namespace": "shop"}
    spec = {"provider": {"type": "mine", "address": does}, "query": "depth"}
    made = parse_metric_template({"metadata": meta, "spec": spec})

    async def template(*_: str) -> MetricTemplate:
        return made

    async def secret(*_: str) -> None:
        return None

    async def revision(*_: str) -> str:
        return ""

    metric = {"name": "depth", "templateRef": {"name": "depth"}, "thresholdRange": {"max": 5}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}
    analysis = {"interval": "1m", "threshold": 1, "stepWeight": 10, "metrics": [metric]}
    canary = parse_canary(
        {
            "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {"targetRef": target, "service": {"port": 80}, "analysis": analysis},
        }
    )
    lookups = Lookups(template, secret, revision)
    checks = Checks(network or Network(), SystemClock(), lookups, Options(), lambda *_: None)
    return await checks.run(need or CheckMetric(0, "template"), canary)


async def test_a_value() -> None:
    """As from a provider of ours."""
    assert await checked("well") == Value(7.0)
    assert await checked("well", ProbeProviders()) == Passed()


@pytest.mark.parametrize(
    ("does", "failure", "said"),
    [
        ("wrong", None, "the address is wrong"),
        ("well", HttpFailure("timeout", "too late"), "request failed: too late"),
        ("raising", None, r"metric provider mine, query\(\): KeyError: 'no such thing at \*\*\*'"),
    ],
)
async def test_what_it_raises(does: str, failure: HttpFailure | None, said: str) -> None:
    """Errors of the contract are reported as they are, and others with the plugin's name, without credentials."""
    result = await checked(does, network=Network(failure))
    assert isinstance(result, QueryFailed)
    assert re.search(said, result.problem.text)


async def test_slow_code_is_awaited_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others go on meanwhile, and the check has its value."""
    monkeypatch.setattr(plugins, "GRACE_SECONDS", 0.005)
    check = asyncio.ensure_future(checked("slow"))
    await SystemClock().sleep(0.05)
    assert not check.done()
    GATE.set()
    assert await check == Value(7.0)


async def test_code_that_hangs_fails_its_check_and_is_not_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result names the plugin. No pile of threads grows, and afterwards it is asked again."""
    monkeypatch.setattr(plugins, "GRACE_SECONDS", 0.005)
    monkeypatch.setattr(plugins, "PATIENCE_SECONDS", 0.02)
    before = threading.active_count()
    for _ in range(3):
        result = await checked("hanging")
        assert isinstance(result, QueryFailed)
        assert result.problem.text == "metric provider mine, query(): has not returned within 0.02 s"
        assert "Fix or reinstall the package" in result.problem.todo
    outcome = await checked("hanging", ProbeProviders())
    assert isinstance(outcome, Refused) and "metric provider mine" in outcome.text
    assert threading.active_count() == before + 1
    last = registry.REGISTRY.caller("mine")._last
    GATE.set()
    assert last is not None and last.wait(5)
    assert await checked("well") == Value(7.0)
