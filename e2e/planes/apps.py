"""The apps that are released here: each with the way that its visitors take, and what its analysis asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from e2e import apps
from e2e.planes.proxies import ADMIN_PORT, NAMESPACE
from pyflagger.objects import Obj

APPS_NAMESPACE = "planes"
OLD, NEW, BAD, SLOW, OTHER = "6.0.0", "6.0.1", "6.0.2-errors", "6.0.2-slow", "6.0.3"
SUCCESS = {"name": "request-success-rate", "interval": "5s", "thresholdRange": {"min": 99}}
DURATION = {"name": "request-duration", "interval": "5s", "thresholdRange": {"max": 500}}
ERRORS = {"name": "errors", "templateRef": {"name": "error-rate"}, "interval": "5s", "thresholdRange": {"max": 1}}
LATENCY = {"name": "latency", "templateRef": {"name": "latency"}, "interval": "5s", "thresholdRange": {"max": 500}}
PATIENT, STRICT = 20, 3
"""Failed checks that end a release: series take seconds to come; a bad version is to be told soon."""

LEAVE_SECONDS = 3
ADMIN, SMOKE = "admin", "smoke"
PORTS = ({"name": ADMIN, "port": ADMIN_PORT, "targetPort": 9898},)
"""Further ports; the same server answers at all of them."""

INSIDER = {"headers": {"x-canary": {"exact": "insider"}}}
TEAM = {"headers": {"x-canary": {"exact": "insider"}, "x-team": {"exact": "blue"}}}
CHIEFS = {"headers": {"x-canary": {"regex": "chief-.+"}}}
TESTER = {"headers": {"cookie": {"exact": "tester"}}}
SHARED, PRIVATE = "shared.example/", "private.example/"
"""Prefixes of labels that primaries have of their targets, and of others."""

LABELS = {"labels": {"shown-by": "e2e"}, "annotations": {"shown-by": "e2e"}}


def host(name: str, port: str = "") -> str:
    """Where visitors of an app go; of a further port, by its name."""
    return f"{port or 'www'}.{name}.{APPS_NAMESPACE}.example"


def traefik_route(name: str) -> tuple[Obj, ...]:
    """The user's way in to a TraefikService."""
    service = {"name": name, "kind": "TraefikService"}
    route = {"match": f"Host(`{host(name)}`)", "kind": "Rule", "services": [service]}
    spec = {"entryPoints": ["web"], "routes": [route]}
    return ({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": {"name": name}, "spec": spec},)


def contour_root(name: str) -> tuple[Obj, ...]:
    """The user's proxy with the host, which includes ours."""
    includes = [{"name": name, "conditions": [{"prefix": "/"}]}]
    spec = {"ingressClassName": "contour", "virtualhost": {"fqdn": host(name)}, "includes": includes}
    head = {"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy"}
    return ({**head, "metadata": {"name": f"{name}-root"}, "spec": spec},)


def ingress(name: str) -> tuple[Obj, ...]:
    """The user's Ingress."""
    made = apps.ingress(name)
    rules = [rule | {"host": host(name)} for rule in made["spec"]["rules"]]
    return (made | {"spec": made["spec"] | {"rules": rules}},)


def service_and_ingress(name: str) -> tuple[Obj, ...]:
    """A Service of the user's, which the Canary takes over, and the way in to it."""
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 9898}]}
    return ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}, *ingress(name))


def another_service(name: str) -> str:
    """A Service that is not called as its app."""
    return f"{name}-svc"


def service_besides(name: str) -> tuple[Obj, ...]:
    """A Service of the user's under a name of its own, and ways in to it and to the canary's."""
    service, (made,) = another_service(name), ingress(name)
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 9898, "targetPort": 9898}]}
    rules = [led(host(name), service, name="http"), led(host(name, SMOKE), f"{service}-canary", name="http")]
    theirs = bearing({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service}, "spec": spec})
    return theirs, {**made, "spec": {**made["spec"], "rules": rules}}


