"""Custom resource definitions: turns their objects into resources to serve.

`accepted` sets a definition's status, `resources` returns what to register. Called on every write of a definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyflagger.admission.jsonpath import compiled
from pyflagger.admission.resource import Column, Resource
from pyflagger.admission.times import age
from pyflagger.objects import Obj

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def accepted(obj: Obj, now: str) -> Obj:
    """The definition with accepted names, the condition Established, and the finalizer that guards its objects."""
    spec, meta = obj["spec"], obj["metadata"]
    if "deletionTimestamp" not in meta and CLEANUP not in (meta.get("finalizers") or ()):
        meta = {**meta, "finalizers": [*(meta.get("finalizers") or ()), CLEANUP]}
    before = {condition["type"]: condition for condition in (obj.get("status") or {}).get("conditions") or ()}
    conditions = [
        before.get("NamesAccepted") or _condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
        before.get("Established")
        or _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
    ]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    had = (obj.get("status") or {}).get("storedVersions") or []
    status = {
        "conditions": conditions,
        "acceptedNames": spec["names"],
        "storedVersions": [*had, *(name for name in stored if name not in had)],
    }
    return {**obj, "metadata": meta, "status": status}


def _condition(type: str, reason: str, message: str, now: str) -> Obj:
    return {"type": type, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}


def resources(obj: Obj) -> list[Resource]:
    """One resource for each version that a definition serves."""
    spec = obj["spec"]
    stored = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return [_resource(spec, version, stored) for version in spec["versions"] if version.get("served")]


def _resource(spec: Obj, version: Obj, stored: str) -> Resource:
    names, sub = spec["names"], version.get("subresources") or {}
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names.get("singular", ""),
        namespaced=spec["scope"] == "Namespaced",
        short=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(sub.keys() & {"status", "scale"}),
        fields=tuple(field["jsonPath"].lstrip(".") for field in version.get("selectableFields") or ()),
        schema=version["schema"]["openAPIV3Schema"],
        columns=tuple(columns(version.get("additionalPrinterColumns"))),
        storage=f"{spec['group']}/{stored}",
        scale=sub.get("scale"),
    )


def columns(declared: list[Obj] | None) -> Iterator[Column]:
    """The printed columns of a custom resource: its name, and the declared columns or else its age."""
    yield Column("Name", lambda obj, now: obj["metadata"]["name"], format="name")
    for column in declared or [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]:
        yield Column(
            column["name"],
            _cell(column["jsonPath"], column["type"]),
            column["type"],
            column.get("format", ""),
            column.get("description", f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"),
            column.get("priority", 0),
        )


def _cell(path: str, type: str) -> Callable[[Obj, float], Any]:
    find = compiled(path)

    def cell(obj: Obj, now: float) -> Any:
        values = find(obj)
        if not values:
            return None
        if type == "date":
            return age(values[0], now)
        plain = type != "string" and len(values) == 1 and isinstance(values[0], int | float | bool)
        return values[0] if plain else _joined(values)

    return cell


def _joined(values: list[Any]) -> str:
    return ",".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
