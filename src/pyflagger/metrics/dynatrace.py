"""Dynatrace's metrics API v2, for MetricTemplates of type `dynatrace`; their query is a metric selector."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlencode

from pyflagger.api.facts import Fault
from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    Exchange,
    NoValues,
    ProviderError,
    Question,
    Settings,
    ask,
    credential,
    json_object,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

WINDOW = 10
"""Intervals to query."""

_KEY = "dynatrace_token"
_NOT_DYNATRACE = "The server at this address does not speak the metrics API v2 of Dynatrace. Check the address."


class Dynatrace:
    """One Dynatrace environment. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._address = parse_address(settings.address)
        token = credential(settings, _KEY)
        if not token:
            raise ProviderError(f"the Secret has no {_KEY}", f"Add {_KEY} to the Secret.", Fault.MANIFEST)
        self._headers = with_authorization(settings.headers, f"Api-Token {token}")
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The last value of the first metric, aggregated over ten intervals; skips nulls."""
        end = int(question.now)
        parameters = {
            "metricSelector": question.text.strip(),
            "resolution": "Inf",
            "from": (end - int(WINDOW * question.interval)) * 1000,
            "to": end * 1000,
        }
        answer = yield from ask(self._request("/api/v2/metrics/query", parameters))
        result = json_object(answer, _NOT_DYNATRACE).get("result")
        if not isinstance(result, list):
            raise ProviderError("answer has no list of results", _NOT_DYNATRACE)
        numbers = [value for value in _values(result[:1]) if _is_number(value)]
        if not numbers:
            raise NoValues()
        return float(numbers[-1])

    def online(self) -> Exchange[None]:
        """The token may read metrics."""
        yield from ask(self._request("/api/v2/metrics", {"pageSize": 1}))

    def _request(self, path: str, parameters: dict[str, Any]) -> HttpRequest:
        url = f"{self._address.join(path)}?{urlencode(parameters)}"
        return HttpRequest("GET", url, self._headers, verify=self._verify)


def _values(results: list[Any]) -> list[Any]:
    """All values of all series, in order. Raises ProviderError for another shape."""
    try:
        return [value for result in results for series in result["data"] for value in series["values"]]
    except (KeyError, TypeError, IndexError):
        raise ProviderError("a result of the answer has no series with values", _NOT_DYNATRACE) from None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 and math.isfinite(value)
