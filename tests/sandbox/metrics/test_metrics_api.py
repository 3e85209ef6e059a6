"""The query API: shapes, errors, over sockets and without."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from pyflagger.clock import LoopClock
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest
from pyflagger_sandbox.metrics import Api, Engine, InProcessMetrics, Scraper, ScrapeTarget, Store, labels_of, serving

FORM = {"content-type": "application/x-www-form-urlencoded"}
START = 1_700_000_000.0


class Still(LoopClock):
    """A clock that stands still."""

    def monotonic(self) -> float:
        return 0.0


class Page:
    """An Http whose every page is the same."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(200, b'hits_total{code="200"} 7\n')


async def one_target() -> list[ScrapeTarget]:
    return [ScrapeTarget("http://127.0.0.9:80/metrics", {"pod": "p"})]


@pytest.fixture
def api() -> Api:
    """Two series, written around the start."""
    store = Store()
    for code, value in (("200", 41.5), ("500", float("nan"))):
        for second in range(0, 20, 5):
            store.append(labels_of([("__name__", "hits"), ("code", code)]), round((START + second) * 1000), value)
    store.append(labels_of([("__name__", "up"), ("job", "ä")]), round(START * 1000), 1.0)
    return Api(Engine(store), Still(start=START))


def get(api: Api, path: str, **params: Any) -> Any:
    """A GET, its document."""
    return json.loads(api.answer("GET", f"{path}?{urlencode(params, doseq=True)}").body)


def test_instant_shapes(api: Api) -> None:
    """Vector, scalar, string and matrix, numbers as text."""
    assert get(api, "/api/v1/query", query='hits{code="200"}', time=START + 16.25) == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {"__name__": "hits", "code": "200"}, "value": [START + 16.25, "41.5"]}],
        },
    }
    assert get(api, "/api/v1/query", query="1", time="2023-11-14T22:13:20Z")["data"] == {
        "resultType": "scalar",
        "result": [1700000000, "1"],
    }
    assert get(api, "/api/v1/query", query="'x'", time=1)["data"] == {"resultType": "string", "result": [1, "x"]}
    matrix = get(api, "/api/v1/query", query='hits{code="500"}[6s]', time=START + 15)["data"]
    assert matrix["resultType"] == "matrix"
    assert matrix["result"][0]["values"] == [[START + 10, "NaN"], [START + 15, "NaN"]]
    assert get(api, "/api/v1/query", query="nothing", time=1)["data"] == {"resultType": "vector", "result": []}


def test_range_shape(api: Api) -> None:
    """A matrix with a point a step, also for a number; durations as text are taken."""
    document = get(api, "/api/v1/query_range", query="2", start=START, end=START + 60, step="30s")
    assert document["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[START, "2"], [START + 30, "2"], [START + 60, "2"]]}],
    }


@pytest.mark.parametrize(
    ("path", "params", "status", "kind", "text"),
    [
        (
            "/api/v1/query",
            {"query": "foo(hits)"},
            400,
            "bad_data",
            'invalid parameter "query": 1:1: parse error: unknown function',
        ),
        ("/api/v1/query", {}, 400, "bad_data", 'invalid parameter "query"'),
        (
            "/api/v1/query",
            {"query": "1", "time": "yesterday"},
            400,
            "bad_data",
            'invalid parameter "time": cannot parse "yesterday"',
        ),
        ("/api/v1/query", {"query": "1", "time": "nan"}, 400, "bad_data", 'invalid parameter "time"'),
        ("/api/v1/query", {"query": "1", "time": "1e300"}, 400, "bad_data", "not a time"),
        ("/api/v1/query", {"query": "hits + on() hits"}, 422, "execution", "many-to-many"),
        ("/api/v1/query_range", {"query": "1", "end": 1, "step": 1}, 400, "bad_data", 'invalid parameter "start"'),
        ("/api/v1/query_range", {"query": "1", "start": 1, "end": 1}, 400, "bad_data", 'invalid parameter "step"'),
        ("/api/v1/query_range", {"query": "1", "start": 1, "end": 1, "step": "x"}, 400, "bad_data", "valid duration"),
        (
            "/api/v1/query_range",
            {"query": "1", "start": 2, "end": 1, "step": 1},
            400,
            "bad_data",
            'invalid parameter "end"',
        ),
        ("/api/v1/series", {}, 400, "bad_data", "no match[]"),
        ("/api/v1/series", {"match[]": "rate(m[1m])"}, 400, "bad_data", 'invalid parameter "match[]"'),
        ("/api/v1/nothing", {}, 404, "not_found", "/api/v1/nothing"),
        ("/", {}, 404, "not_found", "no such endpoint"),
        ("/api/v1/query", {f"p{n}": "1" for n in range(300)}, 400, "bad_data", "form values"),
    ],
)
def test_errors_are_documents(api: Api, path: str, params: dict[str, Any], status: int, kind: str, text: str) -> None:
    """Status, errorType and a text that names the parameter."""
    answer = api.answer("GET", f"{path}?{urlencode(params)}")
    document = json.loads(answer.body)
    assert (answer.status, document["status"], document["errorType"]) == (status, "error", kind)
    assert text in document["error"]


