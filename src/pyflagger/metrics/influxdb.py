"""InfluxDB, for MetricTemplates of type `influxdb`: Flux by the API of version 2, and InfluxQL by that of version 1.

A query is Flux, as in Flagger. One that begins with `influxql:` is InfluxQL, which names its database in FROM, or in
the Secret's `database`.
"""

from __future__ import annotations

import csv
import io
import json
import math
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from pyflagger.api.facts import Fault
from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    TEXT_MAX,
    Exchange,
    ProviderError,
    Question,
    Settings,
    ask,
    credential,
    is_number,
    json_object,
    only,
    spoken,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

FLUX, INFLUXQL = "flux", "influxql"
TIMEOUT = 15.0
"""Seconds for a query. Flux starts slowly."""

_DIALECT = {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": True}
_NUMBERS = frozenset({"double", "long", "unsignedLong"})
_NOT_INFLUX = "The server at this address does not speak the query API of InfluxDB. Check address and path."
_REJECTED = "InfluxDB rejects the query. Try it there."


class InfluxDB:
    """One InfluxDB. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._address = parse_address(settings.address)
        self._headers = with_authorization(settings.headers, _authorization(settings), self._address.authorization)
        self._org, self._database = credential(settings, "org"), credential(settings, "database")
        self._user, self._anyone = credential(settings, "username"), settings.secret is None
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The number of the first record of each table or series, which must all be equal."""
        language, text = spoken(question.text, FLUX, INFLUXQL)
        if language == INFLUXQL:
            answer = yield from ask(self._influxql(text))
            return only(_first_values(json_object(answer, _NOT_INFLUX)))
        if not (self._org or self._anyone):
            raise ProviderError("the Secret has no org", "Add org to the Secret: Flux needs it.", Fault.MANIFEST)
        answer = yield from ask(self._flux(text))
        return only(_first_records(answer.body.decode("utf-8", "replace")))

    def online(self) -> Exchange[None]:
        """Check that the server accepts the credentials. Without a Secret, check that it answers."""
        if self._anyone:
            yield from ask(self._request("GET", "/ping"))
        elif self._user:
            answer = yield from ask(self._influxql("SHOW DATABASES"))
            list(_results(json_object(answer, _NOT_INFLUX)))
        else:
            answer = yield from ask(self._flux("buckets() |> limit(n: 1)"))
            list(_tables(answer.body.decode("utf-8", "replace")))

    def _flux(self, text: str) -> HttpRequest:
        body = json.dumps({"query": text, "type": "flux", "dialect": _DIALECT}).encode()
        path = f"/api/v2/query?{urlencode({'org': self._org})}"
        return self._request("POST", path, (("Content-Type", "application/json"), ("Accept", "application/csv")), body)

    def _influxql(self, text: str) -> HttpRequest:
        database = {"db": self._database} if self._database else {}
        return self._request("GET", f"/query?{urlencode({**database, 'q': text, 'epoch': 'ms'})}")

    def _request(
        self, method: str, path: str, headers: tuple[tuple[str, str], ...] = (), body: bytes | None = None
    ) -> HttpRequest:
        url = self._address.join(path)
        return HttpRequest(method, url, (*self._headers, *headers), body, timeout=TIMEOUT, verify=self._verify)


def _authorization(settings: Settings) -> str:
    if settings.secret is None:
        return ""
    token, user = credential(settings, "token"), credential(settings, "username")
    if token:
        return f"Token {token}"
    password = credential(settings, "password")
    if not (user and password):
        text = "the Secret has neither token and org nor username and password"
        raise ProviderError(text, "Add token and org, or username and password, to the Secret.", Fault.MANIFEST)
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


# Flux ---------------------------------------------------------------------------------------------------------------


def _first_records(text: str) -> list[float]:
    """The `_value` of the first record of each table. Raises ProviderError."""
    firsts: dict[tuple[int, str], dict[str, str]] = {}
    for block, record in _tables(text):
        firsts.setdefault((block, record.get("table", "")), record)
    return [_record_value(record) for record in firsts.values()]


def _record_value(record: dict[str, str]) -> float:
    kind, text = record.get("#_value", ""), record.get("_value")
    if text is None:
        raise ProviderError("a record of the answer has no column _value", "Keep the column _value in the query.")
    if not text:
        return math.nan
    try:
        if kind in _NUMBERS:
            return float(text)
    except ValueError:
        pass
    raise ProviderError(
        f"the query returns a {kind or 'text'}, not a number: {text[:100]}", "Convert it with toFloat()."
    )


def _tables(text: str) -> list[tuple[int, dict[str, str]]]:
    """The records of annotated CSV, each with the number of its block.

    A record's `#_value` is the type of its `_value`. Raises ProviderError for a table of errors.
    """
    records: list[tuple[int, dict[str, str]]] = []
    notes: dict[str, list[str]] = {}
    header: list[str] = []
    block = 0
    for row in _rows(text):
        if not row:
            header, notes = [], {}
        elif row[0].startswith("#"):
            notes, header = {**({} if header else notes), row[0]: row}, []
        elif not header:
            header, block = row, block + 1
            if "_value" not in header and "error" not in header and "#datatype" not in notes:
                raise ProviderError(f"answer is not annotated CSV: {text[:200].strip()}", _NOT_INFLUX)
        else:
            records.append((block, _record(header, notes, row)))
    return records


def _record(header: list[str], notes: dict[str, list[str]], row: list[str]) -> dict[str, str]:
    defaults, kinds = (dict(zip(header, notes.get(name, ()), strict=False)) for name in ("#default", "#datatype"))
    record = {name: value or defaults.get(name, "") for name, value in zip(header, row, strict=False)}
    if "error" in record and "_value" not in record:
        raise ProviderError(f"error response: {record['error'][:TEXT_MAX]}", _REJECTED)
    return {**record, "#_value": kinds.get("_value", "")}


def _rows(text: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as error:
        raise ProviderError(f"answer is not CSV: {error}", _NOT_INFLUX) from None


# InfluxQL -----------------------------------------------------------------------------------------------------------


def _first_values(body: dict[str, Any]) -> Iterator[float]:
    """The first column after `time` of the first row of each series; null is no number."""
    for result in _results(body):
        found = result.get("series", [])
        if not isinstance(found, list):
            raise ProviderError("a result of the answer has no list of series", _NOT_INFLUX)
        yield from map(_first_value, found)


def _first_value(series: Any) -> float:
    try:
        columns, rows = series["columns"], list(series["values"])
        value = rows[0][1 if columns[0] == "time" else 0] if rows else None
    except (KeyError, TypeError, IndexError):
        raise ProviderError("a series of the answer has no values", _NOT_INFLUX) from None
    if value is None:
        return math.nan
    if not is_number(value):
        raise ProviderError(f"the query returns no number: {str(value)[:100]}", "Select a number, such as mean(x).")
    return float(value)


def _results(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    results = body.get("results")
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise ProviderError("answer has no list of results", _NOT_INFLUX)
    for result in results:
        if "error" in result:
            raise ProviderError(f"error response: {str(result['error'])[:TEXT_MAX]}", _REJECTED)
        yield result
