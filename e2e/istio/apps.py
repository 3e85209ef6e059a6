"""The apps behind Istio's gateway: what the analysis, Service and Canary of each say, and what the user has there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from e2e import apps
from e2e.istio.mesh import GATEWAY
from e2e.planes.apps import BY_STRICT, INSIDER, LABELS, PATIENT, STICKY, both, deployment, host, ruled, steps
from pyflagger.objects import Obj

APPS_NAMESPACE = "istio"
VERSION = "networking.istio.io/v1beta1"
COOKIE = {"headers": {"cookie": {"regex": "^(.*?;)?(type=insider)(;.*)?$"}}}
ADDED = {"request": {"add": {"x-from": "gateway"}}, "response": {"add": {"x-to": "visitor"}, "remove": ["x-color"]}}
CORS = {
    "allowOrigins": [{"exact": "https://shop.example"}],
    "allowMethods": ["GET", "PUT"],
    "allowHeaders": ["x-token"],
    "maxAge": "24h",
}
RETRIES = {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx"}
POLICY = {"loadBalancer": {"simple": "ROUND_ROBIN"}, "connectionPool": {"http": {"http1MaxPendingRequests": 321}}}


@dataclass(frozen=True)
class App:
    """What its Canary says, and what the user has there beside the target, for the name of the app."""

    analysis: Mapping[str, Any]
    service: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    theirs: Callable[[str], tuple[Obj, ...]] = lambda name: ()
    gated: bool = True
    raw: bool = False
    """Connections are split, and not looked into."""


def routed(name: str, spec: Obj) -> Obj:
    """A VirtualService of the user's."""
    return {"apiVersion": VERSION, "kind": "VirtualService", "metadata": {"name": name}, "spec": spec}


def root(name: str) -> tuple[Obj, ...]:
    """The user's host, of which one path is delegated to the app."""
    rule = {
        "match": [{"uri": {"prefix": "/podinfo"}}],
        "rewrite": {"uri": "/"},
        "delegate": {"name": name, "namespace": APPS_NAMESPACE},
    }
    return (routed(f"{name}-root", {"hosts": [host(name)], "gateways": [GATEWAY], "http": [rule]}),)


def own(name: str) -> tuple[Obj, ...]:
    """A Service and a route of the user's, which the Canary takes over, and which are to be as before in the end."""
    ports = [{"name": "http", "port": 80, "targetPort": 9898}]
    service = {"selector": {"app": name}, "ports": ports}
    rule = {"retries": {"attempts": 2, "retryOn": "gateway-error"}, "route": [{"destination": {"host": name}}]}
    spec = {"hosts": [host(name), f"www.{host(name)}"], "gateways": [GATEWAY], "http": [rule]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service}, routed(name, spec)


def weighted(name: str) -> tuple[Obj, ...]:
    """A route of the user's with both Services."""
    route = [{"destination": {"host": service}, "weight": weight} for service, weight in both(name)]
    return (routed(name, {"hosts": [host(name)], "gateways": [GATEWAY], "http": [{"route": route}]}),)


CAST: Mapping[str, App] = {
    "istio": App(
        {"stepWeight": 10, "maxWeight": 50}, {"port": 9898, "portDiscovery": True, "apex": LABELS, "headers": ADDED}
    ),
    "istio-bad": App(steps(30, 60, **BY_STRICT)),
    "istio-header": App(ruled(INSIDER)),
    "istio-cookie": App(ruled(COOKIE), {"targetPort": "http"}),
    "istio-testers": App(steps(20, testers=[INSIDER])),
    "istio-sticky": App(steps(10, sessionAffinity=STICKY), {"hosts": ["*"]}),
    "istio-mirror": App(steps(20, mirror=True, metrics=[])),
    "istio-mirror-blue": App(ruled(mirror=True, mirrorWeight=50)),
    "istio-blue": App(ruled(metrics=[])),
    "istio-delegated": App(steps(10, 30), {"delegation": True, "gateways": None, "hosts": None}, theirs=root),
    "istio-reverted": App(steps(20, metrics=[]), spec={"revertOnDeletion": True}, theirs=own),
    "istio-adopted": App(
        steps(20), spec={"routeRef": {"apiVersion": VERSION, "kind": "VirtualService"}}, theirs=weighted
    ),
    "istio-skipped": App(
        {"iterations": 1, "metrics": []}, spec={"skipAnalysis": True, "progressDeadlineSeconds": 15}, gated=False
    ),
    "istio-rendered": App(
        steps(20, metrics=[]),
        {"timeout": "2s", "retries": RETRIES, "corsPolicy": CORS, "headers": ADDED, "trafficPolicy": POLICY},
    ),
    "istio-connections": App(steps(20, metrics=[]), {"appProtocol": "tcp"}, raw=True),
}


def objects(name: str, gates: str) -> tuple[Obj, ...]:
    """An app with everything around it; `gates` is asked before each step and before promotion."""
    app = CAST[name]
    return apps.settings(name), deployment(name), *app.theirs(name), canary(name, app, gates)


def canary(name: str, app: App, gates: str) -> Obj:
    """Judged by an in-line query on what the gateway counted."""
    gate = {"name": "gate", "type": f"confirm-{'promotion' if 'iterations' in app.analysis else 'traffic-increase'}"}
    service = {"port": 80, "targetPort": 9898, "gateways": [GATEWAY], "hosts": [host(name)], **app.service}
    analysis = {
        "threshold": PATIENT,
        "metrics": [success(name, service["port"])],
        **app.analysis,
        "webhooks": [gate | {"url": gates}] if app.gated else [],
    }
    made = apps.canary(name, "istio", **app.spec)
    made["spec"]["service"] = {key: value for key, value in service.items() if value is not None}
    made["spec"]["analysis"] = {"interval": "1s", **analysis}
    if "routeRef" in app.spec:
        made["spec"]["routeRef"] = {**app.spec["routeRef"], "name": name}
    return made


def success(name: str, port: int) -> Obj:
    """A check of what the canary answered to the gateway: percent that is no error of its own."""
    cluster = f"outbound|{port}||{name}-canary.{APPS_NAMESPACE}.svc.cluster.local"
    all_of_it = f'envoy_cluster_upstream_rq{{cluster_name="{cluster}"}}'
    good = all_of_it.replace("}", ',envoy_response_code!~"5.."}')
    query = f"100 * sum(rate({good}[5s])) / sum(rate({all_of_it}[5s]))"
    return {"name": "answers", "interval": "5s", "thresholdRange": {"min": 99}, "query": query}
