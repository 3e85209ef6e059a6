"""Provider `contour`: an HTTPProxy with the name of the apex Service. The user's root proxy includes it.

The last route matches all requests. The routes before it are for A/B tests or testers, one for each entry. See
Contour's HTTPProxy API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Capabilities, Problem
from pyflagger.objects import Obj, Resource, part
from pyflagger.routing.base import Live, RoutingOptions, Writes
from pyflagger.routing.generated import make
from pyflagger.routing.matching import Condition, routed
from pyflagger.routing.rules import left
from pyflagger.routing.split import Rule, Split, aligned, entries, prefix_of, retry_words, shared_out, unknown_retries

PROXIES = Resource("projectcontour.io", "v1", "httpproxies", "HTTPProxy")
IDLE = "5m"
RETRIES = (
    *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx"),
    *("refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure"),
    *("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"),
)
"""The retry conditions that the definition of HTTPProxy lists."""


class Contour(Split):
    """Routes with two weighted services each."""

    capabilities = Capabilities(weights=True, ab=True, testers=True, adopt=True)
    kinds: tuple[Resource, ...] = (PROXIES,)
    sections: Mapping[str, str] = {"routes": "services"}

    def render(
        self, canary: Canary, live: Live, rules: Sequence[Rule], options: RoutingOptions
    ) -> tuple[Obj, ...] | Problem:
        """Render one proxy without a virtual host."""
        routes = unknown_retries(canary, RETRIES) or routed(rules, lambda rule, asked: _route(canary, rule, asked))
        if isinstance(routes, Problem):
            return routes
        there = live.get(self.main(canary)) or {}
        spec: Obj = {"routes": aligned(part(there, "spec").get("routes"), routes)}
        if options.ingress_class:
            spec["ingressClassName"] = options.ingress_class
        return (make(canary, PROXIES, names.apex(canary), spec),)

    def backends(self, obj: Obj) -> list[list[Obj]]:
        """The services of each route."""
        return [entries(route, "services") for route in entries(part(obj, "spec"), "routes")]

    def end(self, canary: Canary, obj: Obj) -> Writes:
        """Keep it, because root proxies include it: route to the apex Service and remove the owner."""
        primary, routes = names.primary_service(canary), entries(part(obj, "spec"), "routes")
        found = [each for each in entries(routes[-1], "services") if each.get("name") == primary] if routes else []
        if not found:
            return ()
        to = {"name": names.apex(canary), "port": found[0].get("port")}
        return left(canary, obj, {**part(obj, "spec"), "routes": [{**routes[-1], "services": [to]}]})

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The name of the backend's Service."""
        return backend.get("name")


def _route(canary: Canary, rule: Rule, asked: list[Condition]) -> Obj:
    """One route: the prefix, then a condition for each header."""
    return {
        "conditions": [{"prefix": prefix_of(canary)}, *map(_condition, asked)],
        "services": [_service(canary, name, weight) for name, weight in shared_out(canary, rule.route)],
        **_policies(canary),
    }


def _condition(asked: Condition) -> Obj:
    if asked.query:
        return {"queryParameter": {"name": asked.name, asked.how: asked.text}}
    if asked.pattern is None:
        return {"header": {"name": asked.name, "exact": asked.text}}
    return {"header": {"name": asked.name, "regex": asked.pattern}}


def _service(canary: Canary, name: str, weight: int) -> Obj:
    port = canary.spec.service.port if canary.spec.service else 0
    host = f"{name}.{canary.metadata.namespace}.svc.cluster.local:{port}"
    override = {"set": [{"name": "l5d-dst-override", "value": host}]}
    return {"name": name, "port": port, "weight": weight, "requestHeadersPolicy": override}


def _policies(canary: Canary) -> Obj:
    """Timeout and retries of the manifest. None removes a policy that the manifest no longer has."""
    service = canary.spec.service
    timeout, retries = (service.timeout, service.retries) if service else ("", None)
    retry: Obj | None = None
    if retries is not None:
        retry = {"count": retries.attempts, "perTryTimeout": retries.per_try_timeout or None}
        retry["retryOn"] = retry_words(canary) or None
    return {"timeoutPolicy": {"response": timeout, "idle": IDLE} if timeout else None, "retryPolicy": retry}
