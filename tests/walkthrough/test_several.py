"""Several canaries released at once on one sandbox, each with names, namespaces, hosts and ports of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from walkthrough.sandboxed import Sandbox, Visitor, sandbox

pytestmark = pytest.mark.real

SERVICES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "front": ("shop", {"port": 8080, "portName": "web", "targetPort": 9898}, {"name": "web"}),
    "back": ("shop", {"port": 80, "targetPort": "http"}, {"number": 80}),
    "reader": ("books", {"name": "library", "port": 9898, "portDiscovery": True}, {"number": 9898}),
}
"""Namespace, the Canary's service, and the port of the Ingress, by the name of the app."""


def manifests(name: str) -> str:
    """An app with its Ingress and its Canary."""
    namespace, service, port = SERVICES[name]
    container = {
        "name": "app",
        "image": "ghcr.io/stefanprodan/podinfo:6.0.0",
        "ports": [{"name": "http", "containerPort": 9898}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
    backend = {"service": {"name": service.get("name", name), "port": port}}
    rule = {"host": f"{name}.local", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    metric = {"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}}
    canary = {
        "provider": "nginx",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": f"{name}-in"},
        "service": service,
        "analysis": {"interval": "3s", "threshold": 3, "maxWeight": 50, "stepWeight": 25, "metrics": [metric]},
    }
    kinds = (
        ("apps/v1", "Deployment", name, spec),
        ("networking.k8s.io/v1", "Ingress", f"{name}-in", {"ingressClassName": "nginx", "rules": [rule]}),
        ("flagger.app/v1beta1", "Canary", f"{name}-release", canary),
    )
    return yaml.safe_dump_all(
        {"apiVersion": version, "kind": kind, "metadata": {"name": own, "namespace": namespace}, "spec": spec}
        for version, kind, own, spec in kinds
    )


@pytest.fixture
def place() -> Iterator[Sandbox]:
    """A sandbox with all of them initialized."""
    with sandbox("--min-interval=1s") as running:
        for namespace in ("shop", "books"):
            running.kubectl("create", "namespace", namespace)
        for name in SERVICES:
            running.kubectl("apply", "-f", "-", said=manifests(name))
        for name, (namespace, *_) in SERVICES.items():
            wait = ("wait", f"canary/{name}-release", "--for=condition=promoted", "--timeout=60s")
            running.kubectl("-n", namespace, *wait)
        yield running


def test_all_are_released_at_once(place: Sandbox) -> None:
    """Each is promoted, nobody's visitor fails, and nobody meets another's app."""
    visitors = {name: Visitor(place.places["ingress"], f"{name}.local") for name in SERVICES}
    for visitor in visitors.values():
        visitor.start()
    for name, (namespace, *_) in SERVICES.items():
        place.kubectl("-n", namespace, "set", "image", f"deployment/{name}", "app=ghcr.io/stefanprodan/podinfo:6.0.1")
    end = time.monotonic() + 120
    while set(phases(place)) != {"Succeeded"}:
        assert time.monotonic() < end and "Failed" not in phases(place), phases(place)
        threading.Event().wait(0.5)
    for name, visitor in visitors.items():
        visitor.leave()
        assert not visitor.failed, (name, visitor.failed)
        assert min(visitor.versions["6.0.0"], visitor.versions["6.0.1"]) > 10, visitor.versions
    for name, (namespace, *_) in SERVICES.items():
        primary = place.object("-n", namespace, f"deployment/{name}-primary")
        assert primary["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":6.0.1")
        # The canary's pods go a moment after the end of the release.
        while place.object("-n", namespace, f"deployment/{name}")["spec"]["replicas"] != 0:
            assert time.monotonic() < end, name
            threading.Event().wait(0.5)
    front = place.object("-n", "shop", "service/front-canary")["spec"]["ports"][0]
    assert (front["name"], front["port"], front["targetPort"]) == ("web", 8080, 9898)


def phases(place: Sandbox) -> list[str]:
    """Of all canaries."""
    return [item["status"]["phase"] for item in place.object("canaries", "-A")["items"]]
