"""The common parts of metric providers: question, settings, the three errors, the exchange.

A provider is a generator. It yields requests, receives answers or a thrown failure, and returns a number. Its caller
(`operator.evidence`, tests) owns the connection and the time. No provider sees a Canary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from pyflagger.api.facts import Fault, Problem
from pyflagger.wire import HttpAnswer, HttpFailure, HttpRequest, is_secret

T = TypeVar("T")
Exchange: TypeAlias = Generator[HttpRequest, HttpAnswer, T]
"""Yields requests, receives their answers, returns a T. The caller may throw HttpFailure at a yield."""

TEXT_MAX = 1024
"""Maximum number of characters of an answer in a text."""

NUMBER_MAX = 1e300
"""A number of this size or more is no measurement."""


@dataclass(frozen=True, slots=True)
class Question:
    """A rendered query over a window of `interval` seconds that ends `now` (seconds since the epoch)."""

    text: str
    interval: float = 60.0
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach a provider. `secret` holds the raw values of the referenced Secret; None when none is referenced.

    `namespace` is the only namespace whose objects a query may read. Empty means all.
    """

    address: str = ""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    region: str = ""
    verify: bool = True
    secret: Mapping[str, bytes] | None = None
    namespace: str = ""


class MetricError(Exception):
    """A query gave no usable number. `problem` says who caused it and what to do. `outcome` is for /metrics."""

    outcome = "error"

    def __init__(self, text: str, todo: str = "", fault: Fault = Fault.PROVIDER, outcome: str = "") -> None:
        super().__init__(text)
        self.problem = Problem(fault, text, todo)
        self.outcome = outcome or self.outcome


class NoValues(MetricError):
    """The provider's answer contains no values."""

    outcome = "no_values"

    def __init__(self, text: str = "no values found", todo: str = "") -> None:
        super().__init__(text, todo)


def nothing(*notes: Any) -> NoValues:
    """NoValues with what the provider says about its empty answer: lists of texts, else ignored."""
    said = "; ".join(note for group in notes if isinstance(group, list) for note in group if isinstance(note, str))
    return NoValues(f"no values found: {said}"[:TEXT_MAX]) if said else NoValues()


class MultipleValues(MetricError):
    """The answer is ambiguous: it has more than one value."""

    outcome = "multiple_values"

    def __init__(
        self, detail: str, todo: str = "Aggregate the query to one number, for example with sum() or max()."
    ) -> None:
        super().__init__(f"query returned multiple values: {detail}", todo)


class ProviderError(MetricError):
    """Transport, authentication, HTTP status, parsing, or settings."""


class Provider(Protocol):
    """One reachable metric system."""

    def query(self, question: Question) -> Exchange[float]:
        """A finite number. Raises NoValues, MultipleValues or ProviderError."""

    def online(self) -> Exchange[None]:
        """Check that the system is reachable and accepts the credentials. Raises ProviderError."""


Factory: TypeAlias = Callable[[Settings], Provider]
"""Makes a provider; raises ProviderError when the settings cannot work."""


def sent(request: HttpRequest) -> Exchange[HttpAnswer]:
    """One exchange; the answer has any status. Raises ProviderError when there is none."""
    try:
        answer = yield request
    except HttpFailure as failure:
        text, outcome = f"request failed: {failure}", failure.kind.replace("-", "_")
        raise ProviderError(text, _FAILURE_TODO[failure.kind], outcome=outcome) from failure
    return answer


def ask(request: HttpRequest) -> Exchange[HttpAnswer]:
    """One exchange; the answer has a 2xx status. Raises ProviderError otherwise."""
    answer = yield from sent(request)
    if not 200 <= answer.status < 300:
        raise rejected(request, answer)
    return answer


def rejected(request: HttpRequest, answer: HttpAnswer) -> ProviderError:
    """The error for an answer without a 2xx status."""
    todo = _CLUSTER_TODO.get(answer.status) if request.cluster else None
    text = f"error response: {answer.summary(TEXT_MAX)}"
    named = request.auth or request.secrets or any(is_secret(*header, request) for header in request.headers)
    todo = todo or _status_todo(answer.status, anonymous=not named)
    return ProviderError(text, todo, outcome=f"status_{answer.status // 100}xx")


_CLUSTER_TODO = {
    401: "The API server rejects flagger's credentials. Check the operator's ServiceAccount.",
    403: "Grant the operator's ServiceAccount the rights in this text. The Helm chart and kustomize contain them.",
    404: "Check the name and namespace in the query, and that the metrics API is installed in the cluster.",
}
"""What to do about answers of the API server."""

_FAILURE_TODO = {
    "timeout": "The metric system did not answer in time. Check its load, or simplify the query.",
    "connect": "Check that the metrics server is reachable at this address (Service, port, NetworkPolicy).",
    "tls": "Check the certificate of the metric system, or set insecureSkipVerify in its MetricTemplate.",
    "redirects": "The address redirects in a loop. Use the final address.",
    "too-large": "The answer is too large for one number. Aggregate the query.",
    "malformed": "The server at this address does not speak HTTP. Check address and port.",
    "credentials": "Check the identity of the operator's pod in this cloud, and the Secret of the MetricTemplate.",
}


def _status_todo(status: int, *, anonymous: bool) -> str:
    """`anonymous` says that the request had no credentials."""
    if status in (401, 403) and anonymous:
        return (
            "flagger sends it no credentials and no tenant. Built-in checks never do: ask by a MetricTemplate with a"
            " secretRef, and with headers for a tenant."
        )
    if status in (401, 403):
        return "The metric system rejects the credentials. Check the Secret that the MetricTemplate refers to."
    if status == 429:
        return "The metric system limits the rate of requests. Use a longer interval, or raise the limit."
    if status in (404, 405, 501):
        return "The metric system's API is not at this path. Check the path of the address."
    if status < 500:
        return "The metric system rejects the query. Try it there."
    return "The metric system fails. Check its health and its log."


def json_value(answer: HttpAnswer, todo: str) -> Any:
    """The body as JSON. Raises ProviderError with `todo`."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ProviderError(f"answer is not JSON: {answer.text(200).strip()}", todo) from None


def json_object(answer: HttpAnswer, todo: str) -> dict[str, Any]:
    """The body as a JSON object. Raises ProviderError with `todo`."""
    body = json_value(answer, todo)
    if not isinstance(body, dict):
        raise ProviderError("answer is not a JSON object", todo)
    return body


def only(values: Iterable[float]) -> float:
    """The finite number that all values equal. Raises NoValues or MultipleValues."""
    numbers = list(values)
    usable = [number for number in numbers if math.isfinite(number)]
    if not usable:
        raise NoValues()
    if any(number != usable[0] for number in numbers):
        raise MultipleValues(f"{len(numbers)} series with different values")
    return usable[0]


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < NUMBER_MAX and math.isfinite(value)


def finite(value: float) -> float:
    """The number. Raises NoValues for NaN and infinity."""
    if not math.isfinite(value):
        raise NoValues()
    return value


def spoken(text: str, *languages: str) -> tuple[str, str]:
    """Language and text of a query. `promql: up` names its language. Without a name it is the first language."""
    name, colon, rest = text.strip().partition(":")
    if colon and name.strip().lower() in languages:
        return name.strip().lower(), rest.strip()
    return languages[0], text.strip()


def needed(settings: Settings, key: str) -> str:
    """A credential that the Secret must have. Raises ProviderError."""
    value = credential(settings, key)
    if not value:
        raise ProviderError(f"the Secret has no {key}", f"Add {key} to the Secret.", Fault.MANIFEST)
    return value


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
