"""What is wrong with a MetricTemplate is known before a release starts: type, address, region, and query."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.api.canary import Canary, MetricTemplate
from pyflagger.api.parse import parse_canary, parse_metric_template
from pyflagger.metrics.manifest import metric_problems, template_problems

GOOD: dict[str, tuple[dict[str, Any], str]] = {
    "cloudwatch": ({"region": "eu-west-1"}, '[{"id": "e1", "expression": "m1"}]'),
    "datadog": ({}, "avg:x{*}"),
    "dynatrace": ({"address": "https://x.live.dynatrace.com"}, "builtin:x"),
    "externalmetrics": ({}, "{{ namespace }}/s0-{{ target }}"),
    "graphite": ({"address": "http://graphite"}, "target=x"),
    "influxdb": ({"address": "http://influxdb:8086"}, "buckets()"),
    "keptn": ({}, "keptnmetric/{{ namespace }}/lag"),
    "newrelic": ({}, "SELECT 1"),
    "prometheus": ({"address": "http://prometheus"}, "up"),
    "splunk": ({"address": "wss://stream.eu0.signalfx.com"}, "data('x').publish()"),
    "stackdriver": ({}, "fetch x"),
    "web": ({"address": "https://x"}, "path: /x?app={{ target }}\njsonPath: $.rate"),
}
BAD = {
    "cloudwatch": ("{}", "the query is not a list of MetricDataQueries"),
    "externalmetrics": ("a/b/c", "the query names no external metric"),
    "keptn": ("keptnmetric/lag", "the query names no object of Keptn"),
    "web": ("rate", "the query is neither a JSONPath nor YAML"),
}
"""Queries that cannot work, by type. flagger does not read those of other types."""


def template(kind: str, provider: dict[str, Any], query: str) -> MetricTemplate:
    """A MetricTemplate."""
    meta = {"name": "depth", "namespace": "shop"}
    spec = {"provider": {"type": kind, **provider}, "query": query}
    return parse_metric_template(
        {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": meta, "spec": spec}
    )


def canary() -> Canary:
    """A canary with a metric of the template."""
    metric = {"name": "depth", "templateRef": {"name": "depth"}, "thresholdRange": {"max": 5}}
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"},
                "service": {"port": 80},
                "analysis": {"interval": "1m", "threshold": 1, "stepWeight": 10, "metrics": [metric]},
            },
        }
    )


def problems(found: MetricTemplate) -> list[str]:
    """The problems of the canary's metric."""
    whole = canary()
    assert whole.spec.analysis is not None
    return [problem.text for problem in metric_problems(whole, whole.spec.analysis.metrics[0], found)]


@pytest.mark.parametrize("kind", GOOD)
def test_templates_of_every_type(kind: str) -> None:
    """Each type of Flagger and `web` is accepted, with the query rendered as a check renders it."""
    assert list(template_problems(template(kind, *GOOD[kind]))) == []
    assert problems(template(kind, *GOOD[kind])) == []


@pytest.mark.parametrize("kind", BAD)
def test_queries_that_cannot_work(kind: str) -> None:
    """The canary that refers to the template says so."""
    query, text = BAD[kind]
    found = problems(template(kind, GOOD[kind][0], query))
    assert len(found) == 1 and found[0].startswith("metric depth: MetricTemplate depth.shop: ") and text in found[0]


@pytest.mark.parametrize(
    ("kind", "provider", "path"),
    [
        ("cloudwatch", {}, "spec.provider.region"),
        ("cloudwatch", {"region": "eu-west-1", "address": "vpce"}, "spec.provider.address"),
        ("dynatrace", {}, "spec.provider.address"),
        ("influxdb", {}, "spec.provider.address"),
        ("splunk", {"address": "stream.eu0.signalfx.com"}, "spec.provider.address"),
        ("stackdriver", {"address": "ftp://x"}, "spec.provider.address"),
        ("web", {}, "spec.provider.address"),
        ("nagios", {}, "spec.provider.type"),
    ],
)
def test_settings_that_cannot_work(kind: str, provider: dict[str, Any], path: str) -> None:
    """The problem names the field."""
    query = GOOD[kind][1] if kind in GOOD else "x"
    (problem,) = template_problems(template(kind, provider, query))
    assert problem.path == path and problem.todo
