"""Pod templates: their hash, new pods, and label selectors.

Pure; used by every controller that owns pods.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pyflagger.objects import Obj

HASH_LABEL = "pod-template-hash"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_HASH_LENGTH = 10


def template_hash(template: Mapping[str, Any]) -> str:
    """Ten letters that differ when templates differ. Ignores nulls and the hash label itself."""
    digest = hashlib.sha256(json.dumps(_bare(template), sort_keys=True).encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_HASH_LENGTH])


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items() if item is not None and key != HASH_LABEL}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) selects these labels. None selects nothing."""
    if not selector:
        return False
    labels = labels or {}
    wanted = (selector.get("matchLabels") or {}).items()
    return wanted <= labels.items() and all(
        _expression(entry, labels) for entry in selector.get("matchExpressions") or ()
    )


def _expression(entry: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(entry["key"]), entry.get("values") or ()
    match entry["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def owner_reference(owner: Obj) -> Obj:
    """An owner reference to this object, with `controller: true`."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def new_pod(owner: Obj, template: Mapping[str, Any], *, node: str = "", labels: Mapping[str, str] | None = None) -> Obj:
    """A pod of a template, named after its owner, and bound to `node` if it is not empty."""
    meta = template.get("metadata") or {}
    spec = copy.deepcopy(dict(template.get("spec") or {}))
    if node:
        spec["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(meta.get("labels") or {}) | dict(labels or {}),
            "annotations": dict(meta.get("annotations") or {}),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": spec,
    }
