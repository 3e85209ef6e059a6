"""Asking CloudWatch: what is sent with whose credentials, and which outcome every kind of answer is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.api.facts import Fault
from pyflagger.metrics.base import MetricError, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.cloudwatch import CloudWatch
from pyflagger.wire import AwsAuth, HttpAnswer, HttpFailure

NOW = 1_700_000_000.5
CONFIG = Settings(region="eu-west-1")
STAT = {"Metric": {"Namespace": "AWS/ELB", "MetricName": "Errors", "Dimensions": [{"Name": "LB", "Value": "cart"}]}}
QUERIES = [{"Id": "e1", "MetricStat": {**STAT, "Period": 60, "Stat": "Sum", "Unit": "Count"}, "ReturnData": True}]
QUESTION = Question(json.dumps(QUERIES), 60.0, NOW)


def result(*values: Any, **more: Any) -> dict[str, Any]:
    """A result, newest first."""
    times = [1700000000 - 60 * at for at in range(len(values))]
    return {
        "Id": "e1",
        "Label": "errors",
        "Timestamps": times,
        "Values": list(values),
        "StatusCode": "Complete",
        **more,
    }


def results(*found: Any) -> HttpAnswer:
    """An answer."""
    return answered(200, {"Messages": [], "MetricDataResults": list(found)})


def error(status: int, code: str, message: str = "told") -> HttpAnswer:
    """An error of AWS."""
    return answered(status, {"__type": f"com.amazonaws.cloudwatch.v2010_08_01#{code}", "message": message})


def value_of(answer: HttpAnswer | HttpFailure) -> float:
    """What an answer gives."""
    return play(CloudWatch(CONFIG).query(QUESTION), answer)[0]


def test_the_request() -> None:
    """A call of GetMetricData over ten intervals, to be signed for the region."""
    _, (request,) = play(CloudWatch(CONFIG).query(QUESTION), results(result(1)))
    assert (request.method, request.url) == ("POST", "https://monitoring.eu-west-1.amazonaws.com/")
    assert request.auth == AwsAuth("monitoring", "eu-west-1")
    assert dict(request.headers) == {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData",
    }
    assert json.loads(request.body or b"") == {
        "MetricDataQueries": QUERIES,
        "StartTime": 1699999400,
        "EndTime": 1700000000,
        "MaxDatapoints": 20,
    }


def test_spelling() -> None:
    """Fields in any case, and without those that CloudWatch does not know; names of dimensions stay."""
    text = '[{"id": "e1", "expression": "m1 / 2", "label": "x", "note": "mine", "metricstat": {"METRIC": {}}}]'
    _, (request,) = play(CloudWatch(CONFIG).query(Question(text)), results(result(1)))
    want = [{"Id": "e1", "Expression": "m1 / 2", "Label": "x", "MetricStat": {"Metric": {}}}]
    assert json.loads(request.body or b"")["MetricDataQueries"] == want


@pytest.mark.parametrize(
    ("config", "url"),
    [
        (Settings(region="cn-north-1"), "https://monitoring.cn-north-1.amazonaws.com.cn/"),
        (Settings(region="us-gov-west-1"), "https://monitoring.us-gov-west-1.amazonaws.com/"),
        (Settings("https://vpce-1.monitoring.x/", region="eu-west-1"), "https://vpce-1.monitoring.x/"),
    ],
)
def test_endpoints(config: Settings, url: str) -> None:
    """That of the region's partition, or the address."""
    assert play(CloudWatch(config).query(QUESTION), results(result(1)))[1][0].url == url


@pytest.mark.parametrize("region", ["", "Ireland", "eu-west-1.evil.com", "eu_west_1", "eu-west-1/x"])
def test_regions_that_are_none(region: str) -> None:
    """They are refused before anything is sent."""
    with pytest.raises(ProviderError, match="region") as caught:
        CloudWatch(Settings(region=region))
    assert caught.value.problem.fault is Fault.MANIFEST


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", "[{", '{"Id": "x"}'])
def test_queries_that_are_none(text: str) -> None:
    """Nothing is sent."""
    with pytest.raises(ProviderError, match="the query is not") as caught:
        next(CloudWatch(CONFIG).query(Question(text)))
    assert caught.value.problem.fault is Fault.MANIFEST


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        (results(result(3, 2, 1)), 3.0),
        (results(result(0.0)), 0.0),
        (results(result(3), result(9)), 3.0),
        (results(result("x", 2)), 2.0),
        (results(result(3, StatusCode="PartialData")), 3.0),
    ],
)
def test_values(answer: HttpAnswer, want: float) -> None:
    """The newest of the first result."""
    assert value_of(answer) == want


