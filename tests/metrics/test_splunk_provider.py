"""Running SignalFlow programs in Splunk: what is sent, and which outcome every stream of events is."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.metrics.base import MetricError, MultipleValues, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.splunk import Splunk
from pyflagger.wire import HttpAnswer, HttpFailure

NOW = 1_700_000_000.5
TOKEN = {"sf_token_key": b"hunter2\n"}
HERE = "https://api.eu0.signalfx.com"
QUESTION = Question("\n data('errors').sum().publish()\n", 60.0, NOW)


def event(kind: str, payload: Any) -> str:
    """A server-sent event, its JSON in two lines as Splunk writes it."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return f"event: {kind}\ndata: {text[:1]}\ndata: {text[1:]}\n\n"


def data(*points: tuple[str, Any]) -> str:
    """A message with points."""
    listed = [{"tsId": series, "value": value} for series, value in points]
    return event("data", {"data": listed, "logicalTimestampMs": 1700000000000, "maxDelayMs": 1000})


START = event("control-message", {"event": "STREAM_START", "timestampMs": 1700000000000})
META = event("metadata", {"tsId": "AAA", "properties": {"sf_metric": "errors"}})
END = event("control-message", {"event": "END_OF_CHANNEL", "timestampMs": 1700000000000})


def value_of(*events: str) -> float:
    """What a stream gives."""
    return value(HttpAnswer(200, "".join((START, META, *events, END)).encode()))


def value(answer: HttpAnswer | HttpFailure) -> float:
    """What an answer gives."""
    return play(Splunk(Settings(HERE, secret=TOKEN)).query(QUESTION), answer)[0]


def test_the_request() -> None:
    """The program is the body; the window is ten intervals up to now, in milliseconds; the token is a header."""
    stream = HttpAnswer(200, (START + data(("AAA", 1)) + END).encode())
    _, (request,) = play(Splunk(Settings(HERE, secret=TOKEN)).query(QUESTION), stream)
    parts = urlsplit(request.url)
    assert (request.method, parts.netloc, parts.path) == ("POST", "stream.eu0.signalfx.com", "/v2/signalflow/execute")
    assert parse_qs(parts.query) == {"start": ["1699999400500"], "stop": ["1700000000500"], "immediate": ["true"]}
    assert request.body == b"data('errors').sum().publish()"
    assert dict(request.headers) == {
        "X-SF-Token": "hunter2",
        "Content-Type": "text/plain",
        "Accept": "text/event-stream",
    }


@pytest.mark.parametrize(
    ("address", "stream", "api"),
    [
        (HERE, "https://stream.eu0.signalfx.com", HERE),
        ("wss://stream.eu0.signalfx.com/", "https://stream.eu0.signalfx.com", HERE),
        ("ws://stream.x", "http://stream.x", "http://api.x"),
        ("http://proxy.shop/api", "http://proxy.shop/api", "http://proxy.shop/api"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_addresses(address: str, stream: str, api: str) -> None:
    """Both hosts of a realm follow from one; other hosts serve both."""
    provider = Splunk(Settings(address, {"X-A": ("1",)}, verify=False, secret=TOKEN))
    _, (asked,) = play(provider.query(QUESTION), HttpAnswer(200, data(("A", 1)).encode()))
    _, (probe,) = play(provider.online(), answered(200, {"results": []}))
    assert asked.url.startswith(f"{stream}/v2/signalflow/execute?") and not asked.verify
    assert (probe.method, probe.url) == ("GET", f"{api}/v2/metric?limit=1")
    assert {("X-SF-Token", "hunter2"), ("X-A", "1")} <= set(probe.headers)


@pytest.mark.parametrize("address", ["", "api.eu0.signalfx.com", "ftp://x", "https://"])
def test_addresses_that_are_none(address: str) -> None:
    """They are refused before anything is sent."""
    with pytest.raises(ProviderError, match="address"):
        Splunk(Settings(address, secret=TOKEN))


@pytest.mark.parametrize("secret", [None, {}, {"sf_token_key": b"\n"}])
def test_a_token_is_needed(secret: dict[str, bytes] | None) -> None:
    """Without one nothing is sent."""
    with pytest.raises(ProviderError, match="sf_token_key"):
        Splunk(Settings(HERE, secret=secret))


@pytest.mark.parametrize(
    ("events", "want"),
    [
        ([data(("AAA", 1)), data(("AAA", 2.5))], 2.5),
        ([data(("AAA", 1)), data(("AAA", None))], 1.0),
        ([data(), data(("AAA", 0))], 0.0),
        ([data(("AAA", "NaN")), data(("AAA", 3))], 3.0),
        ([event("message", {"message": {"messageCode": "FETCH_NUM_TIMESERIES"}}), data(("AAA", 3))], 3.0),
    ],
)
def test_values(events: list[str], want: float) -> None:
    """The last of the series that is a number."""
    assert value_of(*events) == want


@pytest.mark.parametrize("events", [[], [data()], [data(("AAA", None))], [data(("AAA", float("nan")))]])
def test_no_values(events: list[str]) -> None:
    """No points, nulls, and what is not finite."""
    with pytest.raises(NoValues):
        value_of(*events)


@pytest.mark.parametrize("events", [[data(("AAA", 1), ("BBB", 1))], [data(("AAA", 1)), data(("BBB", 2))]])
def test_several_series(events: list[str]) -> None:
    """They are ambiguous, as in Flagger, even when they agree."""
    with pytest.raises(MultipleValues, match="2 series"):
        value_of(*events)


ABORT = event("control-message", {"event": "CHANNEL_ABORT", "abortInfo": {"sf_job_abortReason": "too much data"}})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (HttpAnswer(200, event("error", {"errors": [{"code": "ANALYTICS_PROGRAM_NAME_ERROR"}]}).encode()), "NAME_ERR"),
        (HttpAnswer(200, event("error", {"message": "no such function"}).encode()), "no such function"),
        (HttpAnswer(200, (data(("AAA", 1)) + ABORT).encode()), "too much data"),
        (HttpAnswer(200, event("data", '{"data": [').encode()), "not a JSON object"),
        (HttpAnswer(200, event("data", "[]").encode()), "not a JSON object"),
        (HttpAnswer(200, event("data", {"data": [1]}).encode()), "no points"),
        (HttpAnswer(200, b"<html><title>Sign in</title>"), "not a stream of events"),
        (HttpAnswer(200), "not a stream of events"),
        (answered(401, {"message": "Unauthorized", "errorType": "X"}), "Status 401 Unauthorized"),
        (answered(403), "Status 403"),
        (answered(400, {"message": "unexpected token", "code": 400}), "unexpected token"),
        (answered(429), "Status 429"),
        (answered(502), "Status 502"),
        (HttpFailure("connect", "cannot resolve stream.eu9.signalfx.com: Name or service not known"), "eu9"),
        (HttpFailure("too-large", "larger"), "larger"),
    ],
)
def test_errors(answer: HttpAnswer | HttpFailure, told: str) -> None:
    """Everything else is an error with something to do."""
    with pytest.raises(ProviderError, match=told) as caught:
        value(answer)
    assert caught.value.problem.todo


LINES = st.sampled_from(
    ["event: data", "data: {}", 'data: {"data": [', "data: 1]}", "event:error", "", "data: null", ":"]
)


@given(st.lists(LINES, max_size=20).map("\n".join), st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_answer(text: str, raw: bytes) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    for body in (text.encode(), raw):
        try:
            assert abs(value(HttpAnswer(200, body))) < float("inf")
        except MetricError as error:
            assert error.problem.text
