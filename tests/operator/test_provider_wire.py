"""Every metric provider over real sockets: a server of its documented API, good answers and bad ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pyflagger.api.canary import MetricTemplate
from pyflagger.api.facts import Problem
from pyflagger.api.parse import parse_canary, parse_metric_template
from pyflagger.clock import SystemClock
from pyflagger.core.situation import CheckMetric, NoData, QueryFailed, Result, Value
from pyflagger.kube.client import Client
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.operator.evidence import metrics
from pyflagger.operator.evidence.clouds import Clouds
from pyflagger.operator.evidence.metrics import Checks, Lookups
from pyflagger.operator.evidence.sender import Sender
from pyflagger.operator.options import Options
from pyflagger.operator.process.http import AiohttpHttp
from pyflagger.operator.process.proxies import Proxies

SECRET = "hunter2-a9"
INFLUX = "#datatype,string,long,double\n#group,false,false,false\n#default,_result,,\n,result,table,_value\n,,0,7\n"
SPLUNK = 'event: data\ndata: {"data": [{"tsId": "A", "value": 7}], "logicalTimestampMs": 1}\n\n'
VECTOR = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "7"]}]}}


@dataclass(frozen=True)
class Api:
    """A provider's API. `auth` are the headers that the server needs; `good` is its answer of 7."""

    method: str
    path: str
    query: str
    good: Any
    secret: dict[str, str] = field(default_factory=dict)
    auth: dict[str, str] = field(default_factory=dict)
    spec: dict[str, str] = field(default_factory=dict)


