"""Asking Prometheus: what is sent, and which of the outcomes every kind of answer is."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, data, play, queries, query_of, vector

from pyflagger.api.facts import Fault
from pyflagger.metrics.base import MetricError, MultipleValues, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.prometheus import GET_MAX, Prometheus
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

HERE = "http://prom.monitoring:9090"


def value_of(answer: HttpAnswer | HttpFailure) -> float:
    """What a query gives that is answered so."""
    return play(Prometheus(Settings(HERE)).query(Question("up")), answer)[0]


def sent(config: Settings, text: str = "up") -> HttpRequest:
    """The request of a query."""
    return play(Prometheus(config).query(Question(text)), vector("1"))[1][0]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (HERE, f"{HERE}/api/v1/query?query=up"),
        (f"{HERE}/", f"{HERE}/api/v1/query?query=up"),
        (f"{HERE}/prom/a", f"{HERE}/prom/a/api/v1/query?query=up"),
        (f"{HERE}/prom/a/?x=1#f", f"{HERE}/prom/a/api/v1/query?query=up"),
        ("https://u:p@prom", "https://prom/api/v1/query?query=up"),
        ("http://[::1]:9090", "http://[::1]:9090/api/v1/query?query=up"),
        (f"  {HERE}\n", f"{HERE}/api/v1/query?query=up"),
    ],
)
def test_addresses(address: str, url: str) -> None:
    """The path is joined whatever the slashes; user, query and fragment are not sent on."""
    request = sent(Settings(address))
    assert (request.method, request.url) == ("GET", url)


@pytest.mark.parametrize(
    "address", ["", "prometheus:9090", "/x", "http://", "ftp://x", "http://a b", "http://x:99999", "http://[::1"]
)
def test_addresses_that_are_none(address: str) -> None:
    """They are refused before anything is sent, as the manifest's fault."""
    with pytest.raises(ProviderError, match="address") as caught:
        Prometheus(Settings(address))
    assert caught.value.problem.fault is Fault.MANIFEST
    assert "http://" in caught.value.problem.todo


def test_refused_addresses_keep_their_password() -> None:
    """No secret goes into a text."""
    with pytest.raises(ProviderError) as caught:
        Prometheus(Settings("ftp://me:hunter2@prom/x?token=hunter2"))
    assert "hunter2" not in str(caught.value)
    assert "ftp://prom/x" in str(caught.value)


def test_query_text_is_sent_as_written() -> None:
    """Newlines and comments stay; only the ends are stripped."""
    text = '\n sum(up{a="b c+d"}) # why\n + 1 \n'
    assert query_of(sent(Settings(HERE), text)) == text.strip()


def test_long_queries_are_posted() -> None:
    """A query too long for a URL goes into a form."""
    short = sent(Settings(HERE), "x" * (GET_MAX - len("query=")))
    long = sent(Settings(HERE), "x" * GET_MAX)
    assert short.method == "GET"
    assert (long.method, long.url) == ("POST", f"{HERE}/api/v1/query")
    assert ("Content-Type", "application/x-www-form-urlencoded") in long.headers
    assert query_of(long) == "x" * GET_MAX


def basic(login: str) -> str:
    """The header of a login."""
    return f"Basic {base64.b64encode(login.encode()).decode()}"


@pytest.mark.parametrize(
    ("config", "want"),
    [
        (Settings(HERE), None),
        (Settings(HERE, secret={"token": b"abc\n"}), "Bearer abc"),
        (Settings(HERE, secret={"token": b"abc", "username": b"u", "password": b"p"}), "Bearer abc"),
        (Settings(HERE, secret={"username": b"u", "password": b"p\n"}), basic("u:p")),
        (Settings("http://u%40x:p%3A@prom"), basic("u@x:p:")),
        (Settings("http://u:p@prom", secret={"token": b"abc"}), "Bearer abc"),
        (Settings(HERE, headers={"authorization": ("mine",)}), "mine"),
        (Settings(HERE, headers={"authorization": ("mine",)}, secret={"token": b"abc"}), "Bearer abc"),
        (Settings("http://u:p@prom", headers={"Authorization": ("mine",)}), "mine"),
    ],
)
def test_one_authorization(config: Settings, want: str | None) -> None:
    """The Secret wins over headers, headers over the address; never two of them, however often it is asked."""
    provider = Prometheus(config)
    for _ in range(3):
        _, asked = play(provider.query(Question("up")), vector("1"))
        found = [value for name, value in asked[0].headers if name.lower() == "authorization"]
        assert found == ([want] if want else [])


