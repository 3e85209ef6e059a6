"""Metric providers by the `type` of a MetricTemplate: built-in ones, and plugins from entry points."""

from __future__ import annotations

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
from pyflagger.plugins import Registry

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


REGISTRY: Registry[Factory] = Registry(GROUP, "metric provider", "spec.provider.type", _OURS, PluggedFactory, PASSED)
provider_for, known_types, load_plugins = REGISTRY.find, REGISTRY.known_types, REGISTRY.load_plugins
