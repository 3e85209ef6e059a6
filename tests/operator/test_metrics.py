"""Checks: what a decision needs to know, found out over a scripted network and cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyflagger.api.canary import Canary, MetricTemplate
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.parse import parse_canary, parse_metric_template
from pyflagger.clock import LoopClock
from pyflagger.core.situation import (
    CallHook,
    CheckMetric,
    NoData,
    Passed,
    ProbeProviders,
    QueryFailed,
    Refused,
    Result,
    Value,
)
from pyflagger.metrics import registry
from pyflagger.operator.evidence.metrics import RETRY_PAUSE, Checks, Lookups
from pyflagger.operator.options import Options
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

pytestmark = pytest.mark.looptime

Reply = HttpAnswer | HttpFailure
PROM = "http://prometheus:9090"


def value(*numbers: str) -> HttpAnswer:
    """An instant vector."""
    series = [{"metric": {}, "value": [1, number]} for number in numbers]
    return HttpAnswer(
        200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}}).encode()
    )


NOTHING = value()
DOWN = HttpAnswer(500, b"scripted failure")


class Network:
    """Gives replies in turn, the last repeated; a function picks a reply by the query."""

    def __init__(self, *replies: Reply | Callable[[str], Reply]) -> None:
        self.replies = list(replies)
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if callable(reply):
            reply = reply(self.queries[-1])
        if isinstance(reply, HttpFailure):
            raise reply
        return reply

    @property
    def queries(self) -> list[str]:
        """The PromQL of every request."""
        return [parse_qs(urlsplit(request.url).query)["query"][0] for request in self.requests]


class Cluster:
    """Templates and Secrets by (namespace, name), and what was read of it."""

    def __init__(self) -> None:
        self.templates: dict[tuple[str, str], MetricTemplate | Problem] = {}
        self.secrets: dict[tuple[str, str], Mapping[str, bytes] | Problem] = {}
        self.revision: str | Problem = "cart-00007"
        self.read: list[str] = []

    def add(self, name: str = "depth", namespace: str = "shop", query: str = "depth", **provider: Any) -> None:
        """Create a MetricTemplate."""
        spec = {"provider": {"type": "prometheus", "address": "http://other:9090", **provider}, "query": query}
        meta = {"name": name, "namespace": namespace}
        self.templates[(namespace, name)] = parse_metric_template(
            {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": meta, "spec": spec}
        )

    def lookups(self) -> Lookups:
        """The functions that checks are given."""

        async def template(namespace: str, name: str) -> MetricTemplate | Problem | None:
            self.read.append(f"template {namespace}/{name}")
            return self.templates.get((namespace, name))

        async def secret(namespace: str, name: str) -> Mapping[str, bytes] | Problem | None:
            self.read.append(f"secret {namespace}/{name}")
            return self.secrets.get((namespace, name))

        async def revision(namespace: str, name: str) -> str | Problem:
            self.read.append(f"revision {namespace}/{name}")
            return self.revision

        return Lookups(template, secret, revision)


class Bench:
    """Checks on a scripted world, with the gauge's readings."""

    def __init__(self, *replies: Reply | Callable[[str], Reply], **options: Any) -> None:
        self.network, self.cluster, self.clock = Network(*replies), Cluster(), LoopClock()
        self.gauge: list[tuple[str, str, float]] = []
        settings = Options(**{"metrics_server": PROM, "mesh_provider": "nginx", **options})
        self.counted: list[tuple[str, str]] = []
        self.checks = Checks(
            self.network, self.clock, self.cluster.lookups(), settings, self._gauged, None, self._outcome
        )

    def _outcome(self, provider: str, outcome: str) -> None:
        self.counted.append((provider, outcome))

    def _gauged(self, canary: Canary, metric: str, number: float) -> None:
        self.gauge.append((canary.metadata.name, metric, number))

    async def metric(self, source: Any, metric: dict[str, Any], **spec: Any) -> Result:
        """Check one metric of a canary."""
        return await self.checks.run(CheckMetric(0, source), canary([metric], **spec))


def canary(metrics: list[dict[str, Any]], webhooks: list[dict[str, Any]] | None = None, **spec: Any) -> Canary:
    """A canary of shop/cart."""
    analysis = {"interval": "1m", "threshold": 1, "stepWeight": 10, "metrics": metrics, "webhooks": webhooks or []}
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"},
                "service": {"port": 80},
                "analysis": analysis,
                **spec,
            },
        }
    )


