"""Targets for the tests of workloads: a Deployment with most of what a pod can refer to, and its Canary."""

from __future__ import annotations

import copy
from typing import Any

from pyflagger.api.canary import Canary
from pyflagger.api.parse import parse_canary
from pyflagger.objects import Obj, merge_apply

POD: Obj = {
    "serviceAccountName": "web",
    "initContainers": [{"name": "init", "image": "init:1", "envFrom": [{"secretRef": {"name": "init-secret"}}]}],
    "containers": [
        {
            "name": "web",
            "image": "web:1",
            "ports": [{"name": "http", "containerPort": 8080}],
            "env": [
                {"name": "PLAIN", "value": "x"},
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "env-map", "key": "a"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "b", "optional": True}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "from-map"}}],
        }
    ],
    "volumes": [
        {"name": "v1", "configMap": {"name": "volume-map"}},
        {"name": "v2", "secret": {"secretName": "volume-secret"}},
        {
            "name": "v3",
            "projected": {
                "sources": [
                    {"configMap": {"name": "projected-map"}},
                    {"secret": {"name": "projected-secret"}},
                    {"serviceAccountToken": {"path": "token"}},
                ]
            },
        },
        {"name": "v4", "emptyDir": {}},
    ],
}


def canary(**spec: Any) -> Canary:
    """A Canary `web.test` with a merge patch on its spec."""
    base = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "service": {"port": 80, "targetPort": 8080},
        "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 10, "maxWeight": 50},
    }
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "web", "namespace": "test", "uid": "u1"},
            "spec": merge_apply(base, spec),
        }
    )


def target(spec: Any = None, meta: Any = None) -> Obj:
    """A Deployment `web.test` with merge patches on its spec and metadata."""
    template = {"metadata": {"labels": {"app": "web", "team": "a"}}, "spec": copy.deepcopy(POD)}
    base = {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    metadata = {"name": "web", "namespace": "test", "resourceVersion": "7", "labels": {"app": "web"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": merge_apply(metadata, meta or {}),
        "spec": merge_apply(base, spec or {}),
    }


def images(image: str) -> Obj:
    """A merge patch of the spec that sets another image."""
    pod = copy.deepcopy(POD)
    pod["containers"][0]["image"] = image
    return {"template": {"spec": pod}}
