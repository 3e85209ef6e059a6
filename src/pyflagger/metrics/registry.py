"""Metric providers by the `type` of a MetricTemplate: built-in ones, and plugins from entry points."""

from __future__ import annotations

from functools import cache

from pyflagger import plugins
from pyflagger.api.facts import Fault, Problem
from pyflagger.metrics.base import Factory
from pyflagger.metrics.cloudwatch import CloudWatch
from pyflagger.metrics.datadog import Datadog
from pyflagger.metrics.dynatrace import Dynatrace
from pyflagger.metrics.external import ExternalMetrics
from pyflagger.metrics.graphite import Graphite
from pyflagger.metrics.influxdb import InfluxDB
from pyflagger.metrics.keptn import Keptn
from pyflagger.metrics.newrelic import NewRelic
from pyflagger.metrics.plugged import PASSED, PluggedFactory
from pyflagger.metrics.prometheus import Prometheus
from pyflagger.metrics.splunk import Splunk
from pyflagger.metrics.stackdriver import Stackdriver
from pyflagger.metrics.web import Web

GROUP = "pyflagger.metrics"
"""Entry points of this group are factories: settings to provider."""

_OURS: dict[str, Factory] = {
    "cloudwatch": CloudWatch,
    "datadog": Datadog,
    "dynatrace": Dynatrace,
    "externalmetrics": ExternalMetrics,
    "graphite": Graphite,
    "influxdb": InfluxDB,
    "keptn": Keptn,
    "newrelic": NewRelic,
    "prometheus": Prometheus,
    "splunk": Splunk,
    "stackdriver": Stackdriver,
    "web": Web,
}


def provider_for(kind: str) -> Factory | Problem:
    """The factory for a provider type, or a Problem: the type is unknown, or its plugin fails to load."""
    if kind in _OURS:
        return _OURS[kind]
    plugin = plugins.installed(GROUP).get(kind)
    if plugin is None:
        known = ", ".join(known_types())
        return Problem(Fault.MANIFEST, f"unknown metric provider {kind}", f"Use one of: {known}.", "spec.provider.type")
    factory: Factory | Problem = plugins.load(plugin, "metric provider", plugins.factory)
    return factory


def beside(kind: str, factory: Factory) -> Factory:
    """The factory of `provider_for`. If it is a plugin's, its code and its providers' run beside the event loop.

    Their calls raise PluginFailed. Make them in `plugins.retried`.
    """
    return factory if kind in _OURS else PluggedFactory(factory, _caller(kind))


def load_plugins() -> None:
    """Load all plugins of this group, so that no import blocks the event loop later."""
    for kind in plugins.installed(GROUP):
        provider_for(kind)


@cache
def _caller(kind: str) -> plugins.Caller:
    return plugins.Caller(f"metric provider {kind}", PASSED)


def known_types() -> tuple[str, ...]:
    """Every provider type that a MetricTemplate may have."""
    return tuple(sorted({*_OURS, *plugins.installed(GROUP)}))