SUCCESS = {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"}
DURATION = {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "30s"}
INLINE = {"name": "lag", "query": 'sum(lag{namespace="{{ namespace }}"})', "thresholdRange": {"max": 5}}
TEMPLATE = {"name": "depth", "templateRef": {"name": "depth"}, "thresholdRange": {"max": 5}}


def text_of(result: Result) -> str:
    """The text of a failed query."""
    assert isinstance(result, QueryFailed), result
    return result.problem.text


# Values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "metric", "number", "gauge"),
    [
        ("builtin", SUCCESS, 99.5, 99.5),
        ("builtin", DURATION, 415.5, 0.4155),
        ("query", INLINE, 7.126, 7.126),
        ("template", TEMPLATE, 7.126, 7.126),
    ],
)
async def test_a_value_costs_one_request(source: str, metric: dict[str, Any], number: float, gauge: float) -> None:
    """The number as it came, told to the gauge (durations in seconds), for one query."""
    bench = Bench(value(str(number)))
    bench.cluster.add()
    assert await bench.metric(source, metric) == Value(number)
    assert bench.gauge == [("cart", metric["name"], pytest.approx(gauge))]
    assert len(bench.network.requests) == 1


async def test_fractions_of_milliseconds_are_kept() -> None:
    """A duration just above a bound stays above it."""
    assert await Bench(value("500.4")).metric("builtin", DURATION) == Value(500.4, None, 500.4)


async def test_which_prometheus_is_asked() -> None:
    """The canary's metrics server wins over the operator's; templates have their own."""
    bench = Bench(value("100"))
    bench.cluster.add()
    await bench.metric("builtin", SUCCESS)
    await bench.metric("query", INLINE, metricsServer="http://mine/prom/")
    await bench.metric("template", TEMPLATE, metricsServer="http://mine")
    hosts = [request.url.split("/api/")[0] for request in bench.network.requests]
    assert hosts == [PROM, "http://mine/prom", "http://other:9090"]
    assert bench.network.queries[1:] == ['sum(lag{namespace="shop"})', "depth"]


async def test_the_query_is_of_the_provider() -> None:
    """The canary's provider decides which series are asked; a suffix for Services is of no account."""
    bench = Bench(value("100"))
    await bench.metric("builtin", SUCCESS, provider="kubernetes")
    await bench.metric("builtin", SUCCESS, provider="istio")
    await bench.metric("builtin", SUCCESS)
    starts = [query.split("{")[0] for query in bench.network.queries]
    assert starts == [
        "sum(rate(http_request_duration_seconds_count",
        "sum(rate(istio_requests_total",
        "(sum(rate(nginx_ingress_controller_requests",
    ]


async def test_a_metric_without_interval_looks_back_a_minute() -> None:
    """In templates too."""
    bench = Bench(value("1"))
    bench.cluster.add(query="rate(x[{{ interval }}])")
    await bench.metric("template", {"name": "depth", "templateRef": {"name": "depth"}, "interval": ""})
    assert bench.network.queries == ["rate(x[1m])"]


async def test_knative_routes_are_revisions() -> None:
    """The latest created revision is asked for, once a check; what cannot be read fails the check."""
    bench = Bench(value("1"))
    assert await bench.metric("builtin", SUCCESS, provider="knative") == Value(1)
    assert 'envoy_cluster_name=~"shop/cart-00007"' in bench.network.queries[0]
    bench.cluster.revision = Problem(Fault.CLUSTER, 'services.serving.knative.dev "cart" not found')
    result = await bench.metric("builtin", SUCCESS, provider="knative")
    assert text_of(result) == 'Error fetching Knative service shop/cart services.serving.knative.dev "cart" not found'
    assert bench.cluster.read == ["revision shop/cart"] * 2


async def test_others_read_no_revision() -> None:
    """Only Knative's."""
    bench = Bench(value("1"))
    await bench.metric("builtin", SUCCESS)
    assert bench.cluster.read == []


# Beside the primary --------------------------------------------------------------------------------------------------

