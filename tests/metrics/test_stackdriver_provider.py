"""Asking Cloud Monitoring in MQL and in PromQL: what is sent with whose token, and which outcome each answer is."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play, vector

from pyflagger.api.facts import Fault
from pyflagger.metrics.base import MetricError, MultipleValues, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.stackdriver import SCOPE, Stackdriver
from pyflagger.wire import GoogleAuth, HttpAnswer, HttpFailure

ACCOUNT = {
    "type": "service_account",
    "project_id": "acme-prod",
    "private_key": "hunter2",
    "client_email": "flagger@acme-prod.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
KEY = json.dumps(ACCOUNT)
PROJECT = {"project": b"acme\n"}
CONFIG = Settings(secret=PROJECT)
MQL = "fetch k8s_container | metric 'x' | align rate(1m) | every 1m"


def point(**value: Any) -> dict[str, Any]:
    """A point."""
    times = {"startTime": "2026-11-30T10:00:00Z", "endTime": "2026-11-30T10:01:00Z"}
    return {"values": [value], "timeInterval": times}


def data(*series: Any, **more: Any) -> HttpAnswer:
    """An answer; each series is a list of points, newest first."""
    listed = [{"labelValues": [], "pointData": points} for points in series]
    return answered(200, {"timeSeriesDescriptor": {"pointDescriptors": [{}]}, "timeSeriesData": listed, **more})


def error(code: int, status: str, message: str = "told") -> HttpAnswer:
    """An error of Google."""
    return answered(code, {"error": {"code": code, "message": message, "status": status}})


def value_of(answer: HttpAnswer | HttpFailure, text: str = MQL) -> float:
    """What an answer gives."""
    return play(Stackdriver(CONFIG).query(Question(text)), answer)[0]


@pytest.mark.parametrize("prefix", ["", "mql:", " MQL: "])
def test_mql_is_posted(prefix: str) -> None:
    """As JSON, to the project of the Secret, with a token of the process."""
    _, (request,) = play(Stackdriver(CONFIG).query(Question(f"{prefix}{MQL}\n")), data([point(doubleValue=1)]))
    assert (request.method, request.url) == (
        "POST",
        "https://monitoring.googleapis.com/v3/projects/acme/timeSeries:query",
    )
    assert json.loads(request.body or b"") == {"query": MQL}
    assert request.headers == (("Content-Type", "application/json"),) and request.auth == GoogleAuth(SCOPE)


def test_promql_is_posted() -> None:
    """As a form, to Google's Prometheus."""
    _, (request,) = play(Stackdriver(CONFIG).query(Question("promql: sum(rate(x[1m]))\n")), vector("2.5"))
    assert request.url == ("https://monitoring.googleapis.com/v1/projects/acme/location/global/prometheus/api/v1/query")
    assert parse_qs((request.body or b"").decode()) == {"query": ["sum(rate(x[1m]))"]}
    assert request.headers == (("Content-Type", "application/x-www-form-urlencoded"),)
    assert request.auth == GoogleAuth(SCOPE)


@pytest.mark.parametrize(
    ("secret", "project"),
    [({"serviceAccountKey": KEY.encode()}, "acme-prod"), ({**PROJECT, "serviceAccountKey": KEY.encode()}, "acme")],
)
def test_keys(secret: dict[str, bytes], project: str) -> None:
    """The token is that of the key, and so is the project unless the Secret names one."""
    _, (request,) = play(Stackdriver(Settings(secret=secret)).query(Question(MQL)), data([point(doubleValue=1)]))
    assert f"/projects/{project}/" in request.url and request.auth == GoogleAuth(SCOPE, KEY)
    assert "hunter2" not in repr(request)


@pytest.mark.parametrize(
    "address", ["https://evil.example.com", "http://monitoring.googleapis.com", "https://xgoogleapis.com"]
)
def test_the_token_of_the_process_goes_to_google_only(address: str) -> None:
    """Whoever writes a template must not get it. The token of their own key goes wherever they say."""
    with pytest.raises(ProviderError, match=r"not an https:// address of googleapis\.com") as caught:
        Stackdriver(Settings(address, secret=PROJECT))
    assert caught.value.problem.fault is Fault.MANIFEST
    own = Settings(address, verify=False, secret={"serviceAccountKey": KEY.encode()})
    _, (request,) = play(Stackdriver(own).query(Question(MQL)), data([point(doubleValue=1)]))
    assert request.url.startswith(f"{address}/v3/") and not request.verify
    private = Settings("https://monitoring-acme.p.googleapis.com", verify=False, secret=PROJECT)
    _, (request,) = play(Stackdriver(private).query(Question(MQL)), data([point(doubleValue=1)]))
    assert request.url.startswith("https://monitoring-acme.p.googleapis.com/v3/") and request.verify


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        (None, "no project"),
        ({}, "no project"),
        ({"project": b"a/../b"}, "not the ID of a project"),
        ({**PROJECT, "serviceAccountKey": b"hunter2"}, "not the JSON key"),
        ({**PROJECT, "serviceAccountKey": b'{"type": "external_account", "x": "hunter2"}'}, "not the JSON key"),
        ({**PROJECT, "serviceAccountKey": b'["hunter2"]'}, "not the JSON key"),
        ({"serviceAccountKey": json.dumps({**ACCOUNT, "project_id": 7}).encode()}, "not the ID of a project"),
    ],
)
def test_secrets_of_no_use(secret: dict[str, bytes] | None, told: str) -> None:
    """Nothing is sent, and the text has no part of the key."""
    with pytest.raises(ProviderError, match=told) as caught:
        Stackdriver(Settings(secret=secret))
    assert caught.value.problem.fault is Fault.MANIFEST and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        (data([point(doubleValue=2.5), point(doubleValue=9)]), 2.5),
        (data([point(doubleValue=0)]), 0.0),
        (data([point(int64Value="42")]), 42.0),
        (data([point(boolValue=True)]), 1.0),
        (data([point(doubleValue=1)], [point(int64Value="1")]), 1.0),
    ],
)
def test_values(answer: HttpAnswer, want: float) -> None:
    """Doubles, integers, which are texts, and booleans; the newest point."""
    assert value_of(answer) == want