def led(host: str, service: str, **port: Any) -> Obj:
    """A rule of an Ingress; `port` by its name or its number."""
    backend = {"service": {"name": service, "port": port}}
    return {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}


def traefik_weighted(name: str) -> tuple[Obj, ...]:
    """A TraefikService of the user's with both Services, and the way in to it."""
    services = [{"name": service, "port": 80, "weight": weight} for service, weight in both(name)]
    spec = {"weighted": {"services": services}}
    return (
        {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": {"name": name}, "spec": spec},
        *traefik_route(name),
    )


def contour_weighted(name: str) -> tuple[Obj, ...]:
    """A proxy of the user's with both Services."""
    services = [{"name": service, "port": 80, "weight": weight} for service, weight in both(name)]
    spec = {"virtualhost": {"fqdn": host(name)}, "routes": [{"services": services}]}
    return ({"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "metadata": {"name": name}, "spec": spec},)


def http_route(name: str) -> tuple[Obj, ...]:
    """A route of the user's with both Services."""
    refs = [{"name": service, "port": 80, "weight": weight} for service, weight in both(name)]
    parents = [{"name": "traefik", "namespace": NAMESPACE}]
    spec = {"parentRefs": parents, "hostnames": [host(name)], "rules": [{"backendRefs": refs}]}
    head = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    return ({**head, "metadata": {"name": name}, "spec": spec},)


def both(name: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """The two Services of an app with the weights of before any release."""
    return (f"{name}-primary", 100), (f"{name}-canary", 0)


def traefik_ports(name: str) -> tuple[Obj, ...]:
    """Ways in to the TraefikServices of both ports."""
    (route,) = traefik_route(name)
    services = [{"name": f"{name}-{ADMIN}", "kind": "TraefikService"}]
    further = {"match": f"Host(`{host(name, ADMIN)}`)", "kind": "Rule", "services": services}
    return ({**route, "spec": {**route["spec"], "routes": [*route["spec"]["routes"], further]}},)


def ingress_ports(name: str) -> tuple[Obj, ...]:
    """An Ingress that leads to both ports of the Service, by host."""
    (made,) = ingress(name)
    rules = [*made["spec"]["rules"], led(host(name, ADMIN), name, number=ADMIN_PORT)]
    return ({**made, "spec": {**made["spec"], "rules": rules}},)


@dataclass(frozen=True)
class Way:
    """One provider on one proxy. `chance`: the proxy draws lots for each request, others deal them out in turn."""

    provider: str
    proxy: str
    theirs: Callable[[str], tuple[Obj, ...]] = lambda name: ()
    """What the user has there, for the name of the app."""

    gateway: str = ""
    section: str = ""
    """The listener of the Gateway; those of further ports are found by their numbers."""

    chance: bool = False


TRAEFIK = Way("traefik", "traefik", traefik_route)
CONTOUR = Way("contour", "envoy", contour_root, chance=True)
GATEWAY = Way("gatewayapi:v1", "traefik", gateway="traefik")
CLOSED = Way("gatewayapi:v1", "traefik", gateway="closed")
GATEWAY_ENVOY = Way("gatewayapi:v1", "envoy", gateway="contour", chance=True)
NGINX = Way("nginx", "ingress", ingress)
NGINX_OWN = Way("nginx", "ingress", service_and_ingress)
SERVICES = Way("kubernetes", "ingress", service_besides)
TRAEFIK_OWN = Way("traefik", "traefik", traefik_weighted)
GATEWAY_OWN = Way("gatewayapi:v1", "traefik", http_route)
CONTOUR_OWN = Way("contour", "envoy", contour_weighted, chance=True)


@dataclass(frozen=True)
class App:
    """A way in, the analysis, and what else its Canary says."""

    way: Way
    analysis: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    service: Mapping[str, Any] = field(default_factory=dict)
    smoke: str = ""
    """Where a smoke test finds the canary's Service; empty: there is none."""

    strategy: Mapping[str, Any] = field(default_factory=dict)
    """How its Deployment replaces pods; empty: as Kubernetes does by itself."""


def steps(*weights: int, **more: Any) -> dict[str, Any]:
    """By weights."""
    return {"stepWeights": list(weights), **more}


def ruled(*match: Obj, **more: Any) -> dict[str, Any]:
    """An A/B test, or blue/green without a rule."""
    return {"iterations": 2, **({"match": list(match)} if match else {}), **more}


def adopting(api_version: str, kind: str) -> dict[str, Any]:
    """Of a route of the user's, which bears the app's name, the weights alone are set."""
    return {"routeRef": {"apiVersion": api_version, "kind": kind}}


RECREATE = {"type": "Recreate"}
BY_STRICT = {"threshold": STRICT}
STICKY = {"cookieName": "canary-flagger-cookie", "primaryCookieName": "primary-flagger-cookie", "path": "/"}
CAST: Mapping[str, App] = {
    "traefik": App(TRAEFIK, {"stepWeight": 10, "maxWeight": 60}),
    "traefik-bad": App(TRAEFIK, steps(30, 60, **BY_STRICT)),
    "traefik-robbed": App(TRAEFIK, steps(20)),
    "traefik-blue": App(TRAEFIK, ruled(metrics=[])),
    "traefik-adopted": App(TRAEFIK_OWN, steps(20, 100), adopting("traefik.io/v1alpha1", "TraefikService")),
    "traefik-ports": App(Way("traefik", "traefik", traefik_ports), steps(20), service={"ports": PORTS}),
    "gateway-ports": App(
        Way("gatewayapi:v1", "traefik", gateway="traefik", section="http"), steps(20), service={"ports": PORTS}
    ),
    "gateway": App(GATEWAY, {"stepWeight": 10, "maxWeight": 50, "metrics": [ERRORS, LATENCY]}),
    "gateway-bad": App(GATEWAY, steps(30, 60, **BY_STRICT)),
    "gateway-ab": App(GATEWAY, ruled(TEAM, CHIEFS)),
    "gateway-testers": App(GATEWAY, steps(20, testers=[INSIDER])),
    "gateway-sticky": App(GATEWAY, steps(20, sessionAffinity=STICKY)),
    "gateway-robbed": App(GATEWAY, steps(20)),
    "gateway-blue": App(GATEWAY, ruled(metrics=[], **BY_STRICT), smoke="gateway-blue-canary"),
    "gateway-closed": App(CLOSED, steps(20, metrics=[])),
    "gateway-adopted": App(GATEWAY_OWN, steps(20, 100), adopting("gateway.networking.k8s.io/v1", "HTTPRoute")),
    "gateway-beta": App(Way("gatewayapi:v1beta1", "traefik", gateway="traefik"), steps(20, 40, mirror=True)),
    "contour": App(CONTOUR, steps(10, 30)),
    "contour-bad": App(CONTOUR, steps(30, 60, metrics=[DURATION], **BY_STRICT)),
    "contour-ab": App(CONTOUR, ruled(TEAM, CHIEFS)),
    "contour-testers": App(CONTOUR, steps(20, testers=[INSIDER])),
    "contour-robbed": App(CONTOUR, steps(20)),
    "contour-blue": App(CONTOUR, ruled(metrics=[])),
    "contour-drained": App(CONTOUR, steps(20, metrics=[]), strategy=RECREATE),
    "gateway-drained": App(GATEWAY_ENVOY, steps(20, metrics=[]), strategy=RECREATE),
    "contour-adopted": App(CONTOUR_OWN, steps(20, 100), adopting("projectcontour.io/v1", "HTTPProxy")),
    "mirror": App(GATEWAY_ENVOY, steps(20, mirror=True, metrics=[])),
    "mirror-blue": App(GATEWAY_ENVOY, ruled(mirror=True)),
    "nginx": App(NGINX, steps(20)),
    "nginx-life": App(NGINX, steps(20, threshold=2)),
    "nginx-ports": App(Way("nginx", "ingress", ingress_ports), steps(20), service={"ports": PORTS}),
    "nginx-testers": App(NGINX, steps(20, testers=[INSIDER])),
    "nginx-header": App(NGINX, ruled(INSIDER)),
    "nginx-cookie": App(NGINX, ruled(TESTER)),
    "nginx-reverted": App(NGINX_OWN, ruled(metrics=[]), {"revertOnDeletion": True}),
    "nginx-blue": App(NGINX, ruled(metrics=[])),
    "services-blue": App(
        SERVICES,
        ruled(metrics=[], **BY_STRICT),
        service={"name": another_service("services-blue"), "portDiscovery": True},
        smoke=host("services-blue", SMOKE),
    ),
}


def objects(name: str, gates: str) -> tuple[Obj, ...]:
    """An app with everything around it; `gates` is asked before each step and before promotion."""
    app = CAST[name]
    return bearing(apps.settings(name)), deployment(name, app.strategy), *app.way.theirs(name), canary(name, app, gates)


def templates(prometheus: str) -> Iterator[Obj]:
    """Checks of the user's own, by the name that metrics refer to: errors in percent, and the 99th percentile in ms."""
    pods = 'kubernetes_namespace="{{ namespace }}", kubernetes_pod_name=~"{{ target }}-[0-9a-z]+-[0-9a-z]+"'
    seconds = "http_request_duration_seconds"
    failed, came = (
        f"sum(rate({seconds}_count{{{pods}{more}}}[{{{{ interval }}}}]))" for more in (', status=~"5.*"', "")
    )
    buckets = f"sum(rate({seconds}_bucket{{{pods}}}[{{{{ interval }}}}])) by (le)"
    queries = {
        "error-rate": f"100 * ({failed} or vector(0)) / {came}",
        "latency": f"1000 * histogram_quantile(0.99, {buckets})",
    }
    for name, query in queries.items():
        spec = {"provider": {"type": "prometheus", "address": prometheus}, "query": query}
        yield {"apiVersion": "flagger.app/v1beta1", "kind": "MetricTemplate", "metadata": {"name": name}, "spec": spec}


def bearing(obj: Obj) -> Obj:
    """With labels that go to copies, and labels that do not."""
    return obj | {"metadata": obj["metadata"] | {"labels": {f"{SHARED}team": "blue", f"{PRIVATE}team": "blue"}}}


def deployment(name: str, strategy: Mapping[str, Any] = MappingProxyType({})) -> Obj:
    """The target; Prometheus scrapes its pods, which serve on until proxies have heard of their end."""
    made = bearing(apps.app(name, OLD))
    if strategy:
        made["spec"]["strategy"] = dict(strategy)
    template = made["spec"]["template"]
    template["metadata"]["annotations"] = {"prometheus.io/scrape": "true"}
    template["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": LEAVE_SECONDS}}}
    return made


def canary(name: str, app: App, gates: str) -> Obj:
    """Judged by the built-in check on what the provider's own proxy counted."""
    way, weighted = app.way, "iterations" not in app.analysis
    gate = {"name": "gate", "type": f"confirm-{'traffic-increase' if weighted else 'promotion'}", "url": gates}
    service = {"port": 80, "targetPort": 9898, "apex": LABELS, **app.service}
    if way.gateway:
        section = {"sectionName": way.section} if way.section else {}
        parent = {"name": way.gateway, "namespace": NAMESPACE, **section}
        service |= {"gatewayRefs": [parent], "hosts": [host(name)]}
    first = [apps.smoke(APPS_NAMESPACE, app.smoke, NEW)] if app.smoke else []
    analysis = {"threshold": PATIENT, "metrics": [SUCCESS], **app.analysis, "webhooks": [*first, gate]}
    made = apps.canary(name, way.provider, service=service, **app.spec)
    made["spec"]["analysis"] = {"interval": "1s", **analysis}
    if "routeRef" in app.spec:
        made["spec"]["routeRef"] = {**app.spec["routeRef"], "name": name}
    return made