BESIDE: dict[str, tuple[str, str]] = {
    "istio": ('destination_workload=~"cart"', 'destination_workload=~"cart-primary"'),
    "linkerd": ('deployment=~"cart"', 'deployment=~"cart-primary"'),
    "kubernetes": ('kubernetes_pod_name=~"cart-[', 'kubernetes_pod_name=~"cart-primary-['),
    "appmesh": ('kubernetes_pod_name=~"cart-[', 'kubernetes_pod_name=~"cart-primary-['),
    "osm": ('destination_name="cart"', 'destination_name="cart-primary"'),
    "contour": ('envoy_cluster_name=~"shop_cart-canary_', 'envoy_cluster_name=~"shop_cart-primary_'),
    "gloo": ("shop-cart-canaryupstream-", "shop-cart-primaryupstream-"),
    "kuma": ("cart-canary_shop_svc", "cart-primary_shop_svc"),
    "traefik": ("shop-cart-canary-", "shop-cart-primary-"),
    "nginx": ('canary!="", canary=~"shop-cart-canary-.+"', 'ingress="cart", canary=""'),
}
"""How the queries of each provider name the canary, and the primary."""


@pytest.mark.parametrize("metric", [SUCCESS, DURATION], ids=["success", "duration"])
@pytest.mark.parametrize("provider", BESIDE)
async def test_the_primary_is_asked_beside_a_value_that_fails(provider: str, metric: dict[str, Any]) -> None:
    """One query more about the same window, and none of it in the gauge or the counter of queries."""
    ours, theirs = BESIDE[provider]
    bad = {"request-success-rate": "50", "request-duration": "9"}[metric["name"]]
    scale = 1000.0 if provider == "kubernetes" and metric is DURATION else 1.0
    bench = Bench(value(bad), value("7"))
    wanted = {**metric, "thresholdRange": {"min": 99} if metric is SUCCESS else {"max": 5}}
    assert await bench.metric("builtin", wanted, provider=provider) == Value(float(bad) * scale, None, 7.0 * scale)
    first, second = bench.network.queries
    assert ours in first and theirs not in first and theirs in second
    assert first.replace(ours, theirs).count(theirs) == second.count(theirs) and ours not in second
    assert len(bench.gauge) == len(bench.counted) == 1


@pytest.mark.parametrize("provider", ["apisix", "skipper", "knative"])
async def test_series_that_do_not_name_the_primary(provider: str) -> None:
    """Nothing more is asked."""
    bench = Bench(value("50"))
    assert await bench.metric("builtin", SUCCESS, provider=provider) == Value(50)
    assert len(bench.network.requests) == 1


@pytest.mark.parametrize("reply", [NOTHING, DOWN, HttpFailure("timeout", "slow"), value("NaN")])
async def test_a_primary_without_a_value(reply: Reply) -> None:
    """Is not told, and is no error of the check."""
    bench = Bench(value("50"), reply)
    found = await bench.metric("builtin", SUCCESS)
    assert isinstance(found, Value) and (found.value, found.primary) == (50, None)


async def test_the_primary_is_not_awaited_for_long() -> None:
    """Five seconds at most."""

    class Slow(Network):
        async def send(self, request: HttpRequest) -> HttpAnswer:
            answer = await super().send(request)
            await asyncio.sleep(0 if len(self.requests) == 1 else 3600)
            return answer

    bench = Bench()
    bench.checks._http = Slow(value("50"))
    began = bench.clock.monotonic()
    assert await bench.metric("builtin", SUCCESS) == Value(50)
    assert bench.clock.monotonic() - began <= 6


# No data ------------------------------------------------------------------------------------------------------------


async def test_no_data_of_a_builtin() -> None:
    """The text as the reference has it, and a cause, found by asking what is there."""
    bench = Bench(NOTHING)
    result = await bench.metric("builtin", SUCCESS)
    assert isinstance(result, NoData)
    assert result.text == "running query failed: no values found"
    assert "no series nginx_ingress_controller_requests" in result.cause
    assert "-metrics-server" in result.cause
    assert len(bench.network.requests) == 2
    assert bench.gauge == []


async def test_series_of_another_namespace_label() -> None:
    """A Prometheus that keeps the namespace in exported_namespace: the cause names it and the way out."""

    def reply(query: str) -> Reply:
        return NOTHING if 'namespace="' in query else value("4")

    result = await Bench(reply).metric("builtin", SUCCESS)
    assert isinstance(result, NoData)
    assert "exported_namespace" in result.cause
    assert "MetricTemplate" in result.cause


