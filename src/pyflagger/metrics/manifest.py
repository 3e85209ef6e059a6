"""Validates metrics and MetricTemplates before any query runs.

Called by `flagger lint`, and by the operator for each Canary, so that no release starts with metrics that cannot work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pyflagger.api.canary import Canary, Metric, MetricTemplate
from pyflagger.api.facts import Fault, Problem
from pyflagger.metrics import cloudwatch, external, keptn, web
from pyflagger.metrics.address import parse_address
from pyflagger.metrics.base import ProviderError
from pyflagger.metrics.evaluate import variables_for
from pyflagger.metrics.registry import provider_for
from pyflagger.metrics.splunk import realm
from pyflagger.metrics.template import TemplateError, check, render

ADDRESSED = frozenset({"dynatrace", "graphite", "influxdb", "prometheus", "splunk", "web"})
"""Types that need an address. The others have a default, or none."""

_ADDRESSES: Mapping[str, Callable[[str], object]] = {"splunk": realm}
"""Types whose addresses have other forms than a URL of HTTP."""

_QUERIES: Mapping[str, Callable[[str], object]] = {
    "cloudwatch": cloudwatch.read,
    "externalmetrics": external.read,
    "keptn": keptn.read,
    "web": web.read,
}
"""Types whose queries flagger reads itself. The others send the text as it is."""

PLACE = "Correct the query. The numbers are its line:column."


def template_problems(template: MetricTemplate) -> Iterator[Problem]:
    """Problems of a MetricTemplate: unknown type, invalid address, invalid query."""
    provider = template.spec.provider
    factory = provider_for(provider.type)
    if isinstance(factory, Problem):
        yield factory
    elif provider.address or provider.type in ADDRESSED:
        yield from _refusal(_ADDRESSES.get(provider.type, parse_address), provider.address, "spec.provider.address")
    if provider.type == "cloudwatch":
        yield from _refusal(cloudwatch.region_of, provider.region, "spec.provider.region")
    try:
        check(template.spec.query)
    except TemplateError as error:
        yield Problem(Fault.MANIFEST, f"spec.query cannot be read: {error}", PLACE, "spec.query")


def metric_problems(canary: Canary, metric: Metric, template: MetricTemplate | None) -> Iterator[Problem]:
    """Problems of rendering a metric, with the template that it refers to if that is known."""
    about = "" if template is None else f"MetricTemplate {template.metadata.name}.{template.metadata.namespace}: "
    if template is not None:
        for problem in template_problems(template):
            yield Problem(problem.fault, f"{about}{problem.text}", problem.todo)
    texts = {
        "query": metric.query,
        f"{about}spec.query": template.spec.query if template and _readable(template) else "",
    }
    for where, text in texts.items():
        try:
            rendered = render(text, variables_for(canary, metric))
        except TemplateError as error:
            yield Problem(Fault.MANIFEST, f"metric {metric.name}: {where} cannot be rendered: {error}", PLACE)
            continue
        if template is not None and where != "query" and _readable(template):
            yield from _unreadable(f"metric {metric.name}: {about}", template.spec.provider.type, rendered)


def _unreadable(about: str, kind: str, rendered: str) -> Iterator[Problem]:
    if kind in _QUERIES:
        for problem in _refusal(_QUERIES[kind], rendered, ""):
            yield Problem(problem.fault, f"{about}{problem.text}", problem.todo)


def _refusal(read: Callable[[str], object], text: str, path: str) -> Iterator[Problem]:
    """The problem that a reader raises for a text, if it does."""
    try:
        read(text)
    except ProviderError as error:
        found = error.problem
        yield Problem(found.fault, found.text, found.todo, path)


def template_missing(name: str, namespace: str) -> Problem:
    """A metric refers to a template that does not exist."""
    text = f'{title(name, namespace)} error: metrictemplate.flagger.app "{name}" not found'
    return Problem(Fault.MANIFEST, text, "Create the MetricTemplate, or correct the metric's templateRef.")


def secret_missing(template: str, namespace: str, secret: str) -> Problem:
    """A template refers to a Secret that does not exist."""
    text = f'{title(template, namespace)} secret {secret} error: secrets "{secret}" not found'
    return Problem(Fault.MANIFEST, text, f"Create the Secret in namespace {namespace}.")


def title(name: str, namespace: str) -> str:
    """The name of a template in texts."""
    return f"Metric template {name}.{namespace}"


def _readable(template: MetricTemplate) -> bool:
    try:
        check(template.spec.query)
    except TemplateError:
        return False
    return True
