"""The operator's Prometheus metrics: the reference's names, labels and values, and a few additional ones.

`operator.act` and `operator.reconcile` update them. The series of a canary are removed when it is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, Histogram, Metric, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from pyflagger.api.canary import Canary, Phase
from pyflagger.api.defaults import strategy
from pyflagger.api.facts import Route
from pyflagger.api.names import primary
from pyflagger.metrics.builtin import DURATION
from pyflagger.operator.process.series import Counters, Gauges, Histograms

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Telemetry:
    """All series of one operator, in a separate registry."""

    def __init__(self, version: str, provider: str) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        canary, outcome = ("name", "namespace"), ("name", "namespace", "deployment_strategy", "analysis_status")
        self._info = Gauge(
            "flagger_info", "Version and default provider", ("version", "mesh_provider"), registry=registry
        )
        self._total = Gauge("flagger_canary_total", "Canaries by namespace", ("namespace",), registry=registry)
        self._status = Gauges("flagger_canary_status", "0 running, 1 successful, 2 failed", canary)
        self._weight = Gauges("flagger_canary_weight", "Traffic in percent", ("workload", "namespace"))
        self._analysis = Gauges("flagger_canary_metric_analysis", "Last value of a metric check", (*canary, "metric"))
        self._limit = Gauges("flagger_canary_metric_limit", "Limits of a metric check", (*canary, "metric", "limit"))
        self._duration = Histograms("flagger_canary_duration_seconds", "Time spent judging", canary, BUCKETS)
        self._successes = Counters("flagger_canary_successes", "Releases promoted", outcome)
        self._failures = Counters("flagger_canary_failures", "Releases rolled back", outcome)
        self._errors = Counters("flagger_canary_errors", "Decisions that could not be carried out", (*canary, "fault"))
        self._alerts = Counters("flagger_alerts", "Alerts sent and dropped", ("type", "outcome"))
        self._requests = Counters("flagger_api_requests", "Calls to the API server", ("verb",))
        self._queries = Counters("flagger_metric_queries", "Queries of metric providers", ("provider", "outcome"))
        self._actions = Counters("flagger_actions", "Actions of people, by result", ("action", "result"))
        ends = (self._successes, self._failures, self._errors)
        self._of_canaries = (self._status, self._analysis, self._limit, self._duration, *ends)
        own = (self._alerts, self._requests, self._queries, self._actions)
        for family in (self._status, self._weight, self._analysis, self._limit, self._duration, *ends, *own):
            registry.register(family)
        self._lag = Histogram(
            "flagger_canary_tick_lag_seconds", "Due to judged", buckets=_LAG_BUCKETS, registry=registry
        )
        self._leader = Gauge("flagger_leader", "1 if this replica acts, 0 if it waits for the Lease", registry=registry)
        self._info.labels(version, provider).set(1)

    def leads(self, leads: bool) -> None:
        """Whether this replica acts."""
        self._leader.set(leads)

    def count(self, namespace: str, more: int) -> None:
        """Add `more` to the number of canaries in a namespace. A namespace without canaries keeps the value 0."""
        self._total.labels(namespace).inc(more)

    def phase(self, canary: Canary, phase: Phase) -> None:
        """The status gauge: 0 Progressing, 2 Failed, 1 everything else."""
        value = {Phase.PROGRESSING: 0, Phase.FAILED: 2}.get(phase, 1)
        self._status.set(_labels(canary), value)

    def route(self, canary: Canary, route: Route) -> None:
        """Set the weight gauges. Each reconciliation calls this."""
        target, namespace = _labels(canary)
        self._weight.set((primary(canary), namespace), route.primary)
        self._weight.set((target, namespace), route.canary)

    def analysis(self, canary: Canary, metric: str, value: float) -> None:
        """Set the last value of a check, and its limits. Durations are in seconds. Old checks of the canary go."""
        labels = (*_labels(canary), metric)
        if labels not in self._analysis:
            checks = canary.spec.analysis.metrics if canary.spec.analysis else ()
            kept = {metric, *(check.name for check in checks)}
            for other in self._analysis.of(_labels(canary)):
                if other[-1] not in kept:
                    self._analysis.remove(other)
        self._analysis.set(labels, value)
        self._limits(canary, metric)

    def _limits(self, canary: Canary, metric: str) -> None:
        """Set the limits of a check, in the unit of its value. Limits that it no longer has go."""
        wanted = {(*_labels(canary), metric, limit): value for limit, value in limits(canary, metric).items()}
        known = {metric, *(labels[2] for labels in self._analysis.of(_labels(canary)))}
        for other in self._limit.of(_labels(canary)):
            if other[2] not in known or (other[2] == metric and other not in wanted):
                self._limit.remove(other)
        for labels, value in wanted.items():
            self._limit.set(labels, value)

    def queried(self, provider: str, outcome: str) -> None:
        """Count a query of a metric provider."""
        self._queries.count((provider, outcome))

    def judged(self, canary: Canary, seconds: float) -> None:
        """Record the duration of a round."""
        self._duration.observe(_labels(canary), seconds)

    def lag(self, seconds: float) -> None:
        """Record how late a round was."""
        self._lag.observe(max(0.0, seconds))

    def finished(self, canary: Canary, outcome: str, analysis: str) -> None:
        """Count a completed release."""
        counter = self._successes if outcome == "success" else self._failures
        counter.count((*_labels(canary), strategy(canary), analysis))

    def failed(self, name: str, namespace: str, fault: str) -> None:
        """Count a failed decision."""
        self._errors.count((name, namespace, fault))

    def alerted(self, kind: str, outcome: str) -> None:
        """Count an alert for a receiver of a type: sent, or the reason why it was dropped."""
        self._alerts.count((kind, outcome))

    def acted(self, action: str, result: str) -> None:
        """Count an action of a person: Done, Refused or Expired."""
        self._actions.count((action, result))

    def forget(self, canary: Canary) -> None:
        """Remove all series of a deleted canary."""
        target, namespace = labels = _labels(canary)
        for family in self._of_canaries:
            for member in family.of(labels):
                family.remove(member)
        for workload in (target, primary(canary)):
            self._weight.remove((workload, namespace))

    def expose(self, requests: Mapping[str, int]) -> bytes:
        """The text of /metrics, family by family to limit memory. This is safe in any thread."""
        for verb, count in tuple(requests.items()):
            self._requests.set((verb,), count)
        return b"".join(generate_latest(_Only(family)) for family in self.registry.collect())


def limits(canary: Canary, metric: str) -> Mapping[str, float]:
    """The limits of a check by `min` and `max`. That of a built-in duration is in seconds, as its value is."""
    checks = canary.spec.analysis.metrics if canary.spec.analysis else ()
    found = next((check.threshold_range for check in checks if check.name == metric), None)
    scale = 1000 if metric == DURATION else 1
    both = {"min": found.min, "max": found.max} if found else {}
    return {limit: value / scale for limit, value in both.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Only(Collector):
    """A collector of one family."""

    family: Metric

    def collect(self) -> Iterable[Metric]:
        return (self.family,)


def _labels(canary: Canary) -> tuple[str, str]:
    return canary.spec.target_ref.name, canary.metadata.namespace
