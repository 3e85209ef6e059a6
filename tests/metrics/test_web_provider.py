"""Asking any JSON endpoint: what is sent, where the number is, and which outcome every answer is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.api.facts import Fault
from pyflagger.metrics import jsonpath
from pyflagger.metrics.base import MetricError, MultipleValues, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.web import Web
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest, secrets_of

HERE = "https://stats.example.com/api/"
DOCUMENT = {"data": {"rate": 2.5, "error rate": "7", "ok": True, "none": None}, "items": [{"v": 1}, {"v": 1}, {"v": 2}]}


def run(text: str, answer: HttpAnswer | HttpFailure, **more: Any) -> tuple[float, HttpRequest]:
    """The value of a query, and its request."""
    value, (request,) = play(Web(Settings(HERE, **more)).query(Question(text)), answer)
    return value, request


def test_a_path_alone() -> None:
    """The address is asked."""
    value, request = run("\n$.data.rate\n", answered(200, DOCUMENT))
    assert value == 2.5
    assert (request.method, request.url, request.body) == ("GET", "https://stats.example.com/api", None)
    assert request.headers == (("Accept", "application/json"),)


def test_a_whole_request() -> None:
    """Method, path with its query, and body are the query's."""
    text = 'method: post\npath: /errors?app=cart&window=1m\nbody: \'{"app": "cart"}\'\njsonPath: $.data.rate\n'
    _, request = run(text, answered(200, DOCUMENT), verify=False)
    assert (request.method, request.url) == ("POST", "https://stats.example.com/api/errors?app=cart&window=1m")
    assert request.body == b'{"app": "cart"}' and not request.verify
    assert dict(request.headers) == {"Accept": "application/json", "Content-Type": "application/json"}


def test_headers_from_a_secret() -> None:
    """Each key is a header; it replaces that of the template; no text may contain its value, whatever its name."""
    secret = {"Authorization": b"Bearer hunter2\n", "X-Tenant": b"acme-blue", "empty": b""}
    headers = {"authorization": ("mine",), "accept": ("text/json",), "X-A": ("1", "2")}
    _, request = run("$.data.rate", answered(200, DOCUMENT), secret=secret, headers=headers)
    assert sorted(request.headers) == [
        ("Authorization", "Bearer hunter2"),
        ("X-A", "1"),
        ("X-A", "2"),
        ("X-Tenant", "acme-blue"),
        ("accept", "text/json"),
    ]
    assert {"hunter2", "Bearer hunter2", "acme-blue"} <= secrets_of(request)


@pytest.mark.parametrize("secret", [{"a b": b"x1"}, {"X-A": b"hunter2\nX-B: 1"}, {"X-A": b"\xff"}])
def test_secrets_that_are_no_headers(secret: dict[str, bytes]) -> None:
    """They are refused, and the text has no value."""
    with pytest.raises(ProviderError) as caught:
        Web(Settings(HERE, secret=secret))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("$.data.rate", 2.5),
        ("{$.data.rate}", 2.5),
        ("{ $.data['rate'] }", 2.5),
        ('$["data"]["error rate"]', 7.0),
        ("$.data.ok", 1.0),
        ("$.items[0].v", 1.0),
        ("$.items[-1].v", 2.0),
        ("$['items'][ 1 ].*", 1.0),
    ],
)
def test_values(path: str, want: float) -> None:
    """Numbers, texts of numbers, and booleans."""
    assert run(path, answered(200, DOCUMENT))[0] == want


def test_other_documents() -> None:
    """A bare number, a list, and names with quotes."""
    assert run("$", answered(200, b" 3 "))[0] == 3.0
    assert run("$[*]", answered(200, [4, 4.0]))[0] == 4.0
    assert run(r"$['it\'s']", answered(200, {"it's": 1}))[0] == 1.0


