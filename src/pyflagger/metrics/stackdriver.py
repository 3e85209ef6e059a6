"""Google Cloud Monitoring, for MetricTemplates of type `stackdriver`.

A query is MQL, as in Flagger. One that begins with `promql:` is PromQL, which Google recommends for new queries. The
credentials are those of the Secret's `serviceAccountKey`, else of the process (workload identity). They need
`monitoring.timeSeries.list`. The project is the Secret's `project`, else that of the key.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from pyflagger.api.facts import Fault
from pyflagger.metrics.address import Address, parse_address
from pyflagger.metrics.base import (
    TEXT_MAX,
    Exchange,
    ProviderError,
    Question,
    Settings,
    credential,
    is_number,
    json_object,
    only,
    rejected,
    sent,
    spoken,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.metrics.promql import number
from pyflagger.wire import GoogleAuth, HttpAnswer, HttpRequest

ADDRESS = "https://monitoring.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/monitoring.read"
MQL, PROMQL = "mql", "promql"
TIMEOUT = 10.0

_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z0-9][-a-z0-9]{1,62}")
_KEY_FIELDS = ("client_email", "private_key", "token_uri")
_NOT_GOOGLE = "The server at this address does not speak the API of Cloud Monitoring. Check the address."
_DENIED = "Grant the service account roles/monitoring.viewer in this project, and enable the Monitoring API."


class Stackdriver:
    """Cloud Monitoring of one project. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        key = _key(settings)
        project = _project(settings, key)
        base = _trusted(parse_address(settings.address or ADDRESS), key)
        self._mql = base.join(f"/v3/projects/{project}/timeSeries:query")
        self._promql = base.join(f"/v1/projects/{project}/location/global/prometheus/api/v1/query")
        self._headers = with_authorization(settings.headers, "")
        self._auth, self._verify = GoogleAuth(SCOPE, key), settings.verify or not key

    def query(self, question: Question) -> Exchange[float]:
        """In MQL the first value of the newest point of each series, which must agree. PromQL as for Prometheus."""
        language, text = spoken(question.text, MQL, PROMQL)
        if language == PROMQL:
            form = ("Content-Type", "application/x-www-form-urlencoded")
            answer = yield from self._ask(self._request(self._promql, form, urlencode({"query": text}).encode()))
            return number(answer, _NOT_GOOGLE)
        answer = yield from self._ask(self._request(self._mql, *_mql(text)))
        return only(_values(json_object(answer, _NOT_GOOGLE)))

    def online(self) -> Exchange[None]:
        """Check that Google accepts the credentials. It rejects the empty query after it has checked them."""
        request = self._request(self._mql, *_mql(""))
        answer = yield from sent(request)
        if answer.status != 200 and _reason(answer)[0] != "INVALID_ARGUMENT":
            raise _refused(request, answer)

    def _ask(self, request: HttpRequest) -> Exchange[HttpAnswer]:
        answer = yield from sent(request)
        if answer.status != 200:
            raise _refused(request, answer)
        return answer

    def _request(self, url: str, form: tuple[str, str], body: bytes) -> HttpRequest:
        headers = (*self._headers, form)
        return HttpRequest("POST", url, headers, body, timeout=TIMEOUT, verify=self._verify, auth=self._auth)


def _trusted(address: Address, key: str) -> Address:
    """The address. The author of a template must not get a token of the process. Raises ProviderError."""
    parts = urlsplit(address.base)
    if not key and not (parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")):
        text = f"address {address.base} is not an https:// address of googleapis.com, and the Secret has no key"
        raise ProviderError(text, "Remove the address, or add serviceAccountKey to the Secret.", Fault.MANIFEST)
    return address


def _key(settings: Settings) -> str:
    """The key of a service account, or empty. Raises ProviderError, never with a part of the key."""
    raw = (settings.secret or {}).get("serviceAccountKey", b"").strip()
    if not raw:
        return ""
    try:
        key = json.loads(raw)
    except (ValueError, RecursionError):
        key = None
    fields = key if isinstance(key, dict) else {}
    if fields.get("type") != "service_account" or not all(isinstance(fields.get(name), str) for name in _KEY_FIELDS):
        text = "serviceAccountKey in the Secret is not the JSON key of a service account"
        raise ProviderError(text, "Store the file that Google issued. Other kinds are not accepted.", Fault.MANIFEST)
    return raw.decode("utf-8", "replace")


def _project(settings: Settings, key: str) -> str:
    project = credential(settings, "project") or (json.loads(key).get("project_id") if key else "")
    if not isinstance(project, str) or not _PROJECT.fullmatch(project):
        about = "project in the Secret is not the ID of a project" if project else "the Secret has no project"
        raise ProviderError(about, "Add project, the ID of the project, to the Secret.", Fault.MANIFEST)
    return project


def _mql(text: str) -> tuple[tuple[str, str], bytes]:
    return ("Content-Type", "application/json"), json.dumps({"query": text}).encode()


def _values(body: dict[str, Any]) -> Iterator[float]:
    """The first value of the first, newest point of each series. Raises ProviderError."""
    if body.get("partialErrors"):
        told = json.dumps(body["partialErrors"])[:TEXT_MAX]
        raise ProviderError(f"the answer is incomplete: {told}", "Try the query in the Metrics explorer.")
    series = body.get("timeSeriesData", [])
    if not isinstance(series, list) or not (series or body.keys() <= _EMPTY):
        raise ProviderError("answer has no list of time series", _NOT_GOOGLE)
    yield from map(_value, series)


_EMPTY = frozenset({"timeSeriesDescriptor", "timeSeriesData", "nextPageToken", "partialErrors"})
"""The fields of an answer. Google leaves out empty ones."""


def _value(series: Any) -> float:
    try:
        points = series.get("pointData") or ()
        values = points[0].get("values") or () if points else ()
        ((kind, value),) = values[0].items() if values else (("", None),)
    except (AttributeError, TypeError, KeyError, IndexError, ValueError):
        raise ProviderError("a time series of the answer has no points", _NOT_GOOGLE) from None
    if value is None:
        return math.nan
    if kind == "boolValue":
        return float(value is True)
    return _number(kind, value)


def _number(kind: str, value: Any) -> float:
    """A double, or an integer, which Google writes as text."""
    if kind == "doubleValue" and value in ("NaN", "Infinity", "-Infinity"):
        return math.nan
    if kind == "doubleValue" and is_number(value):
        return float(value)
    if kind == "int64Value" and isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value, re.ASCII):
        return float(value)
    todo = "Reduce it to a number, for example with | group_by [], max(value) or a percentile."
    raise ProviderError(f"the query returns a {kind[:50]}, not a number", todo)


def _reason(answer: HttpAnswer) -> tuple[str, str]:
    """Status and message of an error of Google; empty when the answer is none."""
    try:
        error = json.loads(answer.body)["error"]
        return str(error["status"]), str(error.get("message") or "")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "", ""


def _refused(request: HttpRequest, answer: HttpAnswer) -> ProviderError:
    reason, message = _reason(answer)
    error = rejected(request, answer)
    if not reason:
        return error
    todo = _DENIED if reason in ("PERMISSION_DENIED", "NOT_FOUND") else error.problem.todo
    return ProviderError(f"error response: {reason}: {message}"[:TEXT_MAX], todo, outcome=error.outcome)
