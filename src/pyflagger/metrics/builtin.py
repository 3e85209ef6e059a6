"""The built-in checks, request-success-rate and request-duration: one row a traffic provider, and which one it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyflagger.api.facts import Fault, Problem
from pyflagger.metrics.dialect import Clue, Dialect, mean, p99, row
from pyflagger.metrics.nginx import NGINX, OF_PRIMARY
from pyflagger.metrics.template import Variables

SUCCESS_RATE = "request-success-rate"
DURATION = "request-duration"
BUILTIN = frozenset({SUCCESS_RATE, DURATION})


# Rows ---------------------------------------------------------------------------------------------------------------

_ISTIO = (
    'reporter="destination", destination_workload_namespace="{{ namespace }}", destination_workload=~"{{ target }}"'
)
_LINKERD = 'namespace="{{ namespace }}", deployment=~"{{ target }}", direction="inbound"'
_PODS = 'kubernetes_namespace="{{ namespace }}", kubernetes_pod_name=~"{{ target }}-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"'
_OSM = 'destination_namespace="{{ namespace }}", destination_kind="Deployment", destination_name="{{ target }}"'
_APISIX = 'route=~"{{ namespace }}_{{ route }}-{{ service }}-canary_.+"'
_TRAEFIK = 'service=~"{{ namespace }}-{{ service }}-canary-[0-9a-zA-Z-]+@kubernetescrd"'
_SECONDS = "traefik_service_request_duration_seconds"
_SKIPPER = 'route=~"kube(ew)?_{{ namespace }}__{{ ingress }}_canary__.*__{{ service }}_canary(_[0-9]+)?"'


def _envoy(name: str, what: str, labels: str, more: tuple[Clue, ...] = ()) -> Dialect:
    return row(
        name,
        what,
        "envoy_cluster_upstream_rq",
        labels,
        'envoy_response_code!~"5.*"',
        p99("envoy_cluster_upstream_rq_time_bucket", labels),
        buckets="envoy_cluster_upstream_rq_time_bucket",
        more=more,
    )


def _pod_labels(counter: str) -> Clue:
    return Clue(
        f'count({counter}{{kubernetes_namespace!="", kubernetes_pod_name!=""}})',
        f"The series {counter} have no labels kubernetes_namespace and kubernetes_pod_name: another configuration"
        " scraped them (the Prometheus operator, for example, sets namespace and pod). Give the metric a"
        " templateRef to a MetricTemplate that uses the existing labels.",
    )


_ROWS = (
    row(
        "istio",
        "the Istio proxies",
        "istio_requests_total",
        _ISTIO,
        'response_code!~"5.*"',
        p99("istio_request_duration_milliseconds_bucket", _ISTIO),
        buckets="istio_request_duration_milliseconds_bucket",
    ),
    row(
        "linkerd",
        "the Linkerd proxies (Linkerd's own Prometheus does)",
        "response_total",
        _LINKERD,
        'classification!="failure"',
        p99("response_latency_ms_bucket", _LINKERD),
        buckets="response_latency_ms_bucket",
    ),
    replace(
        row(
            "http",
            "the pods",
            "http_request_duration_seconds_count",
            _PODS,
            'status!~"5.*"',
            p99("http_request_duration_seconds_bucket", _PODS),
            buckets="http_request_duration_seconds_bucket",
            more=(_pod_labels("http_request_duration_seconds_count"),),
        ),
        milliseconds=1000.0,
        bucket_unit=1.0,
    ),
    _envoy("appmesh", "the Envoy sidecars", _PODS, (_pod_labels("envoy_cluster_upstream_rq"),)),
    _envoy("contour", "Contour's Envoy", 'envoy_cluster_name=~"{{ namespace }}_{{ service }}-canary_[0-9a-zA-Z-]+"'),
    _envoy(
        "gloo",
        "the Gloo gateway",
        'envoy_cluster_name=~"{{ namespace }}-{{ service }}-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+"',
    ),
    _envoy("knative", "Knative's Envoy", 'envoy_cluster_name=~"{{ namespace }}/{{ route }}"'),
    _envoy("kuma", "the Kuma proxies", 'service=~"{{ service }}-canary_{{ namespace }}_svc_[0-9a-zA-Z-]+"'),
    row(
        "osm",
        "the OSM proxies",
        "osm_request_total",
        _OSM,
        'response_code!~"5.*"',
        p99("osm_request_duration_ms_bucket", _OSM),
        buckets="osm_request_duration_ms_bucket",
    ),
    NGINX,
    row(
        "apisix",
        "APISIX",
        "apisix_http_status",
        _APISIX,
        'code!~"5.."',
        p99("apisix_http_latency_bucket", f'{_APISIX}, type=~"request"'),
        buckets="apisix_http_latency_bucket",
    ),
    replace(
        row(
            "traefik",
            "Traefik",
            f"{_SECONDS}_bucket",
            _TRAEFIK,
            'code!~"5.."',
            f"{p99(f'{_SECONDS}_bucket', _TRAEFIK)} * 1000",
            buckets=f"{_SECONDS}_bucket",
            extra='le="+Inf"',
        ),
        bucket_unit=1.0,
    ),
    replace(
        row(
            "skipper",
            "Skipper",
            "skipper_response_duration_seconds_bucket",
            _SKIPPER,
            'code!~"5.."',
            mean("skipper_serve_route_duration_seconds", _SKIPPER),
            buckets="skipper_serve_route_duration_seconds_bucket",
            extra='le="+Inf"',
        ),
        ascii_names=True,
        bucket_unit=1.0,
    ),
)

_BY_TARGET = frozenset({"istio", "linkerd", "http", "appmesh", "osm"})
_OF_PRIMARY: Mapping[str, tuple[tuple[str, str], ...]] = {
    "contour": (("-canary_", "-primary_"),),
    "gloo": (("-canaryupstream", "-primaryupstream"),),
    "kuma": (("-canary_", "-primary_"),),
    "traefik": (("-canary-", "-primary-"),),
    "nginx": OF_PRIMARY,
}
"""What names the primary in the queries of a row, in place of the canary."""

DIALECTS: Mapping[str, Dialect] = {
    row.name: replace(row, by_target=row.name in _BY_TARGET, primary=_OF_PRIMARY.get(row.name, ())) for row in _ROWS
}

_PREFIXES = {"appmesh": "appmesh", "gloo": "gloo", "gatewayapi": "http", "smi": "istio"}
_ALIASES = {"kubernetes": "http"}


# Choosing -----------------------------------------------------------------------------------------------------------


def dialect_for(provider: str, mesh_provider: str) -> Dialect | Problem:
    """The row for a canary's provider (empty: the operator's). A Problem names the known ones.

    On an operator whose own provider is Linkerd every canary is measured by Linkerd, which sees all traffic.
    """
    name = "linkerd" if "linkerd" in mesh_provider else (provider or mesh_provider).removesuffix(":service")
    known = DIALECTS.get(_ALIASES.get(name, name))
    if known is not None:
        return known
    for prefix, spoken in _PREFIXES.items():
        if name.startswith(prefix):
            return DIALECTS[spoken]
    names = ", ".join(sorted((*_ALIASES, *(DIALECTS.keys() - {"http"}), "gatewayapi", "smi")))
    return Problem(
        Fault.MANIFEST,
        f"there are no built-in metrics for provider {name}",
        f"Use a templateRef instead of a built-in metric, or one of the providers {names}.",
        "spec.provider",
    )


def named_for(dialect: Dialect, variables: Variables, port_name: str) -> Variables:
    """The variables of a canary as the dialect's own templates need them."""
    own = replace(variables, variables={"port_name": port_name})
    if not dialect.ascii_names:
        return own
    names = ("name", "namespace", "target", "service", "ingress")
    clean: dict[str, Any] = {name: re.sub(r"[^0-9A-Za-z_]", "_", getattr(own, name)) for name in names}
    return replace(own, **clean)


def of_primary(dialect: Dialect, variables: Variables, primary: str) -> tuple[Dialect, Variables] | None:
    """The queries about the primary, a workload of this name. None if the dialect cannot name it."""
    if dialect.by_target:
        return dialect, replace(variables, target=primary)
    if not dialect.primary:
        return None
    texts = (dialect.success, dialect.duration, dialect.total)
    success, duration, total = (_renamed(text, dialect.primary) for text in texts)
    counters = tuple(each._replace(labels=_renamed(each.labels, dialect.primary)) for each in dialect.counters)
    buckets = tuple((name, _renamed(labels, dialect.primary)) for name, labels in dialect.buckets)
    found = replace(dialect, success=success, duration=duration, total=total, counters=counters, buckets=buckets)
    return found, variables


def _renamed(query: str, words: tuple[tuple[str, str], ...]) -> str:
    for old, new in words:
        query = query.replace(old, new)
    return query
