"""The kind with the weights of the mesh: TrafficSplit of the SMI specification, in all versions."""

from __future__ import annotations

from typing import Any

_BACKEND = {
    "type": "object",
    "required": ["service", "weight"],
    "properties": {
        "service": {"type": "string", "description": "name of a Service in the same namespace"},
        "weight": {"x-kubernetes-int-or-string": True, "description": "its share in proportion to the other backends"},
    },
}
_SPEC = {
    "type": "object",
    "required": ["service", "backends"],
    "properties": {
        "service": {"type": "string", "description": "the Service that clients call"},
        "backends": {"type": "array", "items": _BACKEND},
        "matches": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    },
}


def _version(name: str, *, storage: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": _SPEC}}},
        "additionalPrinterColumns": [{"name": "Service", "type": "string", "jsonPath": ".spec.service"}],
    }


TRAFFIC_SPLITS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "trafficsplits.split.smi-spec.io"},
    "spec": {
        "group": "split.smi-spec.io",
        "scope": "Namespaced",
        "names": {
            "kind": "TrafficSplit",
            "listKind": "TrafficSplitList",
            "plural": "trafficsplits",
            "shortNames": ["ts"],
            "singular": "trafficsplit",
        },
        "versions": [_version("v1alpha1"), _version("v1alpha2", storage=True), _version("v1alpha3")],
    },
}