@pytest.mark.parametrize(
    "secret", [{}, {"username": b"u"}, {"password": b"p"}, {"token": b"a\nb"}, {"token": b"\xff"}, {"token": b" \n"}]
)
def test_secrets_of_no_use(secret: dict[str, bytes]) -> None:
    """A referenced Secret without usable credentials is an error, and its values are not in the text."""
    with pytest.raises(ProviderError, match="Secret"):
        Prometheus(Settings(HERE, secret=secret))


def test_headers_and_tls() -> None:
    """Every value of a header is sent; verification can be turned off."""
    request = sent(Settings(HERE, headers={"X-Scope": ("a", "b")}, verify=False))
    assert [value for name, value in request.headers if name == "X-Scope"] == ["a", "b"]
    assert not request.verify
    assert sent(Settings(HERE)).verify


@pytest.mark.parametrize("headers", [{"a b": ("x",)}, {"": ("x",)}, {"a": ("x\ny",)}, {"a:": ("x",)}])
def test_headers_that_http_cannot_carry(headers: dict[str, tuple[str, ...]]) -> None:
    """They are refused when the provider is made."""
    with pytest.raises(ProviderError, match="header"):
        Prometheus(Settings(HERE, headers=headers))


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        (vector("98.5"), 98.5),
        (vector("0"), 0.0),
        (vector("-1.5e-3"), -0.0015),
        (vector("2", "2", "2.0"), 2.0),
        (data("scalar", [1700000000, "3"]), 3.0),
        (answered(200, {"data": {"result": [{"value": [1, "4"]}]}}), 4.0),
    ],
)
def test_numbers(answer: HttpAnswer, want: float) -> None:
    """A series, a scalar, and series that agree."""
    assert value_of(answer) == want


@pytest.mark.parametrize(
    "answer",
    [
        vector(),
        vector("NaN"),
        vector("+Inf"),
        vector("-Inf"),
        vector("1e999"),
        vector("NaN", "NaN"),
        data("matrix", []),
        data("scalar", [1, "NaN"]),
    ],
)
def test_no_values(answer: HttpAnswer) -> None:
    """Nothing, and what is no finite number, is no value; never zero, never a pass."""
    with pytest.raises(NoValues, match=r"^no values found$"):
        value_of(answer)


def test_no_values_with_a_warning() -> None:
    """A store of Thanos that is down leaves out its series: the text says so."""
    body = {"status": "success", "data": {"resultType": "vector", "result": []}, "warnings": ["store-1 is down", 7]}
    with pytest.raises(NoValues, match=r"^no values found: store-1 is down$"):
        value_of(answered(200, body))


@pytest.mark.parametrize(
    ("status", "config", "told"),
    [
        (401, Settings("http://mimir/prometheus"), "sends it no credentials and no tenant"),
        (403, Settings("http://amp/", {"X-Scope-OrgID": ("shop",)}), "sends it no credentials"),
        (401, Settings("http://p", secret={"token": b"t"}), "Check the Secret"),
        (401, Settings("http://u:p@p"), "Check the Secret"),
        (404, Settings("http://p"), "not at this path"),
        (405, Settings("http://p"), "not at this path"),
        (501, Settings("http://p"), "not at this path"),
    ],
)
def test_advice_by_status(status: int, config: Settings, told: str) -> None:
    """No advice about a Secret that is not there, nor about the health of a server that has no such API."""
    with pytest.raises(ProviderError) as caught:
        play(Prometheus(config).query(Question("up")), answered(status, b"no org id"))
    assert told in caught.value.problem.todo


