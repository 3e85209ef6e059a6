"""Datadog's query API, for MetricTemplates of type `datadog`.

Queries ten intervals, because points arrive late, and uses the newest point with a complete bucket.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    TEXT_MAX,
    Exchange,
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

ADDRESS = "https://api.datadoghq.com"
WINDOW = 10
"""Intervals to query."""

_KEYS = (("DD-API-KEY", "datadog_api_key"), ("DD-APPLICATION-KEY", "datadog_application_key"))
_NOT_DATADOG = "The server at this address does not speak the query API of Datadog. Check the address of your site."


class Datadog:
    """One Datadog site. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._address = parse_address(settings.address or ADDRESS)
        self._headers = (*with_authorization(settings.headers, ""), *_keys(settings))
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The newest complete point of the first series; skips points without a value."""
        end = int(question.now)
        window = {"from": end - int(WINDOW * question.interval), "to": end, "query": question.text.strip()}
        answer = yield from ask(self._request("/api/v1/query", window))
        body = json_object(answer, _NOT_DATADOG)
        if body.get("status") == "error":
            text = f"error response: {body.get('error') or body.get('message')}"[:TEXT_MAX]
            raise ProviderError(text, "Datadog rejects the query. Try it in the Metrics Explorer.")
        series = body.get("series")
        if not isinstance(series, list):
            raise ProviderError("answer has no list of series", _NOT_DATADOG)
        return _newest(series[0], question.now) if series else _nothing()

    def online(self) -> Exchange[None]:
        """The keys are valid."""
        yield from ask(self._request("/api/v1/validate", {}))

    def _request(self, path: str, parameters: dict[str, Any]) -> HttpRequest:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return HttpRequest("GET", f"{self._address.join(path)}{query}", self._headers, verify=self._verify)


def _keys(settings: Settings) -> Iterator[tuple[str, str]]:
    for header, key in _KEYS:
        yield header, needed(settings, key)


def _newest(series: Any, now: float) -> float:
    """The newest finite point whose bucket had ended, else the newest finite one. Raises NoValues or ProviderError."""
    points = series.get("pointlist") if isinstance(series, dict) else None
    if not isinstance(points, list):
        raise ProviderError("a series of the answer has no points", _NOT_DATADOG)
    width = series.get("interval")
    bucket = float(width) if is_number(width) else 0.0
    usable = sorted(_point(point) for point in points if _has_value(point))
    complete = [value for time, value in usable if time / 1000 + bucket <= now]
    if complete:
        return complete[-1]
    return usable[-1][1] if usable else _nothing()


def _has_value(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(is_number(part) for part in point)


def _point(point: list[float]) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _nothing() -> float:
    raise NoValues()