APIS = {
    "prometheus": Api("GET", "/api/v1/query", "up", VECTOR, {"token": SECRET}, {"Authorization": f"Bearer {SECRET}"}),
    "datadog": Api(
        "GET",
        "/api/v1/query",
        "avg:x{*}",
        {"series": [{"pointlist": [[1000, 7]], "interval": 10}]},
        {"datadog_api_key": SECRET, "datadog_application_key": SECRET},
        {"DD-API-KEY": SECRET, "DD-APPLICATION-KEY": SECRET},
    ),
    "dynatrace": Api(
        "GET",
        "/api/v2/metrics/query",
        "builtin:x",
        {"result": [{"data": [{"values": [7]}]}]},
        {"dynatrace_token": SECRET},
        {"Authorization": f"Api-Token {SECRET}"},
    ),
    "newrelic": Api(
        "GET",
        "/v1/accounts/42/query",
        "SELECT 1",
        {"results": [{"result": 7}]},
        {"newrelic_account_id": "42", "newrelic_query_key": SECRET},
        {"X-Query-Key": SECRET},
    ),
    "graphite": Api(
        "GET",
        "/render",
        "target=x",
        [{"target": "x", "datapoints": [[7, 1]]}],
        {"username": "u", "password": SECRET},
        {"Authorization": "Basic dTpodW50ZXIyLWE5"},
    ),
    "influxdb": Api(
        "POST",
        "/api/v2/query",
        "buckets()",
        INFLUX,
        {"token": SECRET, "org": "acme"},
        {"Authorization": f"Token {SECRET}", "Content-Type": "application/json"},
    ),
    "splunk": Api(
        "POST",
        "/v2/signalflow/execute",
        "data('x').publish()",
        SPLUNK,
        {"sf_token_key": SECRET},
        {"X-SF-Token": SECRET, "Content-Type": "text/plain"},
    ),
    "cloudwatch": Api(
        "POST",
        "/",
        '[{"id": "e1", "expression": "m1"}]',
        {"MetricDataResults": [{"Id": "e1", "Values": [7], "Timestamps": [1], "StatusCode": "Complete"}]},
        auth={"X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData", "X-Amz-Security-Token": SECRET},
        spec={"region": "eu-west-1"},
    ),
    "stackdriver": Api(
        "POST",
        "/v3/projects/acme/timeSeries:query",
        "fetch x",
        {"timeSeriesData": [{"pointData": [{"values": [{"doubleValue": 7}]}]}]},
        {"project": "acme"},
        {"Authorization": f"Bearer {SECRET}"},
    ),
    "externalmetrics": Api(
        "GET",
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/m",
        "shop/m",
        {"items": [{"value": "7"}]},
        {"token": SECRET},
        {"Authorization": f"Bearer {SECRET}"},
    ),
    "web": Api("GET", "/x", "path: /x\njsonPath: $.rates[*]", {"rates": [7]}, {"X-Login": SECRET}, {"X-Login": SECRET}),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def names(host: str, port: int) -> None:
    """A DNS without names."""
    raise LookupError(f"{host}:{port} not known")


def written(body: Any) -> str:
    """The text of an answer's body."""
    return body if isinstance(body, str) else json.dumps(body)


class Stand:
    """A server, and the checks of an operator that ask it."""

    def __init__(self, kind: str, key: str) -> None:
        self.kind, self.api, self._key = kind, APIS[kind], key
        self.answer: Handler = self.good
        self.counted: list[str] = []
        self.http = AiohttpHttp(rewrite=names, proxies=Proxies({}))
        self.url = ""
        self.headers: dict[str, list[str]] = {}
        self.asked: list[str] = []
        sender = Sender(self.http, Client(self, SystemClock()), SystemClock(), Clouds(self.http))  # type: ignore[arg-type]
        lookups = Lookups(self.template, self.secret, self.revision)
        self.checks = Checks(
            sender,
            SystemClock(),
            lookups,
            Options(),
            lambda *_: None,
            None,
            lambda _, outcome: self.counted.append(outcome),
        )

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """The API server of the operator, which no provider with an address asks."""
        raise AssertionError(request)

    async def template(self, namespace: str, name: str) -> MetricTemplate | Problem | None:
        """The template of the provider."""
        provider = {"type": self.kind, "address": self.url, "secretRef": {"name": "login"}, **self.api.spec}
        provider["headers"] = self.headers
        meta = {"name": name, "namespace": namespace}
        spec = {"provider": provider, "query": self.api.query}
        return parse_metric_template(
            {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": meta, "spec": spec}
        )

    async def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        """Its Secret. That of stackdriver has a key whose tokens this server issues."""
        found = {key: text.encode() for key, text in self.api.secret.items()}
        if self.kind == "stackdriver":
            key = {**json.loads(self._key), "token_uri": f"{self.url}/token"}
            found["serviceAccountKey"] = json.dumps(key).encode()
        return found

    async def revision(self, namespace: str, name: str) -> str:
        """No canary here is a Knative Service."""
        raise AssertionError(f"{namespace}/{name}")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Issue tokens, and answer queries."""
        self.asked.append(request.path)
        if request.path == "/token":
            return web.json_response({"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"})
        return await self.answer(request)

    async def good(self, request: web.Request) -> web.StreamResponse:
        """Refuse what the provider's API does not take, else answer 7."""
        lacking = [name for name, value in self.api.auth.items() if not request.headers.get(name, "").startswith(value)]
        if (request.method, request.path) != (self.api.method, self.api.path) or lacking:
            return web.Response(status=400, text=f"{request.method} {request.path} lacks {lacking}")
        return web.Response(text=written(self.api.good))

    def answers(self, body: Any) -> None:
        """Answer every query with this body."""

        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=written(body))

        self.answer = answer

    async def check(self) -> Result:
        """Check the metric."""
        metric = {"name": "depth", "templateRef": {"name": "depth"}, "thresholdRange": {"max": 5}}
        canary = parse_canary(
            {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "Canary",
                "metadata": {"name": "cart", "namespace": "shop"},
                "spec": {
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"},
                    "service": {"port": 80},
                    "analysis": {"interval": "1m", "threshold": 1, "stepWeight": 10, "metrics": [metric]},
                },
            }
        )
        return await self.checks.run(CheckMetric(0, "template"), canary)


@pytest.fixture(scope="module")
def key() -> str:
    """The key of a service account."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return json.dumps(
        {"type": "service_account", "client_email": "a@b", "private_key": private.private_bytes(*form).decode()}
    )


@pytest.fixture(params=sorted(APIS))
async def stand(request: pytest.FixtureRequest, key: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    """A stand for each type."""
    monkeypatch.setattr(metrics, "RETRY_PAUSE", 0.01)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    stand = Stand(request.param, key)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stand.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stand.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield stand
    await stand.http.close()
    await runner.cleanup()


async def test_a_good_answer(stand: Stand) -> None:
    """Method, path and authentication are those of the provider's API."""
    assert await stand.check() == Value(7)
    assert stand.counted == ["value"]


def told(result: Result) -> str:
    """The text and the advice of a failed query."""
    assert isinstance(result, QueryFailed), result
    return f"{result.problem.text} {result.problem.todo}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_refusals(stand: Stand, status: int) -> None:
    """The text has the status, the advice provider and address, and none the credentials that the server repeats."""

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, text=f"bad token {SECRET} of {request.headers}")

    stand.answer = refuse
    text = told(await stand.check())
    assert f"Status {status}" in text and SECRET not in text
    assert f"flagger asked {stand.kind} at {stand.url}{stand.api.path}." in text
    assert stand.counted == [f"status_{status // 100}xx"]


