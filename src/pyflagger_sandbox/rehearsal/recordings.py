"""Answers of a past time, recorded from a Prometheus into a file that can be committed, and replayed. Pure.

A recording is one JSON document: `from` and `to` (RFC 3339), `step` in seconds, and for each query its text and its
values, each with the seconds since `from`. The instant answer at a time is that of the last step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from pyflagger.api import durations, names
from pyflagger.api.canary import Canary, Metric
from pyflagger.metrics.address import parse_address
from pyflagger.metrics.builtin import BUILTIN, DURATION, dialect_for, named_for, of_primary
from pyflagger.metrics.dialect import Dialect
from pyflagger.metrics.evaluate import variables_for
from pyflagger.metrics.template import TemplateError, render
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest

KIND = "Recording"
STEP_SECONDS = 10.0
"""The step of a recording: the shortest interval of a canary."""

POINTS_MAX = 10_000
"""Values of one query, below the limit of Prometheus."""

ROUNDING = 1e-3


class Unusable(Exception):
    """A file is not a whole recording, or a Prometheus did not answer with one."""


@dataclass(frozen=True, slots=True)
class Recording:
    """`length` in seconds. `values`: query → the seconds since the beginning, and the value as Prometheus wrote it."""

    length: float
    step: float
    values: Mapping[str, tuple[tuple[float, str], ...]] = field(default_factory=dict)

    def answer(self, query: str, now: float) -> str | None:
        """The value of a query at a time; None where there is none."""
        last = next((each for each in reversed(self.values.get(query, ())) if each[0] <= now + ROUNDING), None)
        return last[1] if last is not None and now - last[0] < self.step + ROUNDING else None

    def lacks(self, query: str, now: float) -> str:
        """Why it cannot say anything about a query at a time; empty if it can."""
        if query not in self.values:
            return f"the recording has no query {' '.join(query.split())}: record it again"
        if now > self.length + self.step:
            return f"the recording ends after {durations.show(self.length)}: later queries have no values"
        return ""


# What is asked --------------------------------------------------------------------------------------------------------


def queries(canary: Canary, mesh_provider: str, templates: Mapping[tuple[str, str], str]) -> dict[str, None]:
    """The queries of a canary's checks, in order. `templates`: namespace and name of a MetricTemplate → its query."""
    found: dict[str, None] = {}
    for metric in canary.spec.analysis.metrics if canary.spec.analysis else ():
        for text in _of_metric(canary, metric, mesh_provider, templates):
            found[text.strip()] = None
    return found


def _of_metric(
    canary: Canary, metric: Metric, mesh_provider: str, templates: Mapping[tuple[str, str], str]
) -> Iterator[str]:
    if metric.name in BUILTIN:
        yield from _builtin(canary, metric, mesh_provider)
    ref = metric.template_ref
    template = templates.get((ref.namespace or canary.metadata.namespace, ref.name), "") if ref else ""
    for text in filter(None, (metric.query, template, metric.samples_query)):
        try:
            yield render(text, variables_for(canary, metric))
        except TemplateError as error:
            raise Unusable(f"the query of metric {metric.name}: {error}") from None


def _builtin(canary: Canary, metric: Metric, mesh_provider: str) -> Iterator[str]:
    dialect = dialect_for(canary.spec.provider, mesh_provider)
    if not isinstance(dialect, Dialect):
        raise Unusable(f"{dialect.text}. {dialect.todo}")
    port = canary.spec.service.port_name if canary.spec.service else ""
    own = named_for(dialect, variables_for(canary, metric), port or "http")
    for each, named in filter(None, ((dialect, own), of_primary(dialect, own, names.primary(canary)))):
        yield render(each.duration if metric.name == DURATION else each.success, named)
        if metric.name != DURATION and each.total:
            yield render(each.total, named)
    if metric.min_samples:
        yield render(dialect.requests, own)


def request(address: str, query: str, start: float, end: float, step: float) -> HttpRequest:
    """The range query of a recording. Raises pyflagger.metrics.base.ProviderError for an address that is none."""
    where = parse_address(address)
    body = urlencode({"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"})
    form = ("Content-Type", "application/x-www-form-urlencoded")
    login = (("Authorization", where.authorization),) if where.authorization else ()
    return HttpRequest(
        "POST", where.join("/api/v1/query_range"), (form, *login), body.encode(), timeout=60.0, max_bytes=1 << 26
    )


def step_of(length: float) -> float:
    """The step of a recording of this many seconds."""
    return max(STEP_SECONDS, float(-(-length // POINTS_MAX)))


def values(answer: HttpAnswer, start: float) -> tuple[tuple[float, str], ...]:
    """The values of a range query, by seconds since `start`. Raises Unusable."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        raise Unusable(f"the answer is not JSON: {answer.summary(200)}") from None
    if not isinstance(body, dict) or body.get("status") != "success":
        told = body.get("error") if isinstance(body, dict) else None
        raise Unusable(str(told or answer.summary(200)))
    result = (body.get("data") or {}).get("result") or []
    if len(result) > 1:
        raise Unusable(f"{len(result)} series: a check needs one; aggregate the query, for example with sum()")
    return tuple((round(float(at) - start, 3), str(each)) for at, each in (result[0]["values"] if result else ()))


# The file -------------------------------------------------------------------------------------------------------------


def dumped(start: float, length: float, step: float, found: Mapping[str, tuple[tuple[float, str], ...]]) -> str:
    """The file: one line a value, so that a change is easy to read."""
    doc: Obj = {
        "kind": KIND,
        "from": durations.stamp(start),
        "to": durations.stamp(start + length),
        "step": step,
        "queries": [{"query": query, "points": len(each), "values": each} for query, each in found.items()],
    }
    return json.dumps(doc, indent=1) + "\n"


def loaded(text: str) -> Recording:
    """The recording of a file. Raises Unusable."""
    try:
        doc: Any = json.loads(text)
    except ValueError as error:
        raise Unusable(f"is cut short or damaged: {error}. Record it again.") from None
    if not isinstance(doc, dict) or doc.get("kind") != KIND:
        raise Unusable(f"is no recording: its kind is not {KIND}")
    try:
        length = durations.epoch(doc["to"]) - durations.epoch(doc["from"])
        found = {str(each["query"]): _points(each) for each in doc["queries"]}
        return Recording(length, float(doc["step"]), found)
    except (KeyError, TypeError, ValueError) as error:
        raise Unusable(f"is damaged: {error!r}. Record it again.") from None


def _points(each: Mapping[str, Any]) -> tuple[tuple[float, str], ...]:
    points = tuple((float(at), str(value)) for at, value in each["values"])
    if len(points) != each["points"]:
        text = f"{len(points)} of {each['points']} values of {' '.join(str(each['query']).split())} are left"
        raise Unusable(f"is cut short: {text}. Record it again.")
    return points
