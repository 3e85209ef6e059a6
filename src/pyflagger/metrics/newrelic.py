"""New Relic's Insights query API, for MetricTemplates of type `newrelic`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    Exchange,
    MultipleValues,
    NoValues,
    ProviderError,
    Question,
    Settings,
    ask,
    is_number,
    json_object,
    needed,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

ADDRESS = "https://insights-api.newrelic.com"
_OWN_WINDOW = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|(?P<since>\bSINCE\b)""", re.IGNORECASE)
"""Texts and quoted names of NRQL, and the keyword that sets a window."""

_PARTED = ("facets", "timeSeries")
"""Fields of answers that have a result for each facet or bucket."""

_NOT_NEWRELIC = "The server at this address does not speak the Insights query API. Check the address of your region."


class NewRelic:
    """One New Relic account. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        account, key = (needed(settings, name) for name in ("newrelic_account_id", "newrelic_query_key"))
        self._url = parse_address(settings.address or ADDRESS).join(f"/v1/accounts/{quote(account, safe='')}/query")
        self._headers = (*with_authorization(settings.headers, ""), ("X-Query-Key", key))
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The one number of the one result."""
        answer = yield from ask(self._request(question))
        body = json_object(answer, _NOT_NEWRELIC)
        if any(name in body for name in _PARTED):
            raise MultipleValues("one for each facet or bucket", "Remove FACET and TIMESERIES from the query.")
        results = body.get("results")
        if not isinstance(results, list):
            raise ProviderError("answer has no list of results", _NOT_NEWRELIC)
        if len(results) > 1:
            raise MultipleValues(f"{len(results)} results", "Select one function.")
        return _number(results[0]) if results else _nothing()

    def online(self) -> Exchange[None]:
        """The key may query the account."""
        yield from ask(self._request(Question("SELECT * FROM Metric")))

    def _request(self, question: Question) -> HttpRequest:
        nrql = question.text.strip()
        if not any(found["since"] for found in _OWN_WINDOW.finditer(nrql)):
            nrql = f"{nrql} SINCE {int(question.interval)} seconds ago"
        return HttpRequest("GET", f"{self._url}?{urlencode({'nrql': nrql})}", self._headers, verify=self._verify)


def _number(result: Any) -> float:
    """`result`, or else the only number, as of average() or percentile(). Raises NoValues or MultipleValues."""
    fields = result if isinstance(result, dict) else {}
    numbers = list(_numbers(fields.get("result", fields)))
    if len(numbers) > 1:
        raise MultipleValues(f"{len(numbers)} numbers", "Select one function that gives one number.")
    if not numbers or not is_number(numbers[0]):
        raise NoValues()
    return float(numbers[0])


def _numbers(value: Any) -> Iterator[int | float]:
    """The numbers of a result, and of its tables, such as that of percentile()."""
    for found in value.values() if isinstance(value, dict) else [value]:
        inner = found.values() if isinstance(found, dict) else [found]
        yield from (number for number in inner if isinstance(number, int | float) and not isinstance(number, bool))


def _nothing() -> float:
    raise NoValues()
