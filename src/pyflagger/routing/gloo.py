"""Provider `gloo`: an Upstream for each of the two Services, and a RouteTable with the name of the apex Service.

The user's VirtualService delegates to the RouteTable. flagger copies the Upstreams' settings from `spec.upstreamRef`.
See Gloo's API reference, "RouteTable" and "Upstream".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Fault, Problem
from pyflagger.objects import Obj, Ref, Resource, part
from pyflagger.routing.base import Live, RoutingOptions
from pyflagger.routing.generated import make
from pyflagger.routing.matching import Condition, routed
from pyflagger.routing.split import SERVICES, Rule, Split, aligned, entries, selector_of, services_of, shared_out

TABLES = Resource("gateway.solo.io", "v1", "routetables", "RouteTable")
UPSTREAMS = Resource("gloo.solo.io", "v1", "upstreams", "Upstream")
COPIED = (
    "labels",
    "sslConfig",
    "circuitBreakers",
    "connectionConfig",
    "loadBalancerConfig",
    "useHttp2",
    "initialStreamWindowSize",
    "initialConnectionWindowSize",
    "httpProxyHostName",
)
"""The fields that flagger copies from the user's Upstream."""


class Gloo(Split):
    """Routes with two weighted destinations each."""

    capabilities = Capabilities(weights=True, ab=True, testers=True)
    kinds: tuple[Resource, ...] = (TABLES, UPSTREAMS, SERVICES)

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """The Services, for their selectors, the generated Upstreams, and the user's Upstream."""
        made = [UPSTREAMS.ref(canary.metadata.namespace, name) for name in _upstreams(canary).values()]
        return (*services_of(canary), *made, *_configured(canary))

    def render(
        self, canary: Canary, live: Live, rules: Sequence[Rule], options: RoutingOptions
    ) -> tuple[Obj, ...] | Problem:
        """Render the Upstreams first, because the RouteTable refers to them."""
        routes = routed(rules, lambda rule, asked: _route(canary, rule, asked))
        if isinstance(routes, Problem):
            return routes
        copied: Obj = {}
        for ref in _configured(canary):
            config = live.get(ref)
            if config is None:
                text = f"upstream {ref.name}.{ref.namespace} not found"
                return Problem(Fault.MANIFEST, text, "Create it, or correct spec.upstreamRef.", "spec.upstreamRef")
            copied = {key: part(config, "spec").get(key) for key in COPIED}
        upstreams = [_upstream(canary, live, service, name, copied) for service, name in _upstreams(canary).items()]
        there = live.get(self.main(canary)) or {}
        spec = {"routes": aligned(part(there, "spec").get("routes"), routes)}
        return (*upstreams, make(canary, TABLES, names.apex(canary), spec))

    def backends(self, obj: Obj) -> list[list[Obj]]:
        """The destinations of each route."""
        routes = entries(part(obj, "spec"), "routes")
        return [entries(part(part(route, "routeAction"), "multi"), "destinations") for route in routes]

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The Service of a generated Upstream."""
        name = part(part(backend, "destination"), "upstream").get("name")
        return next((service for service, upstream in _upstreams(canary).items() if upstream == name), None)


def _upstreams(canary: Canary) -> dict[str, str]:
    """The Service of each Upstream, by the name of the Upstream."""
    port = canary.spec.service.port if canary.spec.service else 0
    stem = f"{canary.metadata.namespace}-{names.apex(canary)}"
    return {
        names.primary_service(canary): f"{stem}-primaryupstream-{port}",
        names.canary_service(canary): f"{stem}-canaryupstream-{port}",
    }


def _configured(canary: Canary) -> tuple[Ref, ...]:
    ref = canary.spec.upstream_ref
    return (UPSTREAMS.ref(ref.namespace or canary.metadata.namespace, ref.name),) if ref else ()


def _upstream(canary: Canary, live: Live, service: str, name: str, copied: Obj) -> Obj:
    namespace = canary.metadata.namespace
    port = canary.spec.service.port if canary.spec.service else 0
    kube: Obj = {"serviceName": service, "serviceNamespace": namespace, "servicePort": port}
    if selector := selector_of(canary, live, service):
        kube["selector"] = selector
    return make(canary, UPSTREAMS, name, {"kube": kube, **copied})


def _route(canary: Canary, rule: Rule, asked: list[Condition]) -> Obj:
    upstreams = _upstreams(canary)
    destinations = [
        {
            "destination": {"upstream": {"name": upstreams[service], "namespace": canary.metadata.namespace}},
            "weight": weight,
        }
        for service, weight in shared_out(canary, rule.route)
    ]
    return {
        "inheritablePathMatchers": True,
        "matchers": [_matcher(asked)] if asked else None,
        "routeAction": {"multi": {"destinations": destinations}},
    }


def _matcher(asked: list[Condition]) -> Obj:
    said: Obj = {}
    for condition in asked:
        pattern = condition.pattern
        one = {"name": condition.name, "value": condition.text if pattern is None else pattern}
        field = "queryParameters" if condition.query else "headers"
        said.setdefault(field, []).append(one if pattern is None else {**one, "regex": True})
    return said
