"""Asking Graphite and New Relic: what is sent, and which outcome every kind of answer is."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.metrics.base import MetricError, MultipleValues, NoValues, Provider, ProviderError, Question, Settings
from pyflagger.metrics.graphite import Graphite
from pyflagger.metrics.newrelic import NewRelic
from pyflagger.wire import HttpAnswer

KEYS = {"newrelic_account_id": b"42\n", "newrelic_query_key": b"key"}
LOGIN = {"username": b"u", "password": b"p"}
HERE = "http://graphite/base/"


def graphite_value(body: Any) -> float:
    """What a query gives that Graphite answers so."""
    return play(Graphite(Settings(HERE)).query(Question("target=a")), answered(200, body))[0]


def newrelic_value(body: Any) -> float:
    """What a query gives that New Relic answers so."""
    return play(NewRelic(Settings(secret=KEYS)).query(Question("SELECT 1")), answered(200, body))[0]


def series(*values: Any) -> dict[str, Any]:
    """A target of Graphite."""
    return {"target": "a", "datapoints": [[value, at] for at, value in enumerate(values)]}


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ("target=a.b&from=-2min", [("target", "a.b"), ("from", "-2min"), ("format", "json")]),
        ("\n target=sum(a,\n  b)\n &from=-2min \n", [("target", "sum(a, b)"), ("from", "-2min"), ("format", "json")]),
        ("target=a;tag=b#c+d%&target=e=f", [("target", "a;tag=b#c+d%"), ("target", "e=f"), ("format", "json")]),
        ("target=a%20b&format=png", [("target", "a b"), ("format", "json")]),
    ],
)
def test_graphite_queries(query: str, want: list[tuple[str, str]]) -> None:
    """Every pair arrives as it was meant, and the answer is JSON whatever is asked for."""
    _, (request,) = play(Graphite(Settings(HERE)).query(Question(query)), answered(200, [series(1)]))
    parts = urlsplit(request.url)
    assert parts.path == "/base/render"
    assert parse_qsl(parts.query) == want


@pytest.mark.parametrize("query", ["", "from=-2min", "target=", "targets=a", "&&"])
def test_graphite_needs_a_target(query: str) -> None:
    """Without one nothing is sent."""
    with pytest.raises(ProviderError, match="no target"):
        next(Graphite(Settings(HERE)).query(Question(query)))


@pytest.mark.parametrize(
    ("body", "want"),
    [
        ([series(1, 2, 3)], 3.0),
        ([series(1, 2, None)], 2.0),
        ([series(1), series(7, None), series(None)], 7.0),
        ([series("1.5")], 1.5),
        ([series(4, "NaN")], 4.0),
    ],
)
def test_graphite_values(body: Any, want: float) -> None:
    """The last value of the last target that has one."""
    assert graphite_value(body) == want


@pytest.mark.parametrize("body", [[], [series()], [series(None)], [series("NaN", "inf")]])
def test_graphite_no_values(body: Any) -> None:
    """Nothing, nulls, and what is not finite."""
    with pytest.raises(NoValues):
        graphite_value(body)


@pytest.mark.parametrize("body", [{}, b"<html>", [1], [{"datapoints": [[1]]}], [series("x")], [series(True)]])
def test_graphite_errors(body: Any) -> None:
    """Anything else."""
    with pytest.raises(ProviderError):
        graphite_value(body)


def test_graphite_logins() -> None:
    """User and password of the Secret, both of them."""
    _, (request,) = play(Graphite(Settings(HERE, secret=LOGIN)).online(), answered(200, []))
    assert ("Authorization", "Basic dTpw") in request.headers
    for secret in ({}, {"username": b"u"}, {"password": b"p"}):
        with pytest.raises(ProviderError, match="username or password"):
            Graphite(Settings(HERE, secret=secret))


def test_newrelic_queries() -> None:
    """The window is appended in seconds; the account is in the path, the key in a header."""
    question = Question(" SELECT average(x) FROM y ", 90.0)
    _, (request,) = play(NewRelic(Settings(secret=KEYS)).query(question), answered(200, {"results": [{"average": 1}]}))
    parts = urlsplit(request.url)
    assert (parts.netloc, parts.path) == ("insights-api.newrelic.com", "/v1/accounts/42/query")
    assert parse_qsl(parts.query) == [("nrql", "SELECT average(x) FROM y SINCE 90 seconds ago")]
    assert ("X-Query-Key", "key") in request.headers


@pytest.mark.parametrize(
    ("results", "want"),
    [
        ([{"result": 2.5}], 2.5),
        ([{"average": 3}], 3.0),
        ([{"result": 1, "count": 9}], 1.0),
        ([{"a": "x", "count": 4}], 4.0),
        ([{"percentiles": {"95": 0.52}}], 0.52),
    ],
)
def test_newrelic_values(results: Any, want: float) -> None:
    """`result`, or the only number there is."""
    assert newrelic_value({"results": results}) == want


@pytest.mark.parametrize(
    "results",
    [[], [{}], [{"result": None}], [{"result": "x"}], [{"a": True}], [3]],
)
def test_newrelic_no_values(results: Any) -> None:
    """Nothing that is one number."""
    with pytest.raises(NoValues):
        newrelic_value({"results": results})


@pytest.mark.parametrize(
    "body",
    [
        {"results": [{"a": 1, "b": 2}]},
        {"results": [{"a": 1}, {"a": 2}]},
        {"results": [{"percentiles": {"95": 0.5, "99": 0.9}}]},
        {"results": [{"score": 0.9, "s": 8, "t": 1, "f": 1}]},
        {"facets": [{"name": "a", "results": [{"count": 1}]}], "totalResult": {"results": [{"count": 1}]}},
        {"timeSeries": [{"results": [{"count": 1}]}], "total": {"results": [{"count": 1}]}},
    ],
    ids=["functions", "results", "percentiles", "apdex", "FACET", "TIMESERIES"],
)
def test_newrelic_with_several_numbers(body: Any) -> None:
    """They are ambiguous, which is not the same as no data."""
    with pytest.raises(MultipleValues) as caught:
        newrelic_value(body)
    assert caught.value.problem.todo


@pytest.mark.parametrize(
    ("query", "own"),
    [
        ("SELECT max(x) FROM y since 5 minutes ago", True),
        ("SELECT max(x) FROM y WHERE a = 'SINCE' AND b LIKE \"it\\'s since\"", False),
        ("SELECT max(`since`) FROM y WHERE sinces = 1", False),
    ],
)
def test_newrelic_queries_with_a_window(query: str, own: bool) -> None:
    """NRQL has one SINCE: a query's own stays, and a text or a name that contains the word is none."""
    _, (request,) = play(NewRelic(Settings(secret=KEYS)).query(Question(query)), answered(200, {"results": [{"a": 1}]}))
    want = query if own else f"{query} SINCE 60 seconds ago"
    assert parse_qsl(urlsplit(request.url).query) == [("nrql", want)]