async def test_no_clue_names_the_namespace() -> None:
    """Clues look past the namespace label, and there are few of them."""
    bench = Bench(lambda query: NOTHING if "rate(" in query else value("4"))
    result = await bench.metric("builtin", DURATION)
    assert isinstance(result, NoData)
    assert result.cause.startswith("The canary's series exist")
    assert len(bench.network.requests) == 5
    assert not any('namespace="shop"' in query for query in bench.network.queries[1:])


async def test_a_cause_that_cannot_be_found() -> None:
    """Errors while guessing are not shown, and guessing ends with the first."""
    bench = Bench(NOTHING, DOWN)
    assert await bench.metric("builtin", SUCCESS) == NoData("running query failed: no values found", "")
    assert len(bench.network.requests) == 2  # The query and a clue.


async def test_guessing_is_short() -> None:
    """A metrics server that hangs on a clue does not hold up the release for long."""

    class Slow(Network):
        async def send(self, request: HttpRequest) -> HttpAnswer:
            answer = await super().send(request)
            await asyncio.sleep(0 if len(self.requests) == 1 else 3600)
            return answer

    bench = Bench()
    bench.checks._http = network = Slow(NOTHING)
    began = bench.clock.monotonic()
    assert await bench.metric("builtin", SUCCESS) == NoData("running query failed: no values found", "")
    assert bench.clock.monotonic() - began <= 6
    assert len(network.requests) == 2


@pytest.mark.parametrize(("source", "metric"), [("query", INLINE), ("template", TEMPLATE)])
@pytest.mark.parametrize("reply", [NOTHING, value("NaN"), value("+Inf")])
async def test_no_data_of_a_users_query(source: str, metric: dict[str, Any], reply: Reply) -> None:
    """One request; the cause shows the query as it was sent, so that it can be tried."""
    bench = Bench(reply)
    bench.cluster.add(query="\n depth{app='{{ target }}'}\n  > 0\n", address="http://me:hunter2@other:9090")
    result = await bench.metric(source, metric)
    assert isinstance(result, NoData)
    assert result.text == "no values found"
    assert ("sum(lag" if source == "query" else "http://other:9090 by hand: depth{app='cart'} > 0") in result.cause
    assert "hunter2" not in result.cause
    assert len(bench.network.requests) == 1
    assert bench.gauge == []


async def test_every_request_failing_is_zero() -> None:
    """0 %, told to the gauge, not "no values"."""
    bench = Bench(lambda query: value("4") if "!~" not in query else NOTHING)
    assert await bench.metric("builtin", SUCCESS, provider="istio") == Value(0, None, 0)
    assert bench.gauge == [("cart", "request-success-rate", 0)]


# Failures -----------------------------------------------------------------------------------------------------------

ERROR = "error response: Status 500 Internal Server Error: scripted failure"


@pytest.mark.parametrize(
    ("source", "metric", "text"),
    [
        ("builtin", SUCCESS, f"running query failed: {ERROR}"),
        ("builtin", DURATION, f"running query failed: {ERROR}"),
        ("query", INLINE, ERROR),
        ("template", TEMPLATE, ERROR),
    ],
)
async def test_provider_errors(source: str, metric: dict[str, Any], text: str) -> None:
    """The other side's answer, whose fault it is, and what to do; a 500 is asked for once."""
    bench = Bench(DOWN)
    bench.cluster.add()
    result = await bench.metric(source, metric)
    assert text_of(result) == text
    assert isinstance(result, QueryFailed)
    assert result.problem.fault is Fault.PROVIDER
    assert result.problem.todo
    assert len(bench.network.requests) == 1
    assert bench.gauge == []