@pytest.mark.parametrize(
    "answer",
    [
        vector("1", "2"),
        vector("1", "NaN"),
        vector("NaN", "1"),
        data("matrix", [{"metric": {}, "values": [[1, "2"]]}]),
        data("matrix", [{"metric": {}, "histograms": [[1, {}]]}]),
    ],
)
def test_multiple_values(answer: HttpAnswer) -> None:
    """Series that differ and ranges are ambiguous."""
    with pytest.raises(MultipleValues, match="query returned multiple values") as caught:
        value_of(answer)
    assert caught.value.problem.todo


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (answered(500, b"scripted failure"), "error response: Status 500 Internal Server Error: scripted failure"),
        (answered(599, b""), "error response: Status 599"),
        (answered(302, b"elsewhere"), "Status 302 Found"),
        (answered(400, b"parse error"), "Status 400 Bad Request: parse error"),
        (answered(200, {"status": "error", "errorType": "execution", "error": "too many"}), "execution: too many"),
        (answered(200, b"<html>"), "not JSON: <html>"),
        (answered(200, b"[" * 100_000), "not JSON"),
        (answered(200, b"\xff\xfe"), "not JSON"),
        (answered(200, []), "not a JSON object"),
        (answered(200, {}), "no data"),
        (answered(200, {"data": []}), "no data"),
        (data("vector", None), "no list of results"),
        (data("vector", ["x"]), "not an object"),
        (data("vector", [{"metric": {}}]), "not a number"),
        (data("vector", [{"value": [1, True]}]), "not a number"),
        (data("vector", [{"value": [1, "1_0"]}]), "not a number"),
        (data("vector", [{"value": [1]}]), "not a number"),
        (data("vector", [{"histogram": [1, {"count": "3"}]}]), "native histogram"),
        (data("string", [1, "7"]), "a string"),
        (HttpFailure("timeout", "GET x: no answer within 5s"), "request failed: GET x: no answer within 5s"),
        (HttpFailure("too-large", "big"), "request failed: big"),
    ],
)
def test_errors(answer: HttpAnswer | HttpFailure, told: str) -> None:
    """Anything else is an error of the provider, with what to do; it is never a value nor no value."""
    with pytest.raises(ProviderError) as caught:
        value_of(answer)
    assert told in str(caught.value)
    assert caught.value.problem.todo
    assert caught.value.problem.fault is Fault.PROVIDER


def test_bodies_are_quoted_in_part() -> None:
    """A huge answer does not become a huge text."""
    for answer in (answered(500, b"x" * 100_000), answered(200, b"x" * 100_000)):
        with pytest.raises(ProviderError) as caught:
            value_of(answer)
        assert len(str(caught.value)) < 1200


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "data", "result", "value", "values", "resultType", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def survives(answer: HttpAnswer) -> None:
    """Any answer is a finite number or one of the three errors."""
    try:
        assert abs(value_of(answer)) < float("inf")
    except MetricError as error:
        assert error.problem.text


@given(st.binary(max_size=200), st.integers(100, 599))
@settings(max_examples=200, deadline=None)
def test_any_bytes(body: bytes, status: int) -> None:
    """Arbitrary bytes raise nothing else."""
    survives(HttpAnswer(status, body))


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_any_json(body: Any) -> None:
    """Arbitrary JSON raises nothing else."""
    survives(answered(200, body))


@given(st.sampled_from(["vector", "matrix", "scalar", "string", None]), JSON)
@settings(max_examples=300, deadline=None)
def test_any_result(kind: str, result: Any) -> None:
    """Arbitrary results in a valid envelope raise nothing else."""
    survives(data(kind, result))
    survives(data(kind, [{"value": result}, {"value": [0, str(result)]}]))


def test_online() -> None:
    """vector(1) is asked, and must be 1."""
    provider = Prometheus(Settings(HERE))
    _, asked = play(provider.online(), vector("1"))
    assert queries(asked) == ["vector(1)"]
    for answer in (
        vector("2"),
        vector(),
        vector("1", "2"),
        answered(503, b"starting"),
        HttpFailure("connect", "refused"),
    ):
        with pytest.raises(ProviderError):
            play(provider.online(), answer)
