"""Objects that the conformance suite creates."""

from __future__ import annotations

from typing import Any

from pyflagger.objects import merge_apply

Obj = dict[str, Any]
DEPLOYMENTS = "apps/v1/deployments"
LEASES, INGRESSES = "coordination.k8s.io/v1/leases", "networking.k8s.io/v1/ingresses"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def config(name: str, data: Any = None, **meta: Any) -> Obj:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": data or {"a": "1"}}


def deployment(name: str, **spec: Any) -> Obj:
    """A Deployment."""
    pods = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    base = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pods}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": merge_apply(base, spec),
    }


def service(name: str, **spec: Any) -> Obj:
    """A Service."""
    base = {"selector": {"app": name}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": merge_apply(base, spec)}


def widgets(group: str) -> Obj:
    """A definition with a bit of everything: defaults, limits, pruning, columns, status, scale."""
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": 9},
            "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
            "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "port": {"x-kubernetes-int-or-string": True},
            "tags": {"type": "array", "maxItems": 2, "items": {"type": "string"}},
            "pick": {
                "type": "object",
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                "properties": {"a": {"type": "boolean"}, "b": {"type": "boolean", "nullable": True}},
            },
        },
    }
    status = {"type": "object", "properties": {"phase": {"type": "string"}, "count": {"type": "number"}}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
        ],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "required": ["metadata"],
                "properties": {"metadata": {"type": "object"}, "spec": spec, "status": status},
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [version],
        },
    }


def widget(group: str, name: str, /, **spec: Any) -> Obj:
    """One of them."""
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": merge_apply({"size": 3}, spec),
    }
