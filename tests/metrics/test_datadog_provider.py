"""Asking Datadog: what is sent, and which point of which answer is the value."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.metrics.base import MetricError, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.datadog import Datadog
from pyflagger.wire import HttpAnswer, HttpFailure

KEYS = {"datadog_api_key": b"one\n", "datadog_application_key": b"two"}
NOW = 1_700_000_000.0
QUESTION = Question(" avg:errors{*} by {x} ", 60.0, NOW)


def points(*pairs: tuple[float, Any], interval: Any = 10) -> HttpAnswer:
    """One series; times are seconds before now."""
    listed = [[(NOW - before) * 1000, value] for before, value in pairs]
    return answered(200, {"status": "ok", "series": [{"pointlist": listed, "interval": interval}]})


def value_of(answer: HttpAnswer | HttpFailure) -> float:
    """What a query gives that is answered so."""
    return play(Datadog(Settings(secret=KEYS)).query(QUESTION), answer)[0]


def test_the_request() -> None:
    """Ten intervals up to now, the query as written, both keys."""
    _, (request,) = play(Datadog(Settings(secret=KEYS)).query(QUESTION), points((20, 1)))
    parts = urlsplit(request.url)
    assert (request.method, parts.netloc, parts.path) == ("GET", "api.datadoghq.com", "/api/v1/query")
    assert parse_qs(parts.query) == {
        "from": [str(int(NOW) - 600)],
        "to": [str(int(NOW))],
        "query": ["avg:errors{*} by {x}"],
    }
    assert dict(request.headers) == {"DD-API-KEY": "one", "DD-APPLICATION-KEY": "two"}


def test_other_sites() -> None:
    """The address is joined whatever its slashes; TLS and headers are the template's."""
    config = Settings("https://api.datadoghq.eu/x/", {"X-A": ("1",)}, verify=False, secret=KEYS)
    _, (request,) = play(Datadog(config).online(), answered(200, {"valid": True}))
    assert request.url == "https://api.datadoghq.eu/x/api/v1/validate"
    assert ("X-A", "1") in request.headers
    assert not request.verify


@pytest.mark.parametrize("secret", [None, {}, {"datadog_api_key": b"x"}, {**KEYS, "datadog_api_key": b"\n"}])
def test_both_keys_are_needed(secret: dict[str, bytes] | None) -> None:
    """Without them nothing is asked."""
    with pytest.raises(ProviderError, match="datadog_"):
        Datadog(Settings(secret=secret))


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        (points((300, 1), (200, 2), (20, 3)), 3.0),
        (points((20, 3), (5, 9)), 3.0),
        (points((10, 3), (9, 9)), 3.0),
        (points((5, 8), (2, 9)), 9.0),
        (points((40, 2), (20, None)), 2.0),
        (points((20, 3), (200, 2)), 3.0),
        (points((40, 0), interval=None), 0.0),
    ],
)
def test_the_newest_complete_point(answer: HttpAnswer, want: float) -> None:
    """A bucket that is still filling is passed over, unless there is no other; null is no zero."""
    assert value_of(answer) == want


@pytest.mark.parametrize(
    "answer",
    [answered(200, {"series": []}), points(), points((20, None)), answered(200, {"series": [{"pointlist": [[1]]}]})],
)
def test_no_values(answer: HttpAnswer) -> None:
    """No series, no points, none with a value."""
    with pytest.raises(NoValues):
        value_of(answer)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (answered(403, b"Forbidden"), "Status 403 Forbidden"),
        (answered(200, b"<html>"), "not JSON"),
        (answered(200, {}), "no list of series"),
        (answered(200, {"series": [1]}), "no points"),
        (answered(200, {"status": "error", "error": "Rollup is not positive", "series": []}), "Rollup is not positive"),
        (HttpFailure("timeout", "late"), "late"),
    ],
)
def test_errors(answer: HttpAnswer | HttpFailure, told: str) -> None:
    """Everything else is an error with something to do."""
    with pytest.raises(ProviderError, match=told) as caught:
        value_of(answer)
    assert caught.value.problem.todo


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["pointlist", "interval"]), inner),
    max_leaves=10,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_any_series(series: Any) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    for body in ({"series": series}, {"series": [series]}, {"series": [{"pointlist": series, "interval": series}]}):
        try:
            assert abs(value_of(answered(200, body))) < float("inf")
        except MetricError as error:
            assert error.problem.text
