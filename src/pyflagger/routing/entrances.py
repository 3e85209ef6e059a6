"""The entrances of a route: its hosts, gateways and matches. Two routes with a common entrance conflict.

Entrances conflict only if they are equal: the same host at the same gateway with the same match. Routes with different
matches can coexist, because the Gateway API and Istio's gateways merge them. Clients in an Istio mesh do not merge
them. Kinds that the user's own route refers to (TraefikService, HTTPProxy, RouteTable) have no entrances. Sources:
Istio, "Split large virtual services"; Gateway API, HTTPRouteRule; SMI, TrafficSplit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pyflagger.objects import Obj, part

MESH = "mesh"
ANY: tuple[Obj, ...] = ({}, {"uri": {"prefix": "/"}}, {"path": {"type": "PathPrefix", "value": "/"}})
"""The matches that match all requests."""


def entrances(obj: Obj) -> Iterator[tuple[str, str]]:
    """(kind, name) of each entrance. Equal for all routes of the cluster that share it."""
    look = _KINDS.get(obj["kind"])
    return look(obj) if look else iter(())


def _virtual_service(obj: Obj) -> Iterator[tuple[str, str]]:
    """The entrances of a VirtualService. A host without dots is a Service of the canary."""
    spec, namespace = part(obj, "spec"), obj["metadata"]["namespace"]
    hosts = [host.lower() for host in spec.get("hosts") or () if "." in host or host == "*"]
    for section in ("http", "tcp"):
        entries = _matches(spec.get(section), "match")
        for gateway in spec.get("gateways") or () if entries else ():
            where = f"gateway {_named(gateway, namespace)}" if gateway != MESH else "the mesh"
            for match in [""] if gateway == MESH else map(_match, entries):
                yield from (("Host", f"{host} at {where}{match}") for host in hosts)


def _named(gateway: str, namespace: str) -> str:
    """`namespace/name` of a gateway, from any notation."""
    if "/" in gateway:
        return gateway
    name, _, rest = gateway.partition(".")
    return f"{rest.partition('.')[0] or namespace}/{name}"


def _http_route(obj: Obj) -> Iterator[tuple[str, str]]:
    spec, namespace = part(obj, "spec"), obj["metadata"]["namespace"]
    hosts = [f"host {host.lower()}" for host in spec.get("hostnames") or ()] or ["all hosts"]
    matches = list(map(_match, _matches(spec.get("rules"), "matches")))
    for parent in spec.get("parentRefs") or ():
        where = f"{parent.get('kind') or 'Gateway'} {parent.get('namespace') or namespace}/{parent['name']}"
        listener = "".join(f" {key} {parent[key]}" for key in ("sectionName", "port") if parent.get(key))
        for host in hosts:
            yield from (("Route", f"of {host} at {where}{listener}{match}") for match in matches)


def _matches(rules: Any, key: str) -> list[Any]:
    """The matches of all rules. A rule without a match matches all requests."""
    return [entry for rule in rules or () for entry in rule.get(key) or ANY[:1]]


def _match(entry: Any) -> str:
    return "" if entry in ANY else f" for {json.dumps(entry, sort_keys=True)}"


def _traffic_split(obj: Obj) -> Iterator[tuple[str, str]]:
    yield "Split", f"of Service {obj['metadata']['namespace']}/{part(obj, 'spec').get('service')}"


_KINDS: Mapping[str, Callable[[Obj], Iterator[tuple[str, str]]]] = {
    "VirtualService": _virtual_service,
    "HTTPRoute": _http_route,
    "TrafficSplit": _traffic_split,
}
