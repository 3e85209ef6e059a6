"""Keptn, for MetricTemplates of type `keptn`. Their query names an object of the cluster.

`keptnmetric/NAMESPACE/NAME` is the value of a KeptnMetric. `analysis/NAMESPACE/DEFINITION[/RECENT[/KEY=VALUE;…]]` runs
an Analysis over the last RECENT (1m): 1 when it passes, 0 when it fails. flagger deletes the Analysis afterwards.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from pyflagger.api.facts import Fault
from pyflagger.metrics.base import Exchange, MetricError, ProviderError, Question, Settings, ask, finite, json_object
from pyflagger.objects import part
from pyflagger.wire import HttpRequest

POLLS, PAUSE = 10, 1.0
"""How often flagger reads a running Analysis, and the seconds between."""

RECENT = "1m"
_API = "/apis/metrics.keptn.sh/v1beta1"
_KINDS = {"keptnmetric": "keptnmetrics", "keptnmetrics": "keptnmetrics", "analysis": "analyses", "analyses": "analyses"}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_FORM = "Write it as keptnmetric/NAMESPACE/NAME or analysis/NAMESPACE/DEFINITION/RECENT/KEY=VALUE;KEY=VALUE."
_NOT_KEPTN = "Check that this version of Keptn serves metrics.keptn.sh/v1beta1."


@dataclass(frozen=True, slots=True)
class _Named:
    """What a query names. `kind` is the plural."""

    kind: str
    namespace: str
    name: str
    recent: str = RECENT
    arguments: dict[str, str] = field(default_factory=dict)

    def path(self, name: str = "") -> str:
        return "/".join((_API, "namespaces", self.namespace, self.kind, *([name] if name else [])))


class Keptn:
    """The Keptn of flagger's own cluster. `settings.namespace` is the only namespace that queries may name."""

    def __init__(self, settings: Settings) -> None:
        self._namespace = settings.namespace

    def query(self, question: Question) -> Exchange[float]:
        """The value of a KeptnMetric, or the outcome of an Analysis."""
        named = read(question.text)
        if self._namespace not in ("", named.namespace):
            raise ProviderError(
                f"the query names namespace {named.namespace}: references to other namespaces are not allowed",
                f"Name namespace {self._namespace}.",
                Fault.MANIFEST,
            )
        exchange = _metric if named.kind == "keptnmetrics" else _analysis
        value: float = yield from exchange(named)
        return value

    def online(self) -> Exchange[None]:
        """Check that the cluster serves Keptn's metrics."""
        yield from ask(HttpRequest("GET", _API, cluster=True))


def read(text: str) -> _Named:
    """Read a query. Kind, namespace and names are case-insensitive, as in Flagger; arguments are not."""
    head, parts = [each.strip().lower() for each in text.split("/")[:4]], text.strip().split("/", 4)
    kind = _KINDS.get(head[0])
    if kind is None or len(head) < 3 or not all(_NAME.fullmatch(name) for name in head[1:3]):
        raise ProviderError("the query names no object of Keptn", _FORM, Fault.MANIFEST)
    pairs = [pair.split("=") for pair in (parts[4].split(";") if len(parts) > 4 else ())]
    arguments = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    return _Named(kind, head[1], head[2], head[3] if len(head) > 3 else RECENT, arguments)


def _metric(named: _Named) -> Exchange[float]:
    found = yield from _object(HttpRequest("GET", named.path(named.name), cluster=True))
    about = f"KeptnMetric {named.namespace}/{named.name}"
    text = part(found, "status").get("value")
    if not isinstance(text, str) or not text:
        raise ProviderError(
            f"{about} has no value", "Check the status of this KeptnMetric, and its KeptnMetricsProvider."
        )
    try:
        return finite(float(text))
    except ValueError:
        raise ProviderError(f"the value of {about} is not a number: {text[:100]}", "Correct its query.") from None


def _analysis(named: _Named) -> Exchange[float]:
    body = {
        "apiVersion": "metrics.keptn.sh/v1beta1",
        "kind": "Analysis",
        "metadata": {"generateName": f"{named.name}-", "namespace": named.namespace},
        "spec": {
            "analysisDefinition": {"name": named.name},
            "timeframe": {"recent": named.recent},
            "args": named.arguments,
        },
    }
    made = yield from _object(HttpRequest("POST", named.path(), body=json.dumps(body).encode(), cluster=True))
    name = str(part(made, "metadata").get("name") or "")
    if not _NAME.fullmatch(name):
        raise ProviderError("the Analysis that flagger created has no name", _NOT_KEPTN)
    try:
        value = yield from _outcome(named, name)
    except MetricError:
        yield from _delete(named, name)
        raise
    yield from _delete(named, name)
    return value


def _outcome(named: _Named, name: str) -> Exchange[float]:
    for _ in range(POLLS):
        found = yield from _object(HttpRequest("GET", named.path(name), cluster=True, after=PAUSE))
        status = part(found, "status")
        if status.get("state") == "Completed":
            # Keptn omits `pass` when it is false.
            return float(status.get("pass") is True)
    raise ProviderError(
        f"Analysis {named.namespace}/{name} has not completed within {math.ceil(POLLS * PAUSE)}s",
        "Check its AnalysisDefinition, and that Keptn's metrics operator runs.",
    )


def _delete(named: _Named, name: str) -> Exchange[None]:
    try:
        yield from ask(HttpRequest("DELETE", named.path(name), cluster=True))
    except ProviderError:
        # The outcome counts, whether the Analysis could be deleted or not.
        return


def _object(request: HttpRequest) -> Exchange[dict[str, Any]]:
    answer = yield from ask(request)
    return json_object(answer, _NOT_KEPTN)
