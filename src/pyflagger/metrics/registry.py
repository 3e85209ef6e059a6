"""Metric providers by the `type` of a MetricTemplate: ours, and those that other packages bring as entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from pyflagger.api.facts import Fault, Problem
from pyflagger.metrics.base import Factory
from pyflagger.metrics.datadog import Datadog
from pyflagger.metrics.dynatrace import Dynatrace
from pyflagger.metrics.graphite import Graphite
from pyflagger.metrics.newrelic import NewRelic
from pyflagger.metrics.prometheus import Prometheus

GROUP = "pyflagger.metrics"
"""Entry points of this group are factories: settings to provider."""

_OURS: dict[str, Factory] = {
    "datadog": Datadog,
    "dynatrace": Dynatrace,
    "graphite": Graphite,
    "newrelic": NewRelic,
    "prometheus": Prometheus,
}


def provider_for(kind: str) -> Factory | Problem:
    """The factory for a provider type; a Problem with the known ones when there is none, or its plugin is broken."""
    if kind in _OURS:
        return _OURS[kind]
    plugin = _plugins().get(kind)
    if plugin is None:
        known = ", ".join(known_types())
        return Problem(Fault.MANIFEST, f"unknown metric provider {kind}", f"Use one of: {known}.", "spec.provider.type")
    try:
        factory: Factory = plugin.load()
    except Exception as error:
        text = f"metric provider {kind} could not be loaded from {plugin.value}: {type(error).__name__}: {error}"
        return Problem(Fault.CLUSTER, text[:500], "Mend or reinstall the package that brings it.")
    return factory


def known_types() -> tuple[str, ...]:
    """Every provider type that a MetricTemplate may have."""
    return tuple(sorted({*_OURS, *_plugins()}))


@cache
def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