@pytest.mark.parametrize(
    "answer",
    [answered(200, {}), data(), data([]), data([{}]), data([{"values": []}]), data([point(doubleValue="NaN")])],
)
def test_no_values(answer: HttpAnswer) -> None:
    """Google leaves out what is empty."""
    with pytest.raises(NoValues):
        value_of(answer)


def test_several_series() -> None:
    """They are ambiguous unless they agree."""
    with pytest.raises(MultipleValues):
        value_of(data([point(doubleValue=1)], [point(doubleValue=2)]))
    with pytest.raises(MultipleValues):
        value_of(vector("1", "2"), "promql: up")


@pytest.mark.parametrize(
    ("answer", "told", "todo"),
    [
        (data([point(distributionValue={"count": "3"})]), "distributionValue, not a number", "percentile"),
        (data([point(stringValue="x")]), "stringValue, not a number", "Reduce"),
        (data([point(doubleValue="x")]), "doubleValue, not a number", "Reduce"),
        (data([1]), "no points", "address"),
        (data([point(doubleValue=1)], partialErrors=[{"code": 14, "message": "half"}]), "incomplete.*half", "Try"),
        (answered(200, {"timeSeriesData": 1}), "no list of time series", "address"),
        (answered(200, {"status": "success"}), "no list of time series", "address"),
        (answered(200, b'{"timeSeries'), "not JSON", "address"),
        (answered(200, b"<html>"), "not JSON", "address"),
        (error(400, "INVALID_ARGUMENT", "Line 1: bad"), "INVALID_ARGUMENT: Line 1: bad", "rejects the query"),
        (error(401, "UNAUTHENTICATED"), "UNAUTHENTICATED", "credentials"),
        (error(403, "PERMISSION_DENIED"), "PERMISSION_DENIED", "roles/monitoring.viewer"),
        (error(404, "NOT_FOUND"), "NOT_FOUND", "Monitoring API"),
        (error(429, "RESOURCE_EXHAUSTED"), "RESOURCE_EXHAUSTED", "rate"),
        (error(503, "UNAVAILABLE"), "UNAVAILABLE", "health"),
        (answered(502, b"<html>"), "Status 502", "health"),
        (HttpFailure("credentials", "Google gave no credentials: invalid_grant"), "invalid_grant", "identity"),
        (HttpFailure("timeout", "late"), "late", "in time"),
    ],
)
def test_errors(answer: HttpAnswer | HttpFailure, told: str, todo: str) -> None:
    """Everything else is an error that says what to do."""
    with pytest.raises(ProviderError, match=told) as caught:
        value_of(answer)
    assert todo in caught.value.problem.todo


def test_online() -> None:
    """Credentials are checked before the empty query is."""
    for answer in (data(), error(400, "INVALID_ARGUMENT")):
        _, (request,) = play(Stackdriver(CONFIG).online(), answer)
        assert json.loads(request.body or b"") == {"query": ""} and request.auth
    for answer in (error(403, "PERMISSION_DENIED"), error(400, "FAILED_PRECONDITION"), answered(400), answered(503)):
        with pytest.raises(ProviderError):
            play(Stackdriver(CONFIG).online(), answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["timeSeriesData", "pointData", "values", "doubleValue"]), inner, max_size=2)
    ),
    max_leaves=10,
)


@given(JSON, st.sampled_from([200, 400]))
@settings(max_examples=200, deadline=None)
def test_any_answer(body: Any, status: int) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    points = {"timeSeriesData": [{"pointData": body}]}
    values = {"timeSeriesData": [{"pointData": [{"values": body}]}]}
    for shape in (body, {"timeSeriesData": body}, points, values, {"error": body}):
        for text in (MQL, "promql: up"):
            try:
                assert abs(value_of(answered(status, shape), text)) < float("inf")
            except MetricError as caught:
                assert caught.problem.text
