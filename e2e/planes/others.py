"""Set-ups that users have before a Canary comes, each on Envoy: by an HTTPProxy of Contour's or by an HTTPRoute.

The user's route leads to the Service, as it does without flagger. Names of the apps end with the provider's. HTTPRoutes
are adopted, but for one that is taken over. Contour sends routes and clusters to Envoy in any order, so a route that
begins to lead to another Service answers 503 (Envoy's flag NC) until Envoy knows that too: flagger names it first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2e import apps
from e2e.planes.apps import ADMIN, OLD, host
from e2e.planes.proxies import ADMIN_PORT, NAMESPACE
from pyflagger.objects import Obj

APPS_NAMESPACE = "others"
CONTOUR, GATEWAY = "contour", "gateway"
PROVIDERS: Mapping[str, str] = {CONTOUR: "contour", GATEWAY: "gatewayapi:v1"}
ROUTES: Mapping[str, str] = {CONTOUR: "httpproxy", GATEWAY: "httproute"}
LEAVE_SECONDS = 3
PATIENT = {"timeoutSeconds": 10, "failureThreshold": 10}
"""What a probe allows: a busy machine is not a broken pod."""

CHECKS = 2
"""Failed checks that end a release."""

OUTSIDE = "127.96.10.1"
"""Where a server outside of the cluster listens: Contour refuses `localhost` as an external name."""

SECOND_HOST = "second"
"""Another host of the user's in an HTTPRoute."""

NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"


@dataclass(frozen=True)
class Setup:
    """One app of a user: what is there before the Canary, and the Canary."""

    name: str
    tag: str = OLD
    labels: Mapping[str, str] | None = None
    port: Mapping[str, Any] | None = None
    """The container's port; None: the number alone."""

    ports: tuple[Obj, ...] = ()
    """Further ports of the Service; `admin` has a host of its own."""

    service: Mapping[str, Any] | None = None
    """What the Canary says of its Service."""

    adopted: bool = False
    """Whether the Canary sets weights in the user's route alone; else it makes one of its own."""

    taken: bool = False
    """Whether the user's HTTPRoute has the name of the Service, so that flagger takes it over."""

    judged: bool = False
    """Whether a hook judges its releases."""

    spec: Mapping[str, Any] | None = None

    @property
    def way(self) -> str:
        """The last word of its name."""
        return self.name.rpartition("-")[2]

    @property
    def selector(self) -> dict[str, str]:
        """The labels of its pods."""
        return dict(self.labels or {"app": self.name})

    @property
    def root(self) -> str:
        """The name of the user's route."""
        return self.name if self.taken else f"{self.name}-root"


def deployment(setup: Setup) -> Obj:
    """The target; its pods serve on until the proxy has heard of their end."""
    made = apps.app(setup.name, setup.tag)
    made["spec"]["selector"]["matchLabels"] = setup.selector
    template = made["spec"]["template"]
    template["metadata"] = {"labels": setup.selector, "annotations": {"prometheus.io/scrape": "true"}}
    (container,) = template["spec"]["containers"]
    del container["envFrom"]
    container["ports"] = [dict(setup.port or {"containerPort": 9898})]
    container["readinessProbe"] |= {"httpGet": {"path": "/readyz", "port": 9898}, **PATIENT}
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": LEAVE_SECONDS}}}
    return made


def service(setup: Setup) -> Obj:
    """The user's, which the Canary takes over."""
    ports = [{"name": "http", "port": 80, "targetPort": 9898}, *setup.ports]
    return _service(setup.name, {"selector": setup.selector, "ports": ports})


def routes(setup: Setup) -> tuple[Obj, ...]:
    """The user's ways in to the Service."""
    further = [route(setup, ADMIN, port["port"]) for port in setup.ports]
    return route(setup), *further


def route(setup: Setup, port: str = "", number: int = 80, tls: str = "") -> Obj:
    """A way in to a port of the Service; to that of the Canary with its weights, where the route is adopted.

    `tls` is the Secret of an HTTPProxy's virtual host.
    """
    ending = f"-{port}" if port else ""
    if setup.way == CONTOUR:
        services = pair(setup) if setup.adopted and not port else [{"name": setup.name, "port": number}]
        secret = {"tls": {"secretName": tls}} if tls else {}
        spec: Obj = {"virtualhost": {"fqdn": host(setup.name, port), **secret}, "routes": [{"services": services}]}
        return _proxy(f"{setup.name}-root{ending}", spec)
    refs = pair(setup) if setup.adopted and not port else [{"name": setup.name, "port": number}]
    hosts = [host(setup.name, port), *([] if port else [host(setup.name, SECOND_HOST)])]
    spec = {"parentRefs": [{"name": "contour", "namespace": NAMESPACE}], "hostnames": hosts}
    head = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    return {
        **head,
        "metadata": {"name": f"{setup.root}{ending}"},
        "spec": {**spec, "rules": [{"backendRefs": refs}]},
    }


