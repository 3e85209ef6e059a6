"""Small apps and their canaries, as values: what tests apply when the story is not about the app."""

from __future__ import annotations

from typing import Any

from pyflagger.objects import Obj

IMAGE = "ghcr.io/stefanprodan/podinfo"


def app(name: str, tag: str = "6.0.0", replicas: int = 1) -> Obj:
    """A Deployment of podinfo that reads a ConfigMap `NAME-settings`."""
    container = {
        "name": "web",
        "image": f"{IMAGE}:{tag}",
        "ports": [{"name": "http", "containerPort": 9898}],
        "envFrom": [{"configMapRef": {"name": f"{name}-settings"}}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
    }
    pods = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": pods}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def settings(name: str) -> Obj:
    """The ConfigMap of an app."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-settings"}, "data": {"COLOR": "red"}}


def scaler(name: str) -> Obj:
    """An autoscaler of an app."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 90}}
    spec = {
        "scaleTargetRef": target,
        "minReplicas": 1,
        "maxReplicas": 2,
        "metrics": [{"type": "Resource", "resource": resource}],
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": spec,
    }


def ingress(name: str) -> Obj:
    """The way in, for the host `NAME.local`."""
    backend = {"service": {"name": name, "port": {"number": 80}}}
    http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    spec = {"ingressClassName": "nginx", "rules": [{"host": f"{name}.local", "http": http}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name}, "spec": spec}


def canary(name: str, provider: str = "nginx", analysis: Obj | None = None, **spec: Any) -> Obj:
    """A Canary of an app: with provider nginx by weights of 20 and 40, else blue/green; a second each."""
    steps = {"stepWeight": 20, "maxWeight": 40} if provider == "nginx" else {"iterations": 2}
    way_in = {"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": name}}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name},
        "spec": {
            "provider": provider,
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            **(way_in if provider == "nginx" else {}),
            "progressDeadlineSeconds": 60,
            "service": {"port": 80, "targetPort": 9898},
            "analysis": {"interval": "1s", "threshold": 5, **steps, **(analysis or {})},
            **spec,
        },
    }


def whole(name: str, provider: str = "nginx", **spec: Any) -> tuple[Obj, ...]:
    """An app with everything around it, and its Canary last."""
    way_in = (ingress(name),) if provider == "nginx" else ()
    return (settings(name), app(name), *way_in, canary(name, provider, **spec))


def smoke(namespace: str, host: str, version: str) -> Obj:
    """A hook: before anybody meets a version the load tester of `kustomize/tester` looks whether it is at a host."""
    task = {"type": "bash", "cmd": f"curl -sf http://{host}/version | grep -F '{version}'"}
    return {"name": "smoke", "type": "pre-rollout", "url": f"http://flagger-loadtester.{namespace}/", "metadata": task}
