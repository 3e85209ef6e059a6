"""Prometheus and compatible systems: instant queries and range queries, by GET, long ones by POST.

For the built-in checks, in-line queries and MetricTemplates of type `prometheus`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote_plus

from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    Exchange,
    MultipleValues,
    NoValues,
    ProviderError,
    Question,
    Settings,
    ask,
    credential,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.metrics.promql import number, ranges
from pyflagger.wire import HttpRequest

GET_MAX = 4096
"""Encoded characters of a query that still go into the URL."""


class Times(NamedTuple):
    """The times of a range query, in seconds since the epoch; `step` in seconds."""

    start: float
    end: float
    step: float


class Prometheus:
    """One Prometheus. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        self._address = parse_address(settings.address)
        self._headers = with_authorization(settings.headers, _authorization(settings), self._address.authorization)
        self._verify = settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The query's number: a scalar, one series, or several series with the same value."""
        answer = yield from ask(self._request("/api/v1/query", f"query={quote_plus(question.text.strip())}"))
        return number(answer, _NOT_PROMETHEUS)

    def range(self, text: str, times: Times) -> Exchange[Mapping[str, Mapping[float, float]]]:
        """The numbers of a query at several times, by the label `WHAT` of its series and by time."""
        about = f"query={quote_plus(text)}&start={times.start:.3f}&end={times.end:.3f}&step={times.step:.3f}"
        answer = yield from ask(self._request("/api/v1/query_range", about))
        return ranges(answer, _NOT_PROMETHEUS)

    def online(self) -> Exchange[None]:
        """`vector(1)` must be 1."""
        try:
            value = yield from self.query(Question("vector(1)"))
        except (NoValues, MultipleValues) as error:
            raise ProviderError(f"vector(1) did not return 1: {error}", _NOT_PROMETHEUS) from error
        if value != 1:
            raise ProviderError(f"vector(1) returned {value}", _NOT_PROMETHEUS)

    def _request(self, path: str, encoded: str) -> HttpRequest:
        url = self._address.join(path)
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