def canary(setup: Setup, hook: str) -> Obj:
    """By weights, judged by the hook at this URL if at all."""
    said = {"port": 80, **({"targetPort": 9898} if setup.service is None else setup.service)}
    if setup.way == GATEWAY:
        parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "contour", "namespace": NAMESPACE}
        said |= {"gatewayRefs": [parent], "hosts": [host(setup.name)]}
    hooks = [{"name": "judge", "type": "rollout", "url": hook}] if setup.judged else []
    analysis = {"interval": "1s", "threshold": CHECKS, "stepWeights": [50], "metrics": [], "webhooks": hooks}
    kinds = {CONTOUR: ("projectcontour.io/v1", "HTTPProxy"), GATEWAY: ("gateway.networking.k8s.io/v1", "HTTPRoute")}
    version, kind = kinds[setup.way]
    named = {"routeRef": {"apiVersion": version, "kind": kind, "name": f"{setup.name}-root"}} if setup.adopted else {}
    made = apps.canary(setup.name, PROVIDERS[setup.way], service=said, **named, **(setup.spec or {}))
    made["spec"]["analysis"] = analysis
    return made


# The set-ups ---------------------------------------------------------------------------------------------------------


def chart(way: str, tag: str) -> Setup:
    """A release of a chart: another one in the namespace differs in one label alone."""
    return Setup(f"chart-{way}", tag, {NAME: "shop", INSTANCE: way}, adopted=way == GATEWAY)


def ported(way: str) -> Setup:
    """The Canary names a port that the container does not have: that is called `web`."""
    port = {"name": "web", "containerPort": 9898}
    return Setup(f"ported-{way}", port=port, service={"targetPort": "http"}, adopted=way == GATEWAY)


def lost(way: str) -> Setup:
    """Judged by a hook, so that no visit to the bad version fails."""
    return Setup(f"lost-{way}", judged=True, adopted=way == GATEWAY)


def back(way: str, taken: bool = False) -> Setup:
    """Two labels and two ports; the Canary names one of each."""
    name = f"taken-{way}" if taken else f"back-{way}"
    ports = ({"name": ADMIN, "port": ADMIN_PORT, "targetPort": 9898},)
    spec = {"revertOnDeletion": True}
    return Setup(name, labels={"app": name, "tier": "front"}, ports=ports, spec=spec, adopted=not taken, taken=taken)


def left() -> Setup:
    """The user's root proxy includes that of flagger, which stays when the Canary goes."""
    return Setup(f"left-{CONTOUR}", spec={"revertOnDeletion": True})


def elsewhere(kind: str, way: str) -> Setup:
    """A target whose Service leads somewhere else."""
    return Setup(f"{kind}-{way}")


def outside(name: str, port: int) -> Obj:
    """A Service that is a name for a server outside of the cluster, at its own port: Contour knows no other."""
    ports = [{"name": "http", "port": port}]
    return _service(name, {"type": "ExternalName", "externalName": OUTSIDE, "ports": ports})


def by_hand(name: str, address: str) -> tuple[Obj, Obj]:
    """A Service without a selector, and the endpoints that somebody keeps for it."""
    head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
    labels = {"kubernetes.io/service-name": name}
    ends = [{"addresses": [address], "conditions": {"ready": True}}]
    ports = [{"name": "http", "port": 9898, "protocol": "TCP"}]
    slices = {**head, "metadata": {"name": f"{name}-1", "labels": labels}, "endpoints": ends, "ports": ports}
    return _service(name, {"ports": [{"name": "http", "port": 80, "targetPort": 9898}]}), slices


def secured() -> Setup:
    """A proxy of the user's with a virtual host and TLS, of which the Canary sets weights alone."""
    return Setup(f"secured-{CONTOUR}", adopted=True)


def pair(setup: Setup) -> list[Obj]:
    """What an adopted route leads to before any release. Envoy knows the first of them from the time before."""
    weights = (("", 100), ("-canary", 0))
    return [{"name": f"{setup.name}{end}", "port": 80, "weight": weight} for end, weight in weights]


def included(setup: Setup) -> str:
    """The patch by which a user's root proxy includes ours instead of leading to the Service."""
    include = [{"name": setup.name, "conditions": [{"prefix": "/"}]}]
    ops = [{"op": "remove", "path": "/spec/routes"}, {"op": "add", "path": "/spec/includes", "value": include}]
    return json.dumps(ops)


def _service(name: str, spec: Obj) -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _proxy(name: str, spec: Obj) -> Obj:
    head = {"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy"}
    return {**head, "metadata": {"name": name}, "spec": {"ingressClassName": "contour", **spec}}
