"""The checks that ask about the primary: comparisons, and metrics of a version after its promotion."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pyflagger.api.canary import Canary
from pyflagger.api.compared import Counted
from pyflagger.api.parse import parse_canary
from pyflagger.clock import LoopClock
from pyflagger.core.betting import Unit
from pyflagger.core.situation import CheckMetric, CompareMetric, Counts, NoData, QueryFailed, Result, Value
from pyflagger.operator.evidence.metrics import Checks, Lookups
from pyflagger.operator.options import Options
from pyflagger.wire import HttpAnswer, HttpRequest

pytestmark = pytest.mark.looptime

RATE = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "compare": {"unit": "10s"}}
SPEED = {"name": "request-duration", "thresholdRange": {"max": 400}, "compare": {}}
LAG = {"name": "lag", "query": 'lag{app="{{ target }}"}', "thresholdRange": {"max": 5}}


def answer(kind: str, *result: Any) -> HttpAnswer:
    """What Prometheus answers."""
    return HttpAnswer(200, json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode())


def ranges(**by_name: list[tuple[float, float]]) -> HttpAnswer:
    """A range query, by the label that tells its series apart. An underscore stands for a space."""
    return answer(
        "matrix",
        *(
            {"metric": {"what": name.replace("_", " ")}, "values": [[time, f"{number:g}"] for time, number in values]}
            for name, values in by_name.items()
        ),
    )


def canary(metric: dict[str, Any], **spec: Any) -> Canary:
    """A canary of shop/cart."""
    analysis = {"interval": "1m", "threshold": 1, "stepWeight": 10, "metrics": [metric]}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}
    body = {"targetRef": target, "service": {"port": 80}, "analysis": analysis, **spec}
    return parse_canary({"metadata": {"name": "cart", "namespace": "shop"}, "spec": body})


class Asked:
    """Checks whose requests get these answers in turn."""

    def __init__(self, *answers: HttpAnswer) -> None:
        self._answers = list(answers)
        self.requests: list[HttpRequest] = []
        self.clock = LoopClock()

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """The next answer."""
        self.requests.append(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    @property
    def queries(self) -> list[str]:
        """The queries of all requests."""
        texts = [request.body.decode() if request.body else urlsplit(request.url).query for request in self.requests]
        return [parse_qs(text)["query"][0] for text in texts]

    async def run(self, need: Any, of: Canary, provider: str = "istio") -> Result:
        """The result of a need."""

        async def nothing(*_: Any) -> None:
            return None

        options = Options(metrics_server="http://prometheus:9090", mesh_provider=provider)
        lookups = Lookups(nothing, nothing, nothing)  # type: ignore[arg-type]
        checks = Checks(self, self.clock, lookups, options, lambda *_: None)
        return await checks.run(need, of)


def since(asked: Asked, seconds: float, bound: str = "") -> CompareMetric:
    """The need to count from so many seconds ago."""
    return CompareMetric(0, asked.clock.now() - seconds, bound)


async def test_failures_of_both_sides() -> None:
    """One range query, whose times are the ends of units."""
    asked = Asked(ranges(canary_all=[(10, 20), (20, 30)], canary_good=[(10, 19), (20, 30)], primary_all=[(10, 80)]))
    found = await asked.run(since(asked, 25), canary(RATE))
    first, second = Unit(10.0, Counted(1, 20), Counted(80, 80)), Unit(20.0, Counted(0, 30), Counted(0, 0))
    assert found == Counts((first, second))
    (request,) = asked.requests
    assert "/api/v1/query_range" in request.url
    assert 'destination_workload=~"cart"' in asked.queries[0]
    assert 'destination_workload=~"cart-primary"' in asked.queries[0]


async def test_slow_requests_of_both_sides() -> None:
    """The bound is chosen by the primary's histogram once, and is then part of the need."""
    bounds = {f"{bound}": [(0.0, 1.0)] for bound in ("100", "500", "+Inf")}
    counts = ranges(canary_all=[(10, 20)], canary_good=[(10, 15)], primary_all=[(10, 80)], primary_good=[(10, 80)])
    asked = Asked(ranges(**bounds), counts)
    wanted = Counts((Unit(10.0, Counted(5, 20), Counted(0, 80)),), "500", 0.5)
    assert await asked.run(since(asked, 25), canary(SPEED)) == wanted
    assert await asked.run(since(asked, 25, "500"), canary(SPEED)) == wanted
    assert len(asked.requests) == 3 and 'le="500"' in asked.queries[2]


async def test_no_histogram_of_the_primary() -> None:
    """There is nothing to count."""
    asked = Asked(answer("matrix"))
    assert isinstance(await asked.run(since(asked, 25), canary(SPEED)), NoData)


async def test_a_metrics_server_that_fails() -> None:
    """The error says what it was asked for."""
    asked = Asked(HttpAnswer(400, b"bad query"))
    found = await asked.run(since(asked, 25), canary(RATE))
    assert isinstance(found, QueryFailed)
    assert found.problem.text.startswith("comparing with the primary failed: error response")


@pytest.mark.parametrize(
    ("provider", "kind"), [("apisix", "Deployment"), ("skipper", "Deployment"), ("kubernetes", "DaemonSet")]
)
@pytest.mark.parametrize(
    "need", [CompareMetric(0, 0.0), CheckMetric(0, "builtin", primary=True)], ids=["compare", "bake"]
)
async def test_series_that_do_not_tell_the_sides_apart(provider: str, kind: str, need: Any) -> None:
    """Nothing is asked, and the text says what to change."""
    asked = Asked(answer("vector"))
    target = {"apiVersion": "apps/v1", "kind": kind, "name": "cart"}
    found = await asked.run(need, canary(RATE, targetRef=target), provider)
    assert isinstance(found, QueryFailed) and not asked.requests
    assert "do not tell this canary's requests from the primary's" in found.problem.text
    assert found.problem.todo == "Remove compare or bake, or use a MetricTemplate."


@pytest.mark.parametrize(("metric", "source"), [(RATE, "builtin"), (LAG, "query")])
async def test_a_metric_of_the_primary(metric: dict[str, Any], source: Any) -> None:
    """The query names the primary, and one request is enough, also for a bad value."""
    asked = Asked(answer("vector", {"metric": {}, "value": [1, "42"]}))
    assert await asked.run(CheckMetric(0, source, primary=True), canary(metric)) == Value(42.0)
    (query,) = asked.queries
    assert '"cart-primary"' in query