@pytest.mark.parametrize("path", ["$.nothing", "$.data.none", "$.items[7]", "$.data[0]", "$.items.v", "$.data.rate.x"])
def test_no_values(path: str) -> None:
    """Nothing there, and null."""
    with pytest.raises(NoValues):
        run(path, answered(200, DOCUMENT))


@pytest.mark.parametrize("body", [b"NaN", b"1e999", b"-Infinity", b"1" + b"0" * 400])
def test_numbers_that_are_none(body: bytes) -> None:
    """What is not finite is no value."""
    with pytest.raises(NoValues):
        run("$", answered(200, body))


def test_several_values() -> None:
    """They are ambiguous unless they agree."""
    with pytest.raises(MultipleValues):
        run("$.items[*].v", answered(200, DOCUMENT))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "neither a JSONPath nor YAML"),
        ("data.rate", "neither a JSONPath nor YAML"),
        ("$..rate", "not a path of names"),
        ("$.items[?(@.v>1)]", "not a path of names"),
        ("$.items[0:2]", "not a path of names"),
        ("{$.a", "does not begin with"),
        ("jsonPath: data", "does not begin with"),
        ("path: /x", "no jsonPath"),
        ("jsonPath: $\nurl: http://elsewhere", "keys other than"),
        ("jsonPath: $\nmethod: DELETE", "another method"),
        ("jsonPath: $\npath: x", "does not begin with /"),
        ("jsonPath: $\npath: /a b", "white space"),
        ("jsonPath: {$.x}", "neither a JSONPath nor YAML"),
        ("jsonPath: [", "nor YAML"),
        ("a: &a [*a]", "nor YAML"),
    ],
)
def test_queries_that_are_none(text: str, told: str) -> None:
    """The manifest is at fault; nothing is sent."""
    with pytest.raises(ProviderError, match=told) as caught:
        next(Web(Settings(HERE)).query(Question(text)))
    assert caught.value.problem.fault is Fault.MANIFEST and caught.value.problem.todo


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (answered(200, b"<html>"), "not JSON: <html>"),
        (answered(200, b'{"data": {"ra'), "not JSON"),
        (answered(200, b""), "not JSON"),
        (answered(200, {"data": {"rate": "many"}}), "not a number: many"),
        (answered(200, {"data": {"rate": [1]}}), "not a number"),
        (answered(302, b""), "Status 302"),
        (answered(401, b"who?"), "Status 401 Unauthorized: who?"),
        (answered(403), "Status 403"),
        (answered(429), "Status 429"),
        (answered(500), "Status 500"),
        (HttpFailure("too-large", "larger"), "larger"),
        (HttpFailure("tls", "certificate: self-signed"), "self-signed"),
        (HttpFailure("connect", "169.254.169.254 is a cloud metadata address"), "metadata"),
    ],
)
def test_errors(answer: HttpAnswer | HttpFailure, told: str) -> None:
    """Everything else is an error with something to do."""
    with pytest.raises(ProviderError, match=told) as caught:
        run("$.data.rate", answer)
    assert caught.value.problem.todo


@pytest.mark.parametrize("status", [200, 204, 404, 405])
def test_online(status: int) -> None:
    """The server answers; it need not know its base path."""
    _, (request,) = play(Web(Settings(HERE)).online(), answered(status))
    assert (request.method, request.url) == ("GET", "https://stats.example.com/api")


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_offline(status: int) -> None:
    """Refused credentials and a broken server."""
    with pytest.raises(ProviderError, match=str(status)):
        play(Web(Settings(HERE)).online(), answered(status))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=10,
)


@given(JSON, st.text(alphabet="$.[]*'\"ab01-{}: \n", max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_query_of_any_answer(document: Any, text: str) -> None:
    """It is a finite number or one of the errors; a path leads only to what the document has."""
    for query in (text, f"${text}"):
        try:
            assert abs(run(query, answered(200, document))[0]) < float("inf")
        except MetricError as error:
            assert error.problem.text
    assert jsonpath.find(document, ()) == [document]