PROVIDERS: dict[str, tuple[dict[str, Any], dict[str, bytes], str, str]] = {
    "cloudwatch": (
        {"region": "eu-west-1", "query": '[{"Id": "e1"}]', "address": ""},
        {},
        "https://monitoring.eu-west-1.amazonaws.com/",
        "Check the Secret",
    ),
    "datadog": (
        {"address": ""},
        {"datadog_api_key": b"hunter2", "datadog_application_key": b"hunter2"},
        "https://api.datadoghq.com/api/v1/query",
        "Check the Secret",
    ),
    "externalmetrics": (
        {"query": "shop/m", "address": ""},
        {},
        "the API server, /apis/external.metrics.k8s.io/v1beta1/namespaces/shop/m",
        "ServiceAccount",
    ),
    "influxdb": ({}, {"token": b"hunter2", "org": b"acme"}, "http://other:9090/api/v2/query", "Check the Secret"),
    "splunk": ({}, {"sf_token_key": b"hunter2"}, "http://other:9090/v2/signalflow/execute", "Check the Secret"),
    "web": ({"query": "$.rate"}, {"X-Login": b"hunter2"}, "http://other:9090", "Check the Secret"),
}
"""The template, the Secret, the address that is asked, and what to do about a refusal, by type."""


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_errors_name_provider_and_address(kind: str) -> None:
    """The advice ends with both. No text has a value of the Secret, even when the server repeats it."""
    provider, secret, place, todo = PROVIDERS[kind]
    bench = Bench(HttpAnswer(403, b"who is hunter2?"))
    bench.cluster.add(type=kind, secretRef={"name": "login"}, **provider)
    bench.cluster.secrets[("shop", "login")] = secret
    result = await bench.metric("template", TEMPLATE)
    told = "***" if secret else "hunter2"
    assert text_of(result) == f"error response: Status 403 Forbidden: who is {told}?"
    assert isinstance(result, QueryFailed) and todo in result.problem.todo
    assert result.problem.todo.endswith(f" flagger asked {kind} at {place}.")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (HttpAnswer(200, b'{"rate": 1}'), "value"),
        (HttpAnswer(200, b"{}"), "no_values"),
        (HttpAnswer(200, b'{"rate": "x"}'), "error"),
        (HttpAnswer(200, b"<html>"), "error"),
        (HttpAnswer(429), "status_4xx"),
        (HttpAnswer(503), "status_5xx"),
        (HttpFailure("too-large", "larger"), "too_large"),
        (HttpFailure("timeout", "late"), "timeout"),
        (HttpFailure("connect", "refused"), "connect"),
        (HttpFailure("credentials", "expired"), "credentials"),
    ],
)
async def test_outcomes_are_counted(reply: Reply, outcome: str) -> None:
    """Each query once, by type of provider and outcome."""
    bench = Bench(reply)
    bench.cluster.add(type="web", query="$.rate")
    await bench.metric("template", TEMPLATE)
    assert bench.counted == [("web", outcome)]


async def test_outcomes_of_prometheus() -> None:
    """Built-in checks and in-line queries count as its queries."""
    bench = Bench(value("1", "2"))
    await bench.metric("builtin", SUCCESS)
    await bench.metric("query", INLINE)
    assert bench.counted == [("prometheus", "multiple_values")] * 2


async def test_queries_of_other_namespaces() -> None:
    """Without references to other namespaces, a query names the template's."""
    for refused in (False, True):
        bench = Bench(HttpAnswer(200, b'{"items": [{"value": "7"}]}'), no_cross_namespace_refs=refused)
        bench.cluster.add(type="externalmetrics", query="mall/m", address="")
        result = await bench.metric("template", TEMPLATE)
        assert ("not allowed" in text_of(result)) if refused else (result == Value(7))


async def test_what_was_created_is_not_created_again() -> None:
    """A write to the API server whose answer was lost may have succeeded."""
    bench = Bench(HttpFailure("connect", "POST /apis/x: broken"))
    bench.cluster.add(type="keptn", query="analysis/shop/health", address="")
    assert "broken" in text_of(await bench.metric("template", TEMPLATE))
    assert len(bench.network.requests) == 1


async def test_several_series_are_an_error() -> None:
    """Which one is meant is not guessed."""
    assert "multiple values" in text_of(await Bench(value("1", "2")).metric("query", INLINE))


async def test_built_in_metrics_count_their_requests() -> None:
    """The rate of all requests over the interval: 2.5 a second for 30 s. Without a minimum nobody counts."""
    bench = Bench(lambda query: value("200") if "_sum" in query else value("2.5"))
    assert await bench.metric("builtin", {**DURATION, "minSamples": 100}) == Value(200, 75)
    assert "status" not in bench.network.queries[1] and "[30s]" in bench.network.queries[1]
    assert bench.counted == [("prometheus", "value")] * 2
    assert await bench.metric("builtin", DURATION) == Value(200)
    assert len(bench.network.requests) == 3


