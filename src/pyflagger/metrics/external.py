"""Kubernetes external metrics, for MetricTemplates of type `externalmetrics`: KEDA's adapter and others.

A query is `[NAMESPACE/]METRIC[?labelSelector=SELECTOR]`, the namespace `default` unless given. flagger asks its own
API server with its own identity. With an address it asks that server instead, with the token of the Secret or none.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pyflagger.api.facts import Fault
from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import (
    Exchange,
    ProviderError,
    Question,
    Settings,
    ask,
    credential,
    json_object,
    only,
)
from pyflagger.metrics.headers import with_authorization
from pyflagger.wire import HttpRequest

NAMESPACE = "default"
_API = "/apis/external.metrics.k8s.io/v1beta1"
_OWN_HOSTS = frozenset(
    {"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
)
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_FORM = "Write it as NAMESPACE/METRIC?labelSelector=SELECTOR."
_NOT_METRICS = "The server does not speak external.metrics.k8s.io/v1beta1. Check the address, and the metrics adapter."

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


class ExternalMetrics:
    """One metrics API of Kubernetes. Raises ProviderError when the settings cannot work."""

    def __init__(self, settings: Settings) -> None:
        token = credential(settings, "token")
        address = parse_address(settings.address) if settings.address else None
        self._own = address is None or urlsplit(address.base).hostname in _OWN_HOSTS
        self._base = "" if address is None or self._own else address.base
        self._headers = with_authorization(settings.headers, f"Bearer {token}" if token else "")
        self._verify, self._namespace = settings.verify, settings.namespace

    def query(self, question: Question) -> Exchange[float]:
        """The value of the metric. Several items must agree."""
        namespace, metric, selector = read(question.text)
        if self._namespace not in ("", namespace):
            raise ProviderError(
                f"the query names namespace {namespace}: references to other namespaces are not allowed",
                f"Write it as {self._namespace}/{metric}.",
                Fault.MANIFEST,
            )
        query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
        answer = yield from ask(self._request(f"/namespaces/{namespace}/{quote(metric, safe='')}{query}"))
        items = json_object(answer, _NOT_METRICS).get("items")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ProviderError("answer has no list of items", _NOT_METRICS)
        return only([quantity(item.get("value")) for item in items])

    def online(self) -> Exchange[None]:
        """Check that the API serves external metrics."""
        yield from ask(self._request(""))

    def _request(self, path: str) -> HttpRequest:
        if self._own:
            return HttpRequest("GET", f"{_API}{path}", cluster=True)
        return HttpRequest("GET", f"{self._base}{_API}{path}", self._headers, verify=self._verify)


def read(text: str) -> tuple[str, str, str]:
    """Namespace, metric and label selector of a query. Raises ProviderError."""
    path, _, query = text.strip().partition("?")
    parts = path.strip().split("/")
    namespace, metric = (parts[0] or NAMESPACE, parts[1]) if len(parts) == 2 else (NAMESPACE, parts[0])
    parameters = dict(parse_qsl(query))
    known = parameters.keys() <= {"labelSelector"} and (bool(parameters) or not query)
    if len(parts) > 2 or not metric.strip(".") or not _NAMESPACE.fullmatch(namespace) or not known:
        raise ProviderError("the query names no external metric", _FORM, Fault.MANIFEST)
    return namespace, metric, parameters.get("labelSelector", "")


def quantity(value: Any) -> float:
    """A quantity of Kubernetes as a number: `1500m` is 1.5. Raises ProviderError."""
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ProviderError(f"a value of the answer is not a quantity: {str(value)[:100]}", _NOT_METRICS)
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _BINARY:
        return float(number * 1024 ** (_BINARY.index(suffix) + 1))
    return float(number.scaleb(_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:] or 0)))
