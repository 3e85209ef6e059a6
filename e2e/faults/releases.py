"""What is released while something goes wrong: three kinds of release, each with an app of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyflagger.objects import Obj

INTERVAL = 2.0
STEPS = (30, 60)
OLD = "1.0.0"
DEADLINE_SECONDS = 10

SUCCESS = {"name": "request-success-rate", "interval": "10s", "thresholdRange": {"min": 99}}
LATENCY = {"name": "request-duration", "interval": "10s", "thresholdRange": {"max": 500}}


@dataclass(frozen=True)
class Kind:
    """One kind of release: the image that is released, what is measured, and how it ends."""

    name: str
    image: str
    ends: str
    weight: int
    """Percent at the canary in the end."""
    runs: str
    """The primary's image in the end."""
    analysis: Mapping[str, Any] = field(default_factory=dict)


GOOD = Kind("good", "podinfo:2.0.0", "Succeeded", 0, "podinfo:2.0.0")
BAD = Kind(
    "rolled back",
    "podinfo:2.0.0-slow",
    "Failed",
    0,
    f"podinfo:{OLD}",
    {"threshold": 2, "metrics": [LATENCY]},
)
STUCK = Kind("failed promotion", "broken-primary:2.0.0", "Failed", 100, "broken-primary:2.0.0")
"""Its pods never come up as the primary: the proved canary goes on serving."""

KINDS = (GOOD, BAD, STUCK)


def objects(
    name: str, namespace: str, kind: Kind, deadline: int = DEADLINE_SECONDS, interval: float = INTERVAL
) -> tuple[Obj, ...]:
    """An app with its Secret, its Ingress and its Canary."""
    release = canary(name, kind, deadline, interval)
    return secret(name, "first"), deployment(name, deadline), ingress(name, namespace), release


def secret(name: str, word: str) -> Obj:
    """A Secret that the app is told."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-env"}, "stringData": {"WORD": word}}


def deployment(name: str, deadline: int, image: str = f"podinfo:{OLD}") -> Obj:
    """The target."""
    container = {
        "name": "app",
        "image": image,
        "command": ["./podinfo", "--port=9898"],
        "ports": [{"name": "http", "containerPort": 9898}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9898}, "periodSeconds": 1},
        "envFrom": [{"secretRef": {"name": f"{name}-env"}}],
    }
    spec = {
        "replicas": 1,
        "progressDeadlineSeconds": deadline,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def ingress(name: str, namespace: str) -> Obj:
    """How visitors come in, by a host of the app's own name."""
    backend = {"service": {"name": name, "port": {"number": 80}}}
    rule = {"host": host(name, namespace), "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"ingressClassName": "nginx", "rules": [rule]},
    }


def host(name: str, namespace: str) -> str:
    """Where visitors go."""
    return f"{name}.{namespace}.example"


def canary(name: str, kind: Kind, deadline: int = DEADLINE_SECONDS, interval: float = INTERVAL, **more: Any) -> Obj:
    """Two steps, each judged by the real Prometheus on the real ingress's counters."""
    analysis = {"interval": f"{interval:g}s", "threshold": 15, "stepWeights": list(STEPS), "metrics": [SUCCESS]}
    spec = {
        "provider": "nginx",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": name},
        "progressDeadlineSeconds": deadline,
        "service": {"port": 80, "targetPort": 9898},
        "analysis": analysis | dict(kind.analysis),
    }
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": name}, "spec": spec | more}