@pytest.mark.parametrize("secret", [None, {}, {"newrelic_account_id": b"1"}, {"newrelic_query_key": b"1"}])
def test_newrelic_needs_account_and_key(secret: dict[str, bytes] | None) -> None:
    """Without them nothing is asked."""
    with pytest.raises(ProviderError, match="newrelic_"):
        NewRelic(Settings(secret=secret))


PROVIDERS = [Graphite(Settings(HERE)), NewRelic(Settings(secret=KEYS))]


@pytest.mark.parametrize("provider", PROVIDERS, ids=["graphite", "newrelic"])
def test_status_of_both(provider: Provider) -> None:
    """A refusal is an error, of the probe too; an empty answer is none of the probe's business."""
    for exchange in (provider.query(Question("target=a")), provider.online()):
        with pytest.raises(ProviderError, match="Status 401 Unauthorized"):
            play(exchange, answered(401))
    play(provider.online(), answered(200, [] if isinstance(provider, Graphite) else {"results": []}))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["datapoints", "results", "result", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON, st.binary(max_size=50))
@settings(max_examples=200, deadline=None)
def test_any_answer(body: Any, raw: bytes) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    for provider in PROVIDERS:
        shapes = (body, [body], [{"datapoints": [[body, 1]]}], {"results": [body]}, {"results": [{"x": body}]})
        for answer in (*(answered(200, shape) for shape in shapes), HttpAnswer(200, raw)):
            try:
                assert abs(play(provider.query(Question("target=a")), answer)[0]) < float("inf")
            except MetricError as error:
                assert error.problem.text