@pytest.mark.parametrize(("source", "metric"), [("query", INLINE), ("template", TEMPLATE)])
async def test_samples_of_other_metrics_have_a_query(source: str, metric: dict[str, Any]) -> None:
    """It is asked at the same provider, with the same names."""
    bench = Bench(lambda query: value("12") if query == "count(shop)" else value("3"))
    bench.cluster.add()
    counted = {**metric, "minSamples": 100, "samplesQuery": "count({{ namespace }})"}
    assert await bench.metric(source, counted) == Value(3, 12)
    assert len({request.url.partition("?")[0] for request in bench.network.requests}) == 1


async def test_no_series_are_no_samples() -> None:
    """A count of nothing is an empty answer."""
    bench = Bench(lambda query: NOTHING if query == "n" else value("3"))
    assert await bench.metric("query", {**INLINE, "minSamples": 1, "samplesQuery": "n"}) == Value(3, 0)


async def test_a_broken_samples_query() -> None:
    """It is an error of its own."""
    bench = Bench(value("3"))
    text = text_of(await bench.metric("query", {**INLINE, "minSamples": 1, "samplesQuery": "{{ foo }}"}))
    assert text.startswith("samplesQuery render error: ")
    bench = Bench(lambda query: DOWN if query == "n" else value("3"))
    assert text_of(await bench.metric("query", {**INLINE, "minSamples": 1, "samplesQuery": "n"})) == ERROR


async def test_a_lost_connection_is_tried_once_more() -> None:
    """Within the check, after a moment."""
    bench = Bench(HttpFailure("connect", "refused"), value("3"))
    began = bench.clock.monotonic()
    assert await bench.metric("query", INLINE) == Value(3)
    assert bench.clock.monotonic() - began == pytest.approx(RETRY_PAUSE)


@pytest.mark.parametrize(("kind", "requests"), [("connect", 2), ("timeout", 1), ("tls", 1), ("too-large", 1)])
async def test_failures_of_the_network(kind: Any, requests: int) -> None:
    """Only a connection is tried again, and only once."""
    bench = Bench(HttpFailure(kind, "GET http://prometheus:9090/api/v1/query: broken"))
    assert "broken" in text_of(await bench.metric("query", INLINE))
    assert len(bench.network.requests) == requests


@pytest.mark.parametrize(
    ("source", "metric", "text"),
    [
        ("query", {**INLINE, "query": "x{{ foo }}"}, "query render error: 1:5: function 'foo' not defined"),
        (
            "template",
            TEMPLATE,
            "Metric template depth.shop query render error: 1:4: map has no entry for key 'a'",
        ),
        ("query", {**INLINE, "interval": "soon"}, "metric interval 'soon' is not a duration"),
    ],
)
async def test_metrics_that_cannot_be_asked(source: str, metric: dict[str, Any], text: str) -> None:
    """They fail as the manifest's fault, and nothing is sent."""
    bench = Bench(value("1"))
    bench.cluster.add(query="{{ variables.a }}")
    result = await bench.metric(source, metric)
    assert text_of(result).startswith(text)
    assert isinstance(result, QueryFailed)
    assert result.problem.fault is Fault.MANIFEST
    assert bench.network.requests == []


async def test_bad_metrics_servers() -> None:
    """The address is named, without its login."""
    bench = Bench(value("1"))
    result = await bench.metric("builtin", SUCCESS, metricsServer="me:hunter2@prometheus:9090")
    assert text_of(result).startswith("Error building Prometheus client for prometheus:9090 address ")
    assert "hunter2" not in str(result)


async def test_unknown_providers_have_no_builtins() -> None:
    """Nobody else's queries are asked instead."""
    bench = Bench(value("1"), mesh_provider="crossover")
    result = await bench.metric("builtin", SUCCESS)
    assert text_of(result) == "there are no built-in metrics for provider crossover"
    assert bench.network.requests == []


# Templates ----------------------------------------------------------------------------------------------------------


async def test_templates_of_other_namespaces() -> None:
    """The template and its Secret are of the namespace that the reference names."""
    bench = Bench(value("1"))
    bench.cluster.add(namespace="ops", secretRef={"name": "login"})
    bench.cluster.secrets[("ops", "login")] = {"token": b"abc\n"}
    metric = {"name": "depth", "templateRef": {"name": "depth", "namespace": "ops"}}
    assert await bench.metric("template", metric) == Value(1)
    assert bench.cluster.read == ["template ops/depth", "secret ops/login"]
    assert ("Authorization", "Bearer abc") in bench.network.requests[0].headers


