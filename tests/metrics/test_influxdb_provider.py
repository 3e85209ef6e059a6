"""Asking InfluxDB in Flux and in InfluxQL: what is sent, and which outcome every kind of answer is."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_answers import answered, play

from pyflagger.metrics.base import MetricError, MultipleValues, NoValues, ProviderError, Question, Settings
from pyflagger.metrics.influxdb import InfluxDB
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

HERE = "http://influxdb:8086/x/"
TOKEN = {"token": b"hunter2\n", "org": b"acme & co"}
LOGIN = {"username": b"u", "password": b"p", "database": b"shop"}
FLUX = 'from(bucket: "shop") |> range(start: -1m) |> mean()'
SQL = 'influxql: SELECT mean("x") FROM "lag"'


def table(*values: str, kind: str = "double", name: str = "_value", number: int = 0) -> str:
    """A table of annotated CSV, as documented; each value is a record's."""
    notes = f"#datatype,string,long,{kind},string\r\n#group,false,false,false,true\r\n#default,_result,,,\r\n"
    rows = "".join(f",,{number},{value},requests\r\n" for value in values)
    return f"{notes},result,table,{name},_field\r\n{rows}\r\n"


ERROR = (
    '#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,"Failed to parse, twice",897\r\n'
)


def flux(body: str | bytes, status: int = 200) -> HttpAnswer:
    """An answer of CSV."""
    return HttpAnswer(status, body.encode() if isinstance(body, str) else body)


def series(*values: Any, columns: tuple[str, ...] = ("time", "mean")) -> dict[str, Any]:
    """A series of InfluxQL; each value is a row's."""
    return {"name": "lag", "columns": list(columns), "values": [[1700000000000, value] for value in values]}


def rows(*found: Any) -> HttpAnswer:
    """An answer of InfluxQL."""
    return answered(200, {"results": [{"statement_id": 0, "series": list(found)}]})


def run(answer: HttpAnswer | HttpFailure, text: str = FLUX, secret: Any = TOKEN) -> tuple[float, HttpRequest]:
    """The value that an answer gives, and the request."""
    value, (request,) = play(InfluxDB(Settings(HERE, secret=secret)).query(Question(text)), answer)
    return value, request


def test_flux_is_posted() -> None:
    """The organization is in the URL, the token in a header, the query with its dialect in the body."""
    _, request = run(flux(table("1")), f"\n{FLUX}\n")
    parts = urlsplit(request.url)
    assert (request.method, parts.netloc, parts.path) == ("POST", "influxdb:8086", "/x/api/v2/query")
    assert parse_qs(parts.query) == {"org": ["acme & co"]}
    assert dict(request.headers) == {
        "Authorization": "Token hunter2",
        "Content-Type": "application/json",
        "Accept": "application/csv",
    }
    body = json.loads(request.body or b"")
    assert (body["query"], body["type"]) == (FLUX, "flux")
    assert body["dialect"] == {"annotations": ["datatype", "group", "default"], "header": True, "delimiter": ","}


@pytest.mark.parametrize(
    ("secret", "authorization", "database"),
    [
        (LOGIN, "Basic dTpw", ["shop"]),
        ({"token": b"tok", "database": b"shop"}, "Token tok", ["shop"]),
        ({"username": b"u", "password": b"p"}, "Basic dTpw", None),
        (None, None, None),
    ],
)
def test_influxql_is_a_get(secret: Any, authorization: str | None, database: list[str] | None) -> None:
    """The prefix chooses the language; database and login are the Secret's."""
    _, request = run(rows(series(1)), SQL, secret)
    parts = urlsplit(request.url)
    asked = parse_qs(parts.query)
    assert (request.method, parts.path, asked["q"]) == ("GET", "/x/query", ['SELECT mean("x") FROM "lag"'])
    assert (asked.get("db"), dict(request.headers).get("Authorization")) == (database, authorization)


def test_headers_and_tls() -> None:
    """Those of the template."""
    config = Settings(HERE, {"X-A": ("1",)}, verify=False)
    _, (request,) = play(InfluxDB(config).query(Question(FLUX)), flux(table("1")))
    assert ("X-A", "1") in request.headers and not request.verify


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        (flux(table("1.5")), 1.5),
        (flux(table("2", "3")), 2.0),
        (flux(table("4", kind="long")), 4.0),
        (flux(table("4", kind="unsignedLong")), 4.0),
        (flux(table("1", "9") + table("1", number=1)), 1.0),
        (flux(table("1").replace("\r\n", "\n")), 1.0),
        (flux(table("").replace("#default,_result,,,", "#default,_result,,7.5,")), 7.5),
    ],
)
def test_flux_values(answer: HttpAnswer, want: float) -> None:
    """The first record of each table; numbers of every type."""
    assert run(answer)[0] == want


@pytest.mark.parametrize("body", ["", "\r\n", table(), table(""), table("NaN"), table("+Inf"), table("", number=1)])
def test_flux_without_values(body: str) -> None:
    """An empty answer, no records, null and what is not finite; never zero."""
    with pytest.raises(NoValues):
        run(flux(body))


