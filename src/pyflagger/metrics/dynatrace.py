"""Dynatrace's metrics API v2, for MetricTemplates of type `dynatrace`; their query is a metric selector."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    Exchange,
    ProviderError,
    Question,
    Settings,
    ask,
    is_number,
    json_object,
    needed,
    nothing,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

WINDOW = 10
"""Intervals to query."""

_NOT_DYNATRACE = "The server at this address does not speak the metrics API v2 of Dynatrace. Check the address."


class Dynatrace:
    """One Dynatrace environment. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._address = parse_address(settings.address)
        token = needed(settings, "dynatrace_token")
        self._headers = with_authorization(settings.headers, f"Api-Token {token}")
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The first value of the last series of the first metric, over ten intervals. Skips series of nulls only."""
        end = int(question.now)
        parameters = {
            "metricSelector": question.text.strip(),
            "resolution": "Inf",
            "from": (end - int(WINDOW * question.interval)) * 1000,
            "to": end * 1000,
        }
        answer = yield from ask(self._request("/api/v2/metrics/query", parameters))
        body = json_object(answer, _NOT_DYNATRACE)
        result = body.get("result")
        if not isinstance(result, list):
            raise ProviderError("answer has no list of results", _NOT_DYNATRACE)
        numbers = [[value for value in values if is_number(value)] for values in _series(result[:1])]
        usable = [values[0] for values in numbers if values]
        if not usable:
            raise nothing(body.get("warnings"), *(metric.get("warnings") for metric in result[:1]))
        return float(usable[-1])

    def online(self) -> Exchange[None]:
        """The token may read metrics."""
        yield from ask(self._request("/api/v2/metrics", {"pageSize": 1}))

    def _request(self, path: str, parameters: dict[str, Any]) -> HttpRequest:
        url = f"{self._address.join(path)}?{urlencode(parameters)}"
        return HttpRequest("GET", url, self._headers, verify=self._verify)


def _series(results: list[Any]) -> list[list[Any]]:
    """The values of each series, in order. Raises ProviderError for another shape."""
    try:
        return [list(series["values"]) for result in results for series in result["data"]]
    except (KeyError, TypeError, IndexError):
        raise ProviderError("a result of the answer has no series with values", _NOT_DYNATRACE) from None