async def test_rotated_secrets_work_at_once() -> None:
    """Each check reads the Secret anew."""
    bench = Bench(value("1"))
    bench.cluster.add(secretRef={"name": "login"})
    for token in (b"one", b"two"):
        bench.cluster.secrets[("shop", "login")] = {"token": token}
        await bench.metric("template", TEMPLATE)
    assert [dict(request.headers)["Authorization"] for request in bench.network.requests] == [
        "Bearer one",
        "Bearer two",
    ]


async def test_references_across_namespaces_can_be_forbidden() -> None:
    """Then nothing of the other namespace is even read."""
    bench = Bench(value("1"), no_cross_namespace_refs=True)
    bench.cluster.add(namespace="ops")
    bench.cluster.add()
    metric = {"name": "depth", "templateRef": {"name": "depth", "namespace": "ops"}}
    assert text_of(await bench.metric("template", metric)).startswith("Metric template depth.ops error: ")
    assert bench.cluster.read == []
    assert await bench.metric("template", {**metric, "templateRef": {"name": "depth", "namespace": "shop"}}) == Value(1)


@pytest.mark.parametrize(
    ("provider", "secret", "text"),
    [
        (None, None, 'Metric template depth.shop error: metrictemplate.flagger.app "depth" not found'),
        ({"type": "promotheus"}, None, "Metric template depth.shop provider promotheus error: unknown metric provider"),
        ({"address": "here"}, None, "Metric template depth.shop provider prometheus error: address 'here'"),
        (
            {"secretRef": {"name": "login"}},
            None,
            'Metric template depth.shop secret login error: secrets "login" not found',
        ),
        (
            {"secretRef": {"name": "login"}},
            Problem(Fault.CLUSTER, "forbidden"),
            "Metric template depth.shop secret login error: forbidden",
        ),
        ({"secretRef": {"name": "login"}}, {}, "Metric template depth.shop provider prometheus error: the Secret has"),
    ],
)
async def test_templates_that_cannot_be_used(
    provider: dict[str, Any] | None, secret: Mapping[str, bytes] | Problem | None, text: str
) -> None:
    """The texts name the template, and what about it is wrong; nothing is sent."""
    bench = Bench(value("1"))
    if provider is not None:
        bench.cluster.add(**provider)
    if secret is not None:
        bench.cluster.secrets[("shop", "login")] = secret
    result = await bench.metric("template", TEMPLATE)
    assert text_of(result).startswith(text)
    assert bench.network.requests == []


async def test_broken_templates() -> None:
    """A template that cannot be read is told as such."""
    bench = Bench(value("1"))
    bench.cluster.templates[("shop", "depth")] = Problem(Fault.MANIFEST, "spec.query: missing")
    assert text_of(await bench.metric("template", TEMPLATE)) == "Metric template depth.shop error: spec.query: missing"


# The probe ----------------------------------------------------------------------------------------------------------


async def test_the_probe() -> None:
    """Built-ins ask the metrics server, templates their own; in-line queries are not probed."""
    bench = Bench(value("1"))
    bench.cluster.add()
    made = canary([SUCCESS, INLINE, TEMPLATE, {**DURATION, "templateRef": {"name": "absent"}}])
    assert await bench.checks.run(ProbeProviders(), made) == Passed()
    assert bench.network.queries == ["vector(1)"] * 3
    assert [urlsplit(request.url).netloc for request in bench.network.requests] == [
        "prometheus:9090",
        "other:9090",
        "prometheus:9090",
    ]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (DOWN, ERROR),
        (NOTHING, "did not return 1"),
        (value("2"), "returned 2"),
        (HttpFailure("connect", "connection refused"), "connection refused"),
    ],
)
async def test_a_probe_that_fails(reply: Reply, text: str) -> None:
    """The first provider that is away ends it, and the text says what to do."""
    bench = Bench(reply)
    outcome = await bench.checks.run(ProbeProviders(), canary([SUCCESS, DURATION]))
    assert isinstance(outcome, Refused)
    assert text in outcome.text
    assert len({request.url for request in bench.network.requests}) == 1


async def test_a_probe_of_an_absent_template() -> None:
    """It is refused with the text of the check."""
    outcome = await Bench(value("1")).checks.run(ProbeProviders(), canary([TEMPLATE]))
    assert isinstance(outcome, Refused)
    assert 'metrictemplate.flagger.app "depth" not found' in outcome.text


