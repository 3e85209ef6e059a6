"""Splunk Observability Cloud, for MetricTemplates of type `splunk`. Their query is a SignalFlow program.

The program runs over ten intervals, by the HTTP form of the SignalFlow API: one request, answered by a stream of
events that ends with the window.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

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
    is_number,
    needed,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

WINDOW = 10
"""Intervals to query."""

_NOT_SPLUNK = (
    "The server at this address does not speak the SignalFlow API. Use https://api.REALM.signalfx.com or"
    " https://stream.REALM.signalfx.com."
)
_FAILED = "Splunk rejects the program. Try it there."


class Splunk:
    """One realm of Splunk. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._stream = realm(settings.address, "stream")
        self._api = realm(settings.address, "api")
        token = needed(settings, "sf_token_key")
        self._headers = (*with_authorization(settings.headers, ""), ("X-SF-Token", token))
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The last value of the program's only series. Skips nulls."""
        stop = int(question.now * 1000)
        start = stop - int(WINDOW * question.interval * 1000)
        parameters = urlencode({"start": start, "stop": stop, "immediate": "true"})
        headers = (*self._headers, ("Content-Type", "text/plain"), ("Accept", "text/event-stream"))
        url, program = f"{self._stream}/v2/signalflow/execute?{parameters}", question.text.strip().encode()
        answer = yield from ask(HttpRequest("POST", url, headers, program, verify=self._verify))
        points = list(_points(answer.body.decode("utf-8", "replace")))
        if not points:
            raise NoValues()
        if any(series != points[0][0] for series, _ in points):
            raise MultipleValues(f"{len({series for series, _ in points})} series", "Publish one series, as by sum().")
        return points[-1][1]

    def online(self) -> Exchange[None]:
        """Check that the token may read metrics."""
        yield from ask(HttpRequest("GET", f"{self._api}/v2/metric?limit=1", self._headers, verify=self._verify))


def realm(address: str, wanted: str = "api") -> str:
    """The base URL of the realm's host `api` or `stream`. Other hosts serve both. Raises ProviderError."""
    text = address.strip()
    scheme, separator, rest = text.partition("://")
    base = parse_address(f"{scheme.replace('ws', 'http', 1)}{separator}{rest}" if separator else text).base
    scheme, separator, rest = base.partition("://")
    label, dot, domain = rest.partition(".")
    return f"{scheme}{separator}{wanted if label in ('api', 'stream') else label}{dot}{domain}"


def _points(text: str) -> Iterator[tuple[str, float]]:
    """Series and value of each point, in order. Raises ProviderError."""
    for kind, payload in _events(text):
        if kind == "error" or payload.get("event") == "CHANNEL_ABORT":
            told = payload.get("errors") or payload.get("abortInfo") or payload.get("message") or payload
            raise ProviderError(f"error response: {json.dumps(told)[:TEXT_MAX]}", _FAILED)
        if kind == "data":
            yield from _data(payload.get("data"))


def _data(points: Any) -> Iterator[tuple[str, float]]:
    if not isinstance(points, list) or not all(isinstance(point, dict) and "tsId" in point for point in points):
        raise ProviderError("a message of the answer has no points", _NOT_SPLUNK)
    for point in points:
        if is_number(point.get("value")):
            yield str(point["tsId"]), float(point["value"])


def _events(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Type and payload of each server-sent event. Raises ProviderError when there is none."""
    found = False
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = [line.partition(":") for line in block.split("\n")]
        kinds = [value.strip() for name, _, value in fields if name == "event"]
        data = "\n".join(value for name, _, value in fields if name == "data")
        if kinds and data:
            found = True
            yield kinds[-1], _payload(data)
    if not found:
        raise ProviderError(f"answer is not a stream of events: {text[:200].strip()}", _NOT_SPLUNK)


def _payload(data: str) -> dict[str, Any]:
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise ProviderError(f"a message of the answer is not a JSON object: {data[:200].strip()}", _NOT_SPLUNK)
    return payload
