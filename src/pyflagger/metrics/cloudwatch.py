"""Amazon CloudWatch, for MetricTemplates of type `cloudwatch`. Their query is a JSON list of MetricDataQueries.

flagger asks for ten intervals with the credentials of its process (IRSA, roles of pod and node, environment), which
need `cloudwatch:GetMetricData`. An address replaces the endpoint of the region, for VPC endpoints.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pyflagger.api.facts import Fault
from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    TEXT_MAX,
    Exchange,
    ProviderError,
    Question,
    Settings,
    is_number,
    json_object,
    nothing,
    rejected,
    sent,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import AwsAuth, HttpAnswer, HttpRequest

WINDOW = 10
"""Intervals to query."""

POINTS_MAX = 20
TIMEOUT = 10.0

_TARGET = "GraniteServiceVersion20100801.GetMetricData"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d{1,2}")
_PARTITIONS = (("cn-", "amazonaws.com.cn"), ("us-iso-", "c2s.ic.gov"), ("us-isob-", "sc2s.sgov.gov"))
_FORM = "Write the query as a JSON list of MetricDataQueries."
_NOT_CLOUDWATCH = "The server at this address does not speak the API of CloudWatch. Check region and address."

_FIELDS = (
    *("Id", "MetricStat", "Metric", "Namespace", "MetricName", "Dimensions", "Name", "Value", "Period", "Stat"),
    *("Unit", "Expression", "Label", "ReturnData", "AccountId"),
)
_SPELLED = {name.lower(): name for name in _FIELDS}

_TODO = {
    "AccessDenied": "Allow cloudwatch:GetMetricData to the role of the operator's pod.",
    "ExpiredToken": "The credentials have expired. Check the token of the operator's pod, and its clock.",
    "InvalidClientTokenId": "AWS does not know the access key. Check key and region.",
    "UnrecognizedClient": "AWS does not know the access key. Check key and region.",
    "SignatureDoesNotMatch": "Check the secret access key, and the clock of the operator's node.",
    "RequestTimeTooSkewed": "Correct the clock of the operator's node.",
    "InvalidSignature": "Check the secret access key, the region, and the clock of the operator's node.",
    "Throttling": "AWS limits the rate of requests. Use a longer interval, or raise the quota.",
    "Validation": "CloudWatch rejects the query. Try it with: aws cloudwatch get-metric-data.",
    "InvalidParameter": "CloudWatch rejects the query. Try it with: aws cloudwatch get-metric-data.",
    "MissingParameter": "CloudWatch rejects the query. Try it with: aws cloudwatch get-metric-data.",
}
"""What to do, by the beginning of AWS's error codes."""

_ASKED_WRONGLY = ("Validation", "InvalidParameter", "MissingParameter")


class CloudWatch:
    """CloudWatch in one region. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        region = region_of(settings.region)
        self._url = parse_address(settings.address or endpoint(region)).join("/")
        self._headers = with_authorization(settings.headers, "")
        self._auth, self._verify = AwsAuth("monitoring", region), settings.verify

    def query(self, question: Question) -> Exchange[float]:
        """The newest value of the first result. Skips what is not finite."""
        request = self._request(read(question.text), question)
        answer = yield from sent(request)
        if answer.status != 200:
            raise _refused(request, answer)
        body = json_object(answer, _NOT_CLOUDWATCH)
        results = body.get("MetricDataResults")
        if not isinstance(results, list):
            raise ProviderError("answer has no MetricDataResults", _NOT_CLOUDWATCH)
        values = _values(results[0]) if results else []
        if not values:
            raise nothing(_messages(body), *map(_messages, results[:1]))
        return values[0]

    def online(self) -> Exchange[None]:
        """Check that CloudWatch accepts the credentials. It rejects the empty query after it has checked them."""
        request = self._request([], Question(""))
        answer = yield from sent(request)
        if answer.status != 200 and not _code(answer)[0].startswith(_ASKED_WRONGLY):
            raise _refused(request, answer)

    def _request(self, queries: list[Any], question: Question) -> HttpRequest:
        end = int(question.now)
        start = end - int(WINDOW * question.interval)
        body = {"MetricDataQueries": queries, "StartTime": start, "EndTime": end, "MaxDatapoints": POINTS_MAX}
        headers = (*self._headers, ("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", _TARGET))
        text = json.dumps(body).encode()
        return HttpRequest("POST", self._url, headers, text, timeout=TIMEOUT, verify=self._verify, auth=self._auth)


def region_of(text: str) -> str:
    """The region, without white space around it. Raises ProviderError."""
    region = text.strip()
    if not _REGION.fullmatch(region):
        about = f"region {region[:100]!r} is not a region of AWS" if region else "there is no region"
        raise ProviderError(about, "Set spec.provider.region, such as eu-west-1.", Fault.MANIFEST)
    return region


def endpoint(region: str) -> str:
    """The public endpoint of CloudWatch in a region."""
    domain = next((domain for prefix, domain in _PARTITIONS if region.startswith(prefix)), "amazonaws.com")
    return f"https://monitoring.{region}.{domain}"


def read(text: str) -> list[Any]:
    """The queries of a text, their fields spelled as CloudWatch spells them. Raises ProviderError."""
    try:
        queries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProviderError(f"the query is not JSON: {error}", _FORM, Fault.MANIFEST) from None
    if not isinstance(queries, list) or not queries or not all(isinstance(query, dict) for query in queries):
        raise ProviderError("the query is not a list of MetricDataQueries", _FORM, Fault.MANIFEST)
    return [_spelled(query) for query in queries]


def _spelled(value: Any) -> Any:
    """A copy without unknown fields, as in Flagger, which also ignores the case of fields."""
    if isinstance(value, dict):
        return {_SPELLED[key.lower()]: _spelled(part) for key, part in value.items() if key.lower() in _SPELLED}
    return [_spelled(part) for part in value] if isinstance(value, list) else value


def _values(result: Any) -> list[float]:
    """The finite values of a result, newest first. Raises ProviderError."""
    values = result.get("Values") if isinstance(result, dict) else None
    if not isinstance(values, list):
        raise ProviderError("a result of the answer has no Values", _NOT_CLOUDWATCH)
    if result.get("StatusCode") in ("InternalError", "Forbidden"):
        told = json.dumps(result.get("Messages") or [])[:TEXT_MAX]
        text = f"error response: {result['StatusCode']} for {str(result.get('Id'))[:100]}: {told}"
        raise ProviderError(text, "CloudWatch could not read this metric. Check it in the account.")
    return [float(value) for value in values if is_number(value)]


def _messages(part: dict[str, Any]) -> list[Any]:
    """What CloudWatch says about an answer, or about one of its results."""
    messages = part.get("Messages")
    return (
        [message.get("Value") for message in messages if isinstance(message, dict)]
        if isinstance(messages, list)
        else []
    )


def _code(answer: HttpAnswer) -> tuple[str, str]:
    """Code and message of an error of AWS; empty when the answer is none."""
    try:
        body = json.loads(answer.body)
        code = str(body["__type"]).rpartition("#")[2]
        return code, str(body.get("message") or body.get("Message") or "")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "", ""


def _refused(request: HttpRequest, answer: HttpAnswer) -> ProviderError:
    code, message = _code(answer)
    if not code:
        return rejected(request, answer)
    todo = next((todo for name, todo in _TODO.items() if code.startswith(name)), "Check the health of CloudWatch.")
    outcome = rejected(request, answer).outcome
    return ProviderError(f"error response: {code}: {message}"[:TEXT_MAX], todo, outcome=outcome)
