"""Manifests that the stories play with: an app, its Ingress, its Canary, all by one name."""

from __future__ import annotations

from typing import Any

from pyflagger.objects import Obj

INTERVAL = 10.0
STEP, MAX = 25, 50


def image(name: str, version: str) -> str:
    """The image of an app."""
    return f"registry.example/{name}:{version}"


def settings(name: str) -> Obj:
    """A ConfigMap that the app uses."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-env"}, "data": {"a": "b"}}


def deployment(name: str) -> Obj:
    """The target, with a ConfigMap of its own."""
    container = {
        "name": name,
        "image": image(name, "1"),
        "ports": [{"name": "http", "containerPort": 8080}],
        "envFrom": [{"configMapRef": {"name": f"{name}-env"}}],
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {
        "replicas": 2,
        "progressDeadlineSeconds": 60,
        "selector": {"matchLabels": {"app": name}},
        "template": template,
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def ingress(name: str, port: int = 80) -> Obj:
    """How visitors come in."""
    backend = {"service": {"name": name, "port": {"number": port}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": f"{name}.example", "http": {"paths": paths}}]},
    }


def analysis(**more: Any) -> Obj:
    """Two steps, each judged by one metric."""
    metric = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
    steps = {"interval": f"{INTERVAL:g}s", "threshold": 2, "stepWeight": STEP, "maxWeight": MAX, "metrics": [metric]}
    return steps | more


def canary(name: str, **more: Any) -> Obj:
    """A weighted release through the Ingress; `more` replaces fields of the spec."""
    spec = {
        "provider": "nginx",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": name},
        "progressDeadlineSeconds": 60,
        "service": {"port": 80, "targetPort": 8080},
        "analysis": analysis(),
    }
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": name}, "spec": spec | more}


def scaler(name: str) -> Obj:
    """A HorizontalPodAutoscaler of a Deployment."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 2,
            "maxReplicas": 4,
        },
    }
