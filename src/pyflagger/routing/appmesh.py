"""Providers `appmesh` and `appmesh:v1beta2`: virtual nodes of the Services, and routes that split between them.

They are created before the primary, so that its pods get their sidecar. The canary has its own virtual service for
tests. Fields that the mesh's controller sets (AWS names, the mesh) stay. See the App Mesh controller's reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyflagger.api import durations, names
from pyflagger.api.canary import Canary, Service
from pyflagger.api.facts import ALL_CANARY, Capabilities, Fault, Problem, Route
from pyflagger.objects import Obj, Ref, Resource, part
from pyflagger.routing.base import Live, RoutingOptions
from pyflagger.routing.generated import apex_metadata, make
from pyflagger.routing.matching import Condition, conditions
from pyflagger.routing.split import (
    SERVICES,
    Rule,
    Split,
    aligned,
    entries,
    prefix_of,
    retry_words,
    selector_of,
    services_of,
    shared_out,
    unknown_retries,
)

GROUP = "appmesh.k8s.aws"
GATEWAY = "gateway.appmesh.k8s.aws"
ACCESS_LOG = "appmesh.flagger.app/accesslog"
RETRY_MS = 250
HTTP_RETRIES, TCP_RETRIES = ("server-error", "gateway-error", "client-error", "stream-error"), ("connection-error",)


class AppMesh(Split):
    """One version of the API. In v1beta1 (`_old`), a virtual service contains its routes."""

    capabilities = Capabilities(weights=True, ab=True, testers=True)

    def __init__(self, version: str) -> None:
        self._old = version == "v1beta1"
        self._nodes = Resource(GROUP, version, "virtualnodes", "VirtualNode")
        self._services = Resource(GROUP, version, "virtualservices", "VirtualService")
        self._routers = Resource(GROUP, version, "virtualrouters", "VirtualRouter")
        routing = (self._services,) if self._old else (self._routers, self._services)
        self.kinds = (*routing, self._nodes, SERVICES)

    def main(self, canary: Canary) -> Ref:
        """The object that contains the routes of the apex."""
        return self.kinds[0].ref(canary.metadata.namespace, self._routed(canary, names.apex(canary)))

    def others(self, canary: Canary) -> tuple[Ref, ...]:
        """The Services, the nodes, the object with the canary's routes, and the virtual services."""
        namespace, both = canary.metadata.namespace, (names.apex(canary), names.canary_service(canary))
        nodes = [self._nodes.ref(namespace, name) for name in self._node_names(canary)]
        services = [] if self._old else [self._services.ref(namespace, name) for name in both]
        return (*services_of(canary), *nodes, self.kinds[0].ref(namespace, self._routed(canary, both[1])), *services)

    def render(
        self, canary: Canary, live: Live, rules: Sequence[Rule], options: RoutingOptions
    ) -> tuple[Obj, ...] | Problem:
        """Render the nodes first, because the routes refer to them."""
        if problem := unknown_retries(canary, HTTP_RETRIES + TCP_RETRIES):
            return problem
        service = canary.spec.service
        if service is None or (self._old and not service.mesh_name):
            return Problem(
                Fault.MANIFEST, "mesh name cannot be empty", "Set spec.service.meshName.", "spec.service.meshName"
            )
        routes = self._routes(canary, service, rules)
        if isinstance(routes, Problem):
            return routes
        straight = self._routes(canary, service, [Rule(ALL_CANARY)])
        assert not isinstance(straight, Problem), "a rule without conditions can always be expressed"
        apex, other = names.apex(canary), names.canary_service(canary)
        holders = [self._holder(canary, service, live, name, of) for name, of in ((other, straight), (apex, routes))]
        nodes = [self._node(canary, service, live, name, host) for name, host in self._node_names(canary).items()]
        virtual = [] if self._old else [self._virtual(canary, service, name) for name in (other, apex)]
        return (*nodes, holders[0], *virtual, holders[1])

    def backends(self, obj: Obj) -> list[list[Obj]]:
        """The weighted targets of each route."""
        http = [
            part(route, "http" if self._old else _protocol(route)) for route in entries(part(obj, "spec"), "routes")
        ]
        return [entries(part(route, "action"), "weightedTargets") for route in http]

    def service_of(self, canary: Canary, backend: Obj) -> Any:
        """The name of the node, which is the name of its Service."""
        return backend.get("virtualNodeName") if self._old else part(backend, "virtualNodeRef").get("name")

    # ---------------------------------------------------------------------------------------------------------------

    def _routed(self, canary: Canary, service: str) -> str:
        return f"{service}.{canary.metadata.namespace}" if self._old else service

    def _node_names(self, canary: Canary) -> dict[str, str]:
        """The Service of each node, by the name of the node."""
        primary, other = names.primary_service(canary), names.canary_service(canary)
        return {**({names.apex(canary): primary} if self._old else {}), primary: primary, other: other}

    def _node(self, canary: Canary, service: Service, live: Live, name: str, host: str) -> Obj:
        target = service.target_port
        port = service.port if self._old or not isinstance(target, int) else target
        listener: Obj = {"portMapping": {"port": port, "protocol": _wire(service)}}
        spec: Obj = {"listeners": [listener]}
        stem = f"{host}.{canary.metadata.namespace}"
        if self._old:
            spec |= {"meshName": service.mesh_name, "serviceDiscovery": {"dns": {"hostName": stem}}}
            spec["backends"] = [{"virtualService": {"virtualServiceName": one}} for one in service.backends] or None
        else:
            if per_request := _milliseconds(service.timeout):
                listener["timeout"] = {_wire(service): {"perRequest": per_request}}
            spec["serviceDiscovery"] = {"dns": {"hostname": f"{stem}.svc.cluster.local."}}
            spec["backends"] = [{"virtualService": _backend(one)} for one in service.backends] or None
            if selector := selector_of(canary, live, host):
                spec["podSelector"] = {"matchLabels": selector}
        logged = canary.metadata.annotations.get(ACCESS_LOG) == "enabled"
        spec["logging"] = {"accessLog": {"file": {"path": "/dev/stdout"}}} if logged else None
        return make(canary, self._nodes, name, spec)

    def _holder(self, canary: Canary, service: Service, live: Live, name: str, routes: list[Obj]) -> Obj:
        """The object that contains the routes: a virtual service in v1beta1, else a virtual router."""
        kind, full = self.kinds[0], self._routed(canary, name)
        there = live.get(kind.ref(canary.metadata.namespace, full)) or {}
        listeners = [{"portMapping": {"port": service.port, "protocol": _wire(service)}}]
        spec: Obj = {"routes": aligned(part(there, "spec").get("routes"), routes)}
        if not self._old:
            return make(canary, kind, full, {**spec, "listeners": listeners})
        spec |= {"meshName": service.mesh_name, "virtualRouter": {"name": name, "listeners": listeners}}
        return make(canary, kind, full, spec, _metadata(canary, service, name))

    def _virtual(self, canary: Canary, service: Service, name: str) -> Obj:
        spec = {"provider": {"virtualRouter": {"virtualRouterRef": {"name": name}}}}
        return make(canary, self._services, name, spec, _metadata(canary, service, name))

    def _routes(self, canary: Canary, service: Service, rules: Sequence[Rule]) -> list[Obj] | Problem:
        """The routes by priority. The last one matches all requests."""
        routes = []
        for index, rule in enumerate(rules):
            asked = conditions(rule, queries=False)
            if isinstance(asked, Problem):
                return asked
            last = index == len(rules) - 1
            name = names.apex(canary) if last else f"{names.apex(canary)}-{index}"
            priority = {"priority": 10 * (index + 1)} if len(rules) > 1 else {"priority": None}
            kind = "http" if self._old else f"{_wire(service)}Route"
            routes.append({"name": name, **priority, kind: self._route(canary, service, rule.route, asked)})
        return routes

    def _route(self, canary: Canary, service: Service, route: Route, asked: list[Condition]) -> Obj:
        primary, other = shared_out(canary, route)
        targets = [
            {**({"virtualNodeName": name} if self._old else {"virtualNodeRef": {"name": name}}), "weight": weight}
            for name, weight in (other, primary)
        ]
        grpc = not self._old and _wire(service) == "grpc"
        headers = [{"name": one.name, "match": {one.how: one.text}} for one in asked]
        match: Obj = {("metadata" if grpc else "headers"): headers or None}
        if not grpc:
            match["prefix"] = prefix_of(canary)
        made: Obj = {
            "match": match,
            "action": {"weightedTargets": targets},
            "retryPolicy": self._retry(canary, service),
        }
        if not self._old:
            per_request = _milliseconds(service.timeout)
            made["timeout"] = {"perRequest": per_request} if per_request else None
        return made

    def _retry(self, canary: Canary, service: Service) -> Obj | None:
        if service.retries is None:
            return None
        each = _milliseconds(service.retries.per_try_timeout) or {"unit": "ms", "value": RETRY_MS}
        words = retry_words(canary) or [HTTP_RETRIES[1]]
        events = {"httpRetryEvents": [word for word in words if word in HTTP_RETRIES] or None}
        events |= {"tcpRetryEvents": [word for word in words if word in TCP_RETRIES] or None}
        timeout = {"perRetryTimeoutMillis": each["value"]} if self._old else {"perRetryTimeout": each}
        return {**timeout, "maxRetries": service.retries.attempts or 1, **events}


def _wire(service: Service) -> str:
    return "grpc" if "grpc" in service.port_name else "http"


def _protocol(route: Obj) -> str:
    return "grpcRoute" if "grpcRoute" in route else "httpRoute"


def _backend(name: str) -> Obj:
    return {"virtualServiceARN": name} if name.startswith("arn:aws") else {"virtualServiceRef": {"name": name}}


def _milliseconds(text: str) -> Obj | None:
    """A duration in the format of the API. None if it is missing or unreadable."""
    try:
        return {"unit": "ms", "value": round(durations.parse(text) * 1000)} if text else None
    except ValueError:
        return None


def _metadata(canary: Canary, service: Service, name: str) -> Obj:
    """Labels and annotations. The virtual service of the apex also has those that the mesh's gateway reads."""
    metadata: Obj = apex_metadata(canary)
    if name == names.apex(canary) and service.hosts:
        said = {"expose": "true", "domain": "".join(f"{host}," for host in service.hosts)}
        said |= {"timeout": service.timeout} if service.timeout else {}
        said |= {"retries": str(service.retries.attempts)} if service.retries else {}
        metadata["annotations"] |= {f"{GATEWAY}/{key}": value for key, value in said.items()}
    return metadata