@pytest.mark.parametrize("body", ["<!doctype html><html><title>Sign in</title></html>", '{"half": [', "\0\xff", "7,8"])
async def test_answers_of_another_kind(stand: Stand, body: str) -> None:
    """HTML, half a JSON and rubbish are errors, never values."""
    stand.answers(body)
    assert told(await stand.check())
    assert stand.counted == ["error"]


async def test_nothing_found(stand: Stand) -> None:
    """An empty answer of the provider is no value, and the text says how to try the query."""
    empty = {
        "prometheus": {"data": {"resultType": "vector", "result": []}},
        "influxdb": "",
        "graphite": [],
        "splunk": SPLUNK.replace("7", "null"),
        "web": {},
        "datadog": {"series": []},
        "dynatrace": {"result": []},
        "newrelic": {"results": []},
        "cloudwatch": {"MetricDataResults": []},
        "stackdriver": {},
        "externalmetrics": {"items": []},
    }[stand.kind]

    stand.answers(empty)
    result = await stand.check()
    assert isinstance(result, NoData) and "Try the query" in result.cause
    assert stand.counted == ["no_values"]


TWO: dict[str, tuple[Any, Result | str]] = {
    "prometheus": (
        {
            "status": "success",
            "data": {
                "resultType": "vector",
                "result": [{"metric": {}, "value": [1, "7"]}, {"metric": {"a": "b"}, "value": [1, "8"]}],
            },
        },
        "multiple_values",
    ),
    "influxdb": (INFLUX + ",,1,8\n", "multiple_values"),
    "splunk": (SPLUNK.replace("7}]", '7}, {"tsId": "B", "value": 8}]'), "multiple_values"),
    "stackdriver": (
        {"timeSeriesData": [{"pointData": [{"values": [{"doubleValue": number}]}]} for number in (7, 8)]},
        "multiple_values",
    ),
    "externalmetrics": ({"items": [{"value": "7"}, {"value": "8"}]}, "multiple_values"),
    "web": ({"rates": [7, 8]}, "multiple_values"),
    "newrelic": ({"results": [{"result": 7}, {"result": 8}]}, "multiple_values"),
    "datadog": ({"series": [{"pointlist": [[1000, number]], "interval": 10} for number in (7, 8)]}, Value(7)),
    "cloudwatch": ({"MetricDataResults": [{"Id": f"e{number}", "Values": [number]} for number in (7, 8)]}, Value(7)),
    "dynatrace": ({"result": [{"data": [{"values": [7]}, {"values": [8]}]}]}, Value(8)),
    "graphite": ([{"target": f"x{number}", "datapoints": [[number, 1]]} for number in (7, 8)], Value(8)),
}
"""For each type, an answer with two series, and the value or the outcome of it: as docs/templates.md has them."""


async def test_several_series(stand: Stand) -> None:
    """They are ambiguous, unless the order of the provider's answer says which one is meant."""
    body, want = TWO[stand.kind]
    stand.answers(body)
    result = await stand.check()
    assert want in (result, stand.counted[0])