@pytest.mark.parametrize("answer", [results(), results(result()), results(result(), result(1)), results(result("NaN"))])
def test_no_values(answer: HttpAnswer) -> None:
    """No result, no values, none that is finite."""
    with pytest.raises(NoValues):
        value_of(answer)


def test_no_values_with_messages() -> None:
    """What CloudWatch says about the answer and its first result is in the text."""
    told = [{"Code": "MaxMetricsExceeded", "Value": "too many metrics"}, 7]
    first = {"Id": "e1", "Values": [], "StatusCode": "Complete", "Messages": [{"Value": "m1 has no data"}]}
    with pytest.raises(NoValues, match="no values found: too many metrics; m1 has no data"):
        value_of(answered(200, {"MetricDataResults": [first], "Messages": told}))


@pytest.mark.parametrize(
    ("answer", "told", "todo"),
    [
        (error(400, "AccessDeniedException"), "AccessDeniedException: told", "cloudwatch:GetMetricData"),
        (error(403, "InvalidClientTokenId"), "InvalidClientTokenId", "access key"),
        (error(403, "UnrecognizedClientException"), "UnrecognizedClient", "access key"),
        (error(400, "ExpiredTokenException"), "ExpiredToken", "have expired"),
        (error(403, "SignatureDoesNotMatch"), "SignatureDoesNotMatch", "secret access key"),
        (error(403, "RequestTimeTooSkewed"), "TooSkewed", "clock"),
        (error(400, "ThrottlingException", "Rate exceeded"), "Rate exceeded", "limits the rate"),
        (error(400, "ValidationError"), "ValidationError", "get-metric-data"),
        (error(500, "InternalServiceFault"), "InternalServiceFault", "health"),
        (answered(403, b"<html>"), "Status 403", "credentials"),
        (answered(503), "Status 503", "health"),
        (answered(429), "Status 429", "rate"),
        (answered(301), "Status 301", "."),
        (answered(200, b'{"MetricData'), "not JSON", "region"),
        (answered(200, b"<html>"), "not JSON", "region"),
        (answered(200, {}), "no MetricDataResults", "region"),
        (results({}), "no Values", "region"),
        (results(result(1, StatusCode="Forbidden", Messages=[{"Value": "no"}])), "Forbidden for e1", "account"),
        (HttpFailure("credentials", "there are no AWS credentials"), "no AWS credentials", "identity"),
        (HttpFailure("connect", "cannot resolve monitoring.eu-west-9.amazonaws.com: x"), "eu-west-9", "reachable"),
        (HttpFailure("too-large", "larger"), "larger", "Aggregate"),
    ],
)
def test_errors(answer: HttpAnswer | HttpFailure, told: str, todo: str) -> None:
    """Everything else is an error that says what to do."""
    with pytest.raises(ProviderError, match=told) as caught:
        value_of(answer)
    assert todo in caught.value.problem.todo


def test_online() -> None:
    """Credentials are checked before the empty query is."""
    for answer in (results(), error(400, "ValidationError"), error(400, "MissingParameter")):
        _, (request,) = play(CloudWatch(CONFIG).online(), answer)
        assert json.loads(request.body or b"")["MetricDataQueries"] == [] and request.auth
    for answer in (error(400, "AccessDeniedException"), error(403, "ExpiredToken"), answered(400), answered(503)):
        with pytest.raises(ProviderError):
            play(CloudWatch(CONFIG).online(), answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["MetricDataResults", "Values", "__type", "message"]), inner, max_size=2)
    ),
    max_leaves=10,
)


@given(JSON, st.sampled_from([200, 400, 403]))
@settings(max_examples=200, deadline=None)
def test_any_answer(body: Any, status: int) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    for shape in (body, {"MetricDataResults": body}, {"MetricDataResults": [{"Values": body}]}):
        try:
            assert abs(value_of(answered(status, shape))) < float("inf")
        except MetricError as caught:
            assert caught.problem.text
