"""Ingresses that send to a port by a name that the manifest does not say, with `portDiscovery`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from routed import canary, ingress

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Create, Obj, Ref
from pyflagger.routing.base import Live, RoutingOptions
from pyflagger.routing.nginx import Nginx
from pyflagger.routing.skipper import Skipper

ROUTERS = {"nginx": Nginx(), "skipper": Skipper()}
every = pytest.mark.parametrize("provider", ROUTERS)
UI, ADMIN, DEBUG = ("http-ui", 80), ("admin", 9000), ("debug", 6060)
HTTP = ("http", 80)
Ports = list[tuple[str, int]]


def service(name: str, ports: Ports) -> Obj:
    """A Service with these ports."""
    spec = {"ports": [{"name": name, "port": number, "protocol": "TCP"} for name, number in ports]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "test"}, "spec": spec}


def seen(of: Canary, provider: str, port: Any, apex: Ports | None, other: Ports | None) -> Live:
    """What the router sees: an Ingress with that port, the apex Service and the canary's."""
    live: dict[Ref, Obj | None] = dict.fromkeys(ROUTERS[provider].reads(of, RoutingOptions()))
    live[Ref("networking.k8s.io/v1", "Ingress", "test", "web")] = ingress(("/", "web", port), ("/x", "api", "http-ui"))
    for name, ports in (("web", apex), ("web-canary", other)):
        assert Ref("v1", "Service", "test", name) in live
        live[Ref("v1", "Service", "test", name)] = service(name, ports) if ports is not None else None
    return live


def of(provider: str, weight: int = 0) -> Canary:
    """A Canary that names port 80 alone, and lets the others be found."""
    return canary({"phase": "Progressing", "canaryWeight": weight}, provider=provider, service={"portDiscovery": True})


MADE = {
    "the user's name for the Canary's port": ("http-ui", [UI], [HTTP], {"number": 80}),
    "before there is a canary's Service": ("http-ui", [UI], None, {"number": 80}),
    "a name that all have": ("http", [HTTP], [HTTP], {"name": "http"}),
    "a name that was discovered": ("admin", [UI, ADMIN], [HTTP, ADMIN], {"name": "admin"}),
    "another name for a port that was discovered": ("adm", [UI, ("adm", 9000)], [HTTP, ADMIN], {"number": 9000}),
    "a number that was discovered": (9000, [UI, ADMIN], [HTTP, ADMIN], {"number": 9000}),
    "nothing is known yet": ("admin", None, None, {"name": "admin"}),
    "a name that may be discovered": ("admin", [UI, ADMIN], None, {"name": "admin"}),
}


@every
@pytest.mark.parametrize("weight", [0, 30])
@pytest.mark.parametrize("name", MADE)
def test_ports_by_name_lead_somewhere(name: str, weight: int, provider: str) -> None:
    """Ours names a port that the canary's Service has; paths to other Services are not ours; nothing seen changes."""
    port, apex, other, wanted = MADE[name]
    one = of(provider, weight)
    live = seen(one, provider, port, apex, other)
    before = copy.deepcopy(live)
    writes = ROUTERS[provider].reconcile(one, live, RoutingOptions())
    assert live == before and isinstance(writes, tuple) and isinstance(writes[0], Create)
    paths = writes[0].obj["spec"]["rules"][0]["http"]["paths"]
    assert {"web-canary"} <= {path["backend"]["service"]["name"] for path in paths} <= {"web-primary", "web-canary"}
    assert all(path["backend"]["service"]["port"] == wanted for path in paths)


LOST = {
    "a name that nobody has": ("grpc", [UI], [HTTP], "portName"),
    "a port of the user's Service that no container declares": ("debug", [UI, DEBUG], [HTTP], "portName"),
    "a number that nobody has": (6060, [UI, DEBUG], [HTTP, ADMIN], "port"),
}


@every
@pytest.mark.parametrize("name", LOST)
def test_a_port_that_the_canary_would_not_have(name: str, provider: str) -> None:
    """It is refused before a release, with two ways out. A release that is under way ends by its own judgement."""
    port, apex, other, field = LOST[name]
    one = of(provider)
    found = ROUTERS[provider].reconcile(one, seen(one, provider, port, apex, other), RoutingOptions())
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST and found.path == f"spec.service.{field}"
    assert f"ingress web sends to port {port} of service web" in found.text and "503" in found.text
    assert "Set the backend's port in ingress web" in found.todo and f"spec.service.{field} to {port}" in found.todo
    running = of(provider, 30)
    assert isinstance(
        ROUTERS[provider].reconcile(running, seen(running, provider, port, apex, other), RoutingOptions()), tuple
    )


@every
def test_without_discovery_no_service_is_read(provider: str) -> None:
    """The manifest says all ports then."""
    reads = ROUTERS[provider].reads(canary(provider=provider), RoutingOptions())
    assert {ref.kind for ref in reads} == {"Ingress"}