@pytest.mark.parametrize("bad", ["NaN", "x", ""])
async def test_values_that_are_none(stand: Stand, bad: str) -> None:
    """A text and NaN in place of the number are never a value."""
    text = written(stand.api.good)
    quoted = text.replace('"7"', "7").replace("7", json.dumps(bad) if stand.kind != "influxdb" else bad)
    assert quoted != text
    stand.answers(quoted)
    assert not isinstance(await stand.check(), Value)
    assert stand.counted in (["error"], ["no_values"])


async def test_a_server_that_recovers(stand: Stand) -> None:
    """An error of the server is retried once within the check."""

    async def answer(_: web.Request) -> web.Response:
        stand.answer = stand.good
        return web.Response(status=503, text="starting")

    stand.answer = answer
    assert await stand.check() == Value(7)
    assert stand.counted == ["value"]


async def test_refusals_are_not_retried(stand: Stand) -> None:
    """A second request with the same credentials would be refused as well."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=401)

    stand.answer = refuse
    await stand.check()
    assert stand.asked.count(stand.api.path) == 1


async def test_a_body_without_end(stand: Stand) -> None:
    """flagger stops reading at its limit."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b" " * (1 << 20))
        return response

    stand.answer = answer
    assert "larger than" in told(await stand.check())
    assert stand.counted == ["too_large"]


async def test_an_answer_that_ends_early(stand: Stand) -> None:
    """The part that arrived is not judged."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = written(stand.api.good)
        response = web.StreamResponse(headers={"Content-Length": str(len(body) + 100)})
        await response.prepare(request)
        await response.write(body.encode())
        assert request.transport is not None
        request.transport.close()
        return response

    stand.answer = answer
    assert "request failed" in told(await stand.check())
    assert stand.counted in (["malformed"], ["connect"])


async def test_a_redirect_to_a_machine_s_credentials(stand: Stand) -> None:
    """It is not followed."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "http://169.254.169.254/latest/meta-data"})

    stand.answer = answer
    text = told(await stand.check())
    assert "cloud metadata address" in text or "Status 307" in text


async def test_a_server_that_never_answers(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check ends in time. The bound is shortened for this test."""
    release = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    stand.answer = answer
    once = AiohttpHttp._follow

    async def hurried(http: AiohttpHttp, request: Any) -> Any:
        if request.url.endswith("/token"):
            return await once(http, request)
        async with asyncio.timeout(0.1):
            return await once(http, request)

    monkeypatch.setattr(AiohttpHttp, "_follow", hurried)
    text = told(await stand.check())
    release.set()
    assert "no answer within" in text and stand.counted == ["timeout"]


async def test_a_server_that_is_not_there(stand: Stand) -> None:
    """The text says that nothing listens."""
    stand.url = "http://127.0.0.1:1"
    assert told(await stand.check())
    assert stand.counted == ["connect"]


async def test_a_name_that_dns_does_not_know(stand: Stand) -> None:
    """The text has the name."""
    stand.url = stand.url.replace("127.0.0.1", "metrics.example.com")
    assert "cannot resolve metrics.example.com" in told(await stand.check())
    assert stand.counted in (["connect"], ["credentials"])


@pytest.mark.parametrize(
    ("base", "headers"),
    [
        ("", {"THANOS-TENANT": ["team-a"]}),
        ("/prometheus", {"X-Scope-OrgID": ["team-a"]}),
        ("", {}),
        ("/select/42/prometheus", {}),
    ],
    ids=["thanos", "mimir", "victoriametrics-single", "victoriametrics-cluster"],
)
@pytest.mark.parametrize("stand", ["prometheus"], indirect=True)
async def test_systems_that_speak_promql(stand: Stand, base: str, headers: dict[str, list[str]]) -> None:
    """The path and the headers select the tenant, beside the token of the Secret."""
    seen: dict[str, str] = {}

    async def answer(request: web.Request) -> web.Response:
        seen.update(request.headers)
        return web.Response(text=written(VECTOR))

    stand.answer, stand.headers = answer, headers
    stand.url += base
    assert await stand.check() == Value(7)
    assert stand.asked == [f"{base}/api/v1/query"]
    assert {name: [seen[name]] for name in headers} == headers
    assert seen["Authorization"] == f"Bearer {SECRET}"