# Hooks --------------------------------------------------------------------------------------------------------------


async def test_hooks() -> None:
    """The hook at the index is told of the canary, the phase and the checksum, with its own metadata."""
    bench = Bench(HttpAnswer(200))
    hooks = [
        {"name": "one", "url": "http://one", "type": "rollout"},
        {"name": "two", "url": "http://two", "type": "pre-rollout", "metadata": {"cmd": "true"}},
    ]
    assert await bench.checks.run(CallHook(1, "Progressing", "abc"), canary([], hooks)) == Passed()
    (request,) = bench.network.requests
    assert request.url == "http://two"
    assert json.loads(request.body or b"") == {
        "name": "cart",
        "namespace": "shop",
        "phase": "Progressing",
        "checksum": "abc",
        "metadata": {"cmd": "true"},
    }


async def test_a_hook_that_refuses() -> None:
    """Its text is the result's; the check itself does not repeat what the hook's retries are for."""
    bench = Bench(HttpAnswer(403, b"closed"))
    outcome = await bench.checks.run(CallHook(0, "Waiting", "abc"), canary([], [{"name": "one", "url": "http://one"}]))
    assert outcome == Refused("Status 403 Forbidden: closed")
    assert len(bench.network.requests) == 1


# Bugs ---------------------------------------------------------------------------------------------------------------


class Broken:
    """A provider with a bug."""

    def __init__(self, settings: object) -> None:
        pass

    def query(self, question: object) -> Any:
        raise ZeroDivisionError("oops")

    def online(self) -> Any:
        while True:
            yield HttpRequest("GET", "http://x")


async def test_bugs_of_plugins_stay_in_their_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception is a failed check of ours, an endless exchange is ended."""
    monkeypatch.setitem(registry._OURS, "broken", Broken)
    bench = Bench(value("1"))
    bench.cluster.add(type="broken")
    result = await bench.metric("template", TEMPLATE)
    assert text_of(result) == "ZeroDivisionError: oops"
    assert isinstance(result, QueryFailed)
    assert result.problem.fault is Fault.US
    outcome = await bench.checks.run(ProbeProviders(), canary([TEMPLATE]))
    assert isinstance(outcome, Refused)
    assert "requests for one question" in outcome.text
    assert len(bench.network.requests) <= 64


class Blurting(Broken):
    """A provider that breaks with everything in hand."""

    def query(self, question: object) -> Any:
        answer = yield HttpRequest("GET", "http://u:planted-9a2b@x", (("X-Api-Key", "planted-4f1c"),))
        raise KeyError(f"no such thing in {answer.status}: X-Api-Key planted-4f1c, planted-9a2b")


async def test_bugs_of_plugins_blurt_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an exception says goes into events as any other text does: without what was sent."""
    monkeypatch.setitem(registry._OURS, "blurting", Blurting)
    bench = Bench(value("1"))
    bench.cluster.add(type="blurting")
    text = text_of(await bench.metric("template", TEMPLATE))
    assert text == "KeyError: 'no such thing in 200: X-Api-Key ***, ***'"


async def test_an_index_that_is_gone() -> None:
    """A canary that changed meanwhile fails the check, nothing else."""
    result = await Bench(value("1")).checks.run(CheckMetric(5, "query"), canary([INLINE]))
    assert isinstance(result, QueryFailed)


async def test_cancelling_is_not_swallowed() -> None:
    """A check that nobody wants any more ends."""

    class Stuck(Network):
        async def send(self, request: HttpRequest) -> HttpAnswer:
            await asyncio.Event().wait()
            raise AssertionError

    bench = Bench()
    bench.checks._http = Stuck(NOTHING)
    task = asyncio.get_running_loop().create_task(bench.metric("query", INLINE))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


@given(st.binary(max_size=200), st.integers(100, 599), st.sampled_from(["builtin", "query", "template"]))
@settings(max_examples=100, deadline=None)
def test_any_answer_is_a_result(body: bytes, status: int, source: str) -> None:
    """Whatever a metric system answers, the check has one of the three outcomes, and it never passes as a value."""

    async def once() -> Result:
        bench = Bench(HttpAnswer(status, body))
        bench.cluster.add()
        return await bench.metric(source, {"builtin": SUCCESS, "query": INLINE, "template": TEMPLATE}[source])

    assert isinstance(asyncio.run(once()), QueryFailed | NoData)
