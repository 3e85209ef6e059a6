"""Asking Dynatrace: what is sent, and which outcome every kind of answer is."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.metrics.base import MetricError, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.dynatrace import Dynatrace

CONFIG = Settings("https://env.live.dynatrace.com/", secret={"dynatrace_token": b"tok\n"})


def value_of(body: Any) -> float:
    """What a query gives that is answered so."""
    return play(Dynatrace(CONFIG).query(Question("m", 30.0, 1_700_000_000.9)), answered(200, body))[0]


def result(*series: list[Any]) -> dict[str, Any]:
    """An answer with one metric."""
    return {"result": [{"metricId": "m", "data": [{"timestamps": [1], "values": values} for values in series]}]}


def test_the_request() -> None:
    """Ten intervals as one, in whole seconds told as milliseconds, with the token."""
    _, (request,) = play(
        Dynatrace(CONFIG).query(Question(" m:avg ", 30.0, 1_700_000_000.9)), answered(200, result([1]))
    )
    parts = urlsplit(request.url)
    assert (parts.netloc, parts.path) == ("env.live.dynatrace.com", "/api/v2/metrics/query")
    assert parse_qs(parts.query) == {
        "metricSelector": ["m:avg"],
        "resolution": ["Inf"],
        "from": ["1699999700000"],
        "to": ["1700000000000"],
    }
    assert request.headers == (("Authorization", "Api-Token tok"),)


def test_online() -> None:
    """One metric is asked for; a refusal is an error."""
    _, (request,) = play(Dynatrace(CONFIG).online(), answered(200, {}))
    assert request.url == "https://env.live.dynatrace.com/api/v2/metrics?pageSize=1"
    with pytest.raises(ProviderError, match="401"):
        play(Dynatrace(CONFIG).online(), answered(401))


@pytest.mark.parametrize("secret", [None, {}, {"dynatrace_token": b" "}])
def test_a_token_is_needed(secret: dict[str, bytes] | None) -> None:
    """Without one nothing is asked."""
    with pytest.raises(ProviderError, match="dynatrace_token"):
        Dynatrace(Settings("https://x", secret=secret))


@pytest.mark.parametrize(
    ("body", "want"),
    [(result([2.5]), 2.5), (result([1], [2]), 2.0), (result([1], [None]), 1.0), (result([1], [2, 3]), 2.0)],
)
def test_values(body: Any, want: float) -> None:
    """The first of the last series that has one; null is no zero."""
    assert value_of(body) == want


@pytest.mark.parametrize("body", [{"result": []}, result(), result([]), result([None]), result([None], ["x"])])
def test_no_values(body: Any) -> None:
    """Empty lists and nulls."""
    with pytest.raises(NoValues):
        value_of(body)


def test_no_values_with_warnings() -> None:
    """What Dynatrace says about a selector is in the text."""
    body = {"warnings": ["the selector is deprecated"], "result": [{"data": [], "warnings": ["no such dimension"]}]}
    with pytest.raises(NoValues, match="no values found: the selector is deprecated; no such dimension"):
        value_of(body)


@pytest.mark.parametrize("body", [b"<html>", [], {}, {"result": [1]}, {"result": [{}]}, {"result": [{"data": [1]}]}])
def test_errors(body: Any) -> None:
    """Anything else."""
    with pytest.raises(ProviderError):
        value_of(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "values"]), inner, max_size=2),
    max_leaves=10,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_any_answer(body: Any) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    for shape in ({"result": body}, {"result": [body]}, {"result": [{"data": body}]}, result([body])):
        try:
            assert abs(value_of(shape)) < float("inf")
        except MetricError as error:
            assert error.problem.text