def test_series_and_labels(api: Api) -> None:
    """What is there, narrowed by match[] and by time."""
    both = [{"__name__": "hits", "code": "200"}, {"__name__": "hits", "code": "500"}]
    assert get(api, "/api/v1/series", **{"match[]": "hits"})["data"] == both
    assert get(api, "/api/v1/series", **{"match[]": ['hits{code="200"}', 'hits{code=~"2.."}']})["data"] == both[:1]
    assert get(api, "/api/v1/series", **{"match[]": "hits", "start": START + 100})["data"] == []
    assert get(api, "/api/v1/labels")["data"] == ["__name__", "code", "job"]
    assert get(api, "/api/v1/labels", **{"match[]": "up"})["data"] == ["__name__", "job"]
    assert get(api, "/api/v1/label/__name__/values")["data"] == ["hits", "up"]
    assert get(api, "/api/v1/label/job/values")["data"] == ["ä"]
    assert get(api, "/api/v1/label/nosuch/values")["data"] == []


def test_health_and_own_metrics(api: Api) -> None:
    """Probes are plain text; /metrics is in the text format."""
    assert api.answer("GET", "/-/healthy").status == 200
    assert api.answer("GET", "/-/ready").status == 200
    page = api.answer("GET", "/metrics").body.decode()
    assert "prometheus_tsdb_head_series 3.0" in page
    assert "pyflagger_store_samples_refused_total 0.0" in page


async def test_targets() -> None:
    """What is scraped, in Prometheus's shape."""
    store, clock = Store(), Still(start=START)
    scraper = Scraper(store, one_target, Page(), clock)
    api = Api(Engine(store), clock, scraper)
    assert get(api, "/api/v1/targets")["data"] == {"activeTargets": [], "droppedTargets": []}
    await scraper.round()
    (target,) = get(api, "/api/v1/targets")["data"]["activeTargets"]
    assert target["health"] == "up"
    assert target["scrapeUrl"] == "http://127.0.0.9:80/metrics"
    assert target["labels"] == {"instance": "127.0.0.9:80", "job": "pods", "pod": "p"}
    assert target["lastError"] == ""
    assert target["scrapeInterval"] == "1s"
    assert get(api, "/api/v1/query", query="hits_total", time=clock.now())["data"]["result"][0]["value"][1] == "7"


async def test_in_process_client(api: Api) -> None:
    """Any host and base path-less URL reaches the store; GET and POST; the body is bounded."""
    http = InProcessMetrics(api)
    url = "http://prometheus:9090/api/v1/query?" + urlencode({"query": "vector(1)"})
    answer = await http.send(HttpRequest("GET", url))
    assert json.loads(answer.body)["data"]["result"][0]["value"][1] == "1"
    form = urlencode({"query": "vector(2)"}).encode()
    answer = await http.send(HttpRequest("POST", "http://prometheus:9090/api/v1/query", body=form))
    assert json.loads(answer.body)["data"]["result"][0]["value"][1] == "2"
    with pytest.raises(HttpFailure) as refused:
        await http.send(HttpRequest("GET", url, max_bytes=10))
    assert refused.value.kind == "too-large"


async def test_over_sockets(api: Api) -> None:
    """The same answers over HTTP on loopback, and the port is free afterwards."""
    async with serving(api) as url, aiohttp.ClientSession() as session:
        assert url.startswith("http://127.0.0.1:")
        async with session.get(url + "/api/v1/query", params={"query": "1 + 1"}) as answer:
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/json"
            assert (await answer.json())["data"]["result"][1] == "2"
        async with session.post(url + "/api/v1/query", data={"query": "sum("}) as answer:
            assert answer.status == 400
            assert (await answer.json())["errorType"] == "bad_data"
        async with session.get(url + "/-/ready") as answer:
            assert answer.status == 200
        async with session.delete(url + "/api/v1/query") as answer:
            assert answer.status == 400
        async with session.post(url + "/api/v1/query", data=io.BytesIO(b"x" * (2 << 20)), headers=FORM) as answer:
            assert answer.status == 413
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)