@pytest.mark.parametrize("body", [table("1") + table("2", number=1), table("1") + table("", number=1)])
def test_flux_with_several_values(body: str) -> None:
    """Tables that differ are ambiguous."""
    with pytest.raises(MultipleValues):
        run(flux(body))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (flux(ERROR), "error response: Failed to parse, twice"),
        (flux(table("1") + ERROR), "Failed to parse"),
        (flux(table("x", kind="string")), "a string, not a number: x"),
        (flux(table("x")), "a double, not a number: x"),
        (flux(table("1", name="mean")), "no column _value"),
        (flux("<html><title>Login</title></html>\n<b>"), "not annotated CSV"),
        (flux('{"results": []}'), "not annotated CSV"),
        (flux(',result,"table'), "not CSV"),
        (answered(401, {"code": "unauthorized", "message": "unauthorized access"}), "Status 401 Unauthorized"),
        (answered(403, {"code": "forbidden"}), "Status 403"),
        (answered(404, {"code": "not found", "message": 'organization name "x" not found'}), "organization name"),
        (answered(429), "Status 429"),
        (answered(503), "Status 503"),
        (HttpFailure("too-large", "POST x: larger"), "larger"),
        (HttpFailure("timeout", "late"), "late"),
    ],
)
def test_flux_errors(answer: HttpAnswer | HttpFailure, told: str) -> None:
    """Everything else is an error with something to do."""
    with pytest.raises(ProviderError, match=told) as caught:
        run(answer)
    assert caught.value.problem.todo


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        (rows(series(1.5)), 1.5),
        (rows(series(2, 3)), 2.0),
        (rows(series(2), series(2)), 2.0),
        (rows({"columns": ["mean"], "values": [[7]]}), 7.0),
    ],
)
def test_influxql_values(answer: HttpAnswer, want: float) -> None:
    """The first row of each series."""
    assert run(answer, SQL, LOGIN)[0] == want


@pytest.mark.parametrize(
    "answer", [answered(200, {"results": [{"statement_id": 0}]}), rows(), rows(series()), rows(series(None))]
)
def test_influxql_without_values(answer: HttpAnswer) -> None:
    """No series, and null."""
    with pytest.raises(NoValues):
        run(answer, SQL, LOGIN)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (answered(200, {"results": [{"error": "database not found: shop"}]}), "database not found: shop"),
        (answered(401, {"error": "authorization failed"}), "Status 401"),
        (answered(200, b'{"results": ['), "not JSON"),
        (answered(200, {}), "no list of results"),
        (answered(200, {"results": [1]}), "no list of results"),
        (rows(series("x")), "returns no number: x"),
        (rows({}), "no values"),
    ],
)
def test_influxql_errors(answer: HttpAnswer, told: str) -> None:
    """The text of the server, or what is wrong with its answer."""
    with pytest.raises(ProviderError, match=told) as caught:
        run(answer, SQL, LOGIN)
    assert caught.value.problem.todo


def test_influxql_series_that_differ() -> None:
    """They are ambiguous."""
    with pytest.raises(MultipleValues):
        run(rows(series(1), series(2)), SQL, LOGIN)


@pytest.mark.parametrize("secret", [{}, {"org": b"o"}, {"username": b"u"}, {"password": b"p"}, {"token": b"\n"}])
def test_secrets_of_no_use(secret: dict[str, bytes]) -> None:
    """Nothing is sent without a whole login."""
    with pytest.raises(ProviderError, match="Secret"):
        InfluxDB(Settings(HERE, secret=secret))


def test_flux_needs_an_organization() -> None:
    """The text names the key of the Secret."""
    with pytest.raises(ProviderError, match="no org"):
        next(InfluxDB(Settings(HERE, secret={"token": b"t"})).query(Question(FLUX)))


@pytest.mark.parametrize(
    ("secret", "path", "answer"),
    [
        (None, "/x/ping", HttpAnswer(204)),
        (TOKEN, "/x/api/v2/query", flux(table(kind="string", name="name"))),
        (LOGIN, "/x/query", rows(series())),
    ],
)
def test_online(secret: Any, path: str, answer: HttpAnswer) -> None:
    """What every token may read is asked for; a refusal is an error."""
    provider = InfluxDB(Settings(HERE, secret=secret))
    _, (request,) = play(provider.online(), answer)
    assert urlsplit(request.url).path == path
    with pytest.raises(ProviderError, match="401"):
        play(provider.online(), answered(401))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["results", "series", "columns", "values", "error"]), inner, max_size=3)
    ),
    max_leaves=10,
)
CELLS = st.sampled_from([*'#,\n\r"', "#datatype", "_value", "error", "double", "1", "table", "\n,", "\0"])


@given(JSON, st.lists(CELLS, max_size=30).map("".join), st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_answer(body: Any, text: str, raw: bytes) -> None:
    """Whatever is answered is a finite number or one of the errors."""
    shapes = (body, {"results": [{"series": body}]}, {"results": [{"series": [{"columns": ["time"], "values": body}]}]})
    for asked, answer in (*((SQL, answered(200, each)) for each in shapes), (FLUX, flux(text)), (FLUX, flux(raw))):
        try:
            assert abs(run(answer, asked)[0]) < float("inf")
        except MetricError as error:
            assert error.problem.text
