"""What every metric provider is made of: the question, the settings, the three ways to fail, the exchange.

A provider is a generator: it yields requests, is sent answers (or has a failure thrown in) and returns a number.
Whoever runs it (`operator.evidence`, tests) owns the connection and the time. No provider sees a Canary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from pyflagger.api.facts import Fault, Problem
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest

T = TypeVar("T")
Exchange: TypeAlias = Generator[HttpRequest, HttpAnswer, T]
"""Yields requests, wants their answers, returns a T. HttpFailure may be thrown in at a yield."""

TEXT_MAX = 1024
"""Characters of somebody else's answer that go into a text of ours."""


@dataclass(frozen=True, slots=True)
class Question:
    """A rendered query over a window of `interval` seconds that ends `now` (seconds since the epoch)."""

    text: str
    interval: float = 60.0
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach a provider. `secret` holds the raw values of the referenced Secret; None when none is referenced."""

    address: str = ""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    region: str = ""
    verify: bool = True
    secret: Mapping[str, bytes] | None = None


class MetricError(Exception):
    """A query without a usable number; `problem` says whose doing it is and what to do."""

    def __init__(self, text: str, todo: str = "", fault: Fault = Fault.PROVIDER) -> None:
        super().__init__(text)
        self.problem = Problem(fault, text, todo)


class NoValues(MetricError):
    """The provider answered, with nothing usable."""

    def __init__(self, text: str = "no values found", todo: str = "") -> None:
        super().__init__(text, todo)


class MultipleValues(MetricError):
    """The answer is ambiguous: more than one value that could be meant."""

    def __init__(
        self, detail: str, todo: str = "Aggregate the query to one number, for example by sum() or max()."
    ) -> None:
        super().__init__(f"query returned multiple values: {detail}", todo)


class ProviderError(MetricError):
    """Transport, authentication, HTTP status, parsing, or settings."""


class Provider(Protocol):
    """One reachable metric system."""

    def query(self, question: Question) -> Exchange[float]:
        """A finite number. Raises NoValues, MultipleValues or ProviderError."""

    def online(self) -> Exchange[None]:
        """Returns when the system is there and lets us in. Raises ProviderError."""


Factory: TypeAlias = Callable[[Settings], Provider]
"""Makes a provider; raises ProviderError when the settings cannot work."""


def ask(request: HttpRequest) -> Exchange[HttpAnswer]:
    """One exchange; the answer has a 2xx status. Raises ProviderError otherwise."""
    try:
        answer = yield request
    except HttpFailure as failure:
        raise ProviderError(f"request failed: {failure}", _FAILURE_TODO[failure.kind]) from failure
    if not 200 <= answer.status < 300:
        raise ProviderError(f"error response: {answer.summary(TEXT_MAX)}", _status_todo(answer.status))
    return answer


_FAILURE_TODO = {
    "timeout": "The metric system did not answer in time: check its load, or make the query cheaper.",
    "connect": "Check the address and that the operator may reach it (Service name, port, NetworkPolicy).",
    "tls": "Check the certificate of the metric system, or set insecureSkipVerify in its MetricTemplate.",
    "redirects": "The address redirects in circles: give the final address.",
    "too-large": "Aggregate the query: its answer is too large to be one number.",
    "malformed": "What answers at this address does not speak HTTP as expected: check address and port.",
}


def _status_todo(status: int) -> str:
    if status in (401, 403):
        return "The metric system refuses us: check the credentials in the Secret that the MetricTemplate refers to."
    if status == 404:
        return "Check the path of the address: the API of the metric system is not there."
    if status < 500:
        return "The metric system refuses the query: try it there by hand."
    return "The metric system fails: look at its health and its log."


def json_object(answer: HttpAnswer, todo: str) -> dict[str, Any]:
    """The body as a JSON object. Raises ProviderError with `todo`."""
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ProviderError(f"answer is not JSON: {answer.text(200).strip()}", todo) from None
    if not isinstance(body, dict):
        raise ProviderError("answer is not a JSON object", todo)
    return body


def only(values: Iterable[float]) -> float:
    """The one finite number that all values are. Raises NoValues or MultipleValues."""
    numbers = list(values)
    finite = [number for number in numbers if math.isfinite(number)]
    if not finite:
        raise NoValues()
    if any(number != finite[0] for number in numbers):
        raise MultipleValues(f"{len(numbers)} series that differ")
    return finite[0]


def credential(settings: Settings, key: str) -> str:
    """A value of the Secret as text, surrounding white space removed; empty when absent. Raises ProviderError."""
    raw = (settings.secret or {}).get(key, b"")
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        text = "\0"
    if not text.isprintable():
        raise ProviderError(
            f"{key} in the Secret is not plain text", "Store the value as one line of text.", Fault.MANIFEST
        )
    return text
