"""Prometheus and compatible systems: instant queries by GET, long ones by POST.

For the built-in checks, in-line queries and MetricTemplates of type `prometheus`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    TEXT_MAX,
    Exchange,
    MultipleValues,
    NoValues,
    ProviderError,
    Question,
    Settings,
    ask,
    credential,
    json_object,
    only,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpAnswer, HttpRequest

GET_MAX = 4096
"""Encoded characters of a query that still go into the URL."""

_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Inf|NaN)", re.ASCII)
_AGGREGATE = "Aggregate the query to one number, for example with sum()."


class Prometheus:
    """One Prometheus. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._address = parse_address(settings.address)
        self._headers = with_authorization(settings.headers, _authorization(settings), self._address.authorization)
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The query's number: a scalar, one series, or several series with the same value."""
        answer = yield from ask(self._request(question.text.strip()))
        return only(_values(_data(answer)))

    def online(self) -> Exchange[None]:
        """`vector(1)` must be 1."""
        try:
            value = yield from self.query(Question("vector(1)"))
        except (NoValues, MultipleValues) as error:
            raise ProviderError(f"vector(1) did not return 1: {error}", _NOT_PROMETHEUS) from error
        if value != 1:
            raise ProviderError(f"vector(1) returned {value}", _NOT_PROMETHEUS)

    def _request(self, text: str) -> HttpRequest:
        url, encoded = self._address.join("/api/v1/query"), f"query={quote_plus(text)}"
        if len(encoded) <= GET_MAX:
            return HttpRequest("GET", f"{url}?{encoded}", self._headers, verify=self._verify)
        headers = (*self._headers, ("Content-Type", "application/x-www-form-urlencoded"))
        return HttpRequest("POST", url, headers, encoded.encode(), verify=self._verify)


def _authorization(settings: Settings) -> str:
    """The Secret's token, or its user and password; empty without a Secret."""
    if settings.secret is None:
        return ""
    token = credential(settings, "token")
    if token:
        return f"Bearer {token}"
    user, password = credential(settings, "username"), credential(settings, "password")
    if not (user and password):
        raise ProviderError(
            "the Secret has neither token nor username and password",
            "Add token, or username and password, to the Secret.",
        )
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


_NOT_PROMETHEUS = "The server at this address does not speak the query API of Prometheus. Check address and path."


def _data(answer: HttpAnswer) -> dict[str, Any]:
    """The `data` of an answer. Raises ProviderError."""
    body = json_object(answer, _NOT_PROMETHEUS)
    if body.get("status") == "error":
        text = f"{body.get('errorType')}: {body.get('error')}"[:TEXT_MAX]
        raise ProviderError(f"error response: {text}", "The metric system rejects the query. Try it there.")
    data = body.get("data")
    if not isinstance(data, dict):
        raise ProviderError("answer has no data", _NOT_PROMETHEUS)
    return data


def _values(data: dict[str, Any]) -> Iterator[float]:
    """The number of every series. Raises MultipleValues or ProviderError."""
    kind, result = data.get("resultType"), data.get("result")
    if not isinstance(result, list):
        raise ProviderError("answer has no list of results", _NOT_PROMETHEUS)
    if kind == "string":
        raise ProviderError("the query returns a string, not a number", _AGGREGATE)
    if kind == "scalar":
        yield _number(result)
        return
    for series in result:
        if not isinstance(series, dict):
            raise ProviderError("a result of the answer is not an object", _NOT_PROMETHEUS)
        yield _sample(series)


def _sample(series: dict[str, Any]) -> float:
    if "values" in series or "histograms" in series:
        raise MultipleValues(
            "the query returns a range of samples", "Remove the range, or wrap it: rate(), avg_over_time()."
        )
    if "histogram" in series:
        raise ProviderError(
            "the query returns a native histogram, not a number",
            "Wrap it: histogram_quantile(), histogram_count() or histogram_avg().",
        )
    return _number(series.get("value"))


def _number(sample: Any) -> float:
    text = sample[1] if isinstance(sample, list) and len(sample) == 2 else None
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise ProviderError(f"a sample of the answer is not a number: {str(text)[:100]}", _NOT_PROMETHEUS)
    return float(text)
