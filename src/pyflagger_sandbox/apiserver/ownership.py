"""Field ownership: the sets behind `metadata.managedFields`.

Pure; called by `applying`. A field is a path of steps in the format of `fieldsV1`: `f:name` for a key, `k:{"name":"x"}`
for an item of a list of type map, `v:"x"` for a member of a list of type set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyflagger.admission import schema
from pyflagger.admission.resource import Resource
from pyflagger.admission.schema import Type
from pyflagger.objects import Obj

Path = tuple[str, ...]

_WHOLE = {"x-kubernetes-map-type": "atomic"}
_KEY_DEFAULTS = {"protocol": "TCP"}
# Only the server writes these, so they have no manager.
_UNMANAGED = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        *(
            ("f:metadata", f"f:{key}")
            for key in (
                "name",
                "namespace",
                "uid",
                "resourceVersion",
                "generation",
                "creationTimestamp",
                "managedFields",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "selfLink",
                "generateName",
            )
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The type of a value for field ownership. An `atomic` value has one manager."""

    type: Type | None = None
    schema: Mapping[str, Any] | None = None
    keys: tuple[str, ...] = ()
    is_set: bool = False
    atomic: bool = False

    def field(self, name: str) -> Shape:
        """The shape of the value of a key."""
        if self.schema is not None:
            return _custom((self.schema.get("properties") or {}).get(name) or self.schema.get("additionalProperties"))
        if self.type is None or self.type.kind != "model":
            return _typed(self.type.inner if self.type is not None and self.type.kind == "map" else None)
        found = schema.fields(self.type.model).get(name)
        return Shape(found.type, None, found.keys, found.is_set, found.atomic) if found else Shape()

    def item(self) -> Shape:
        """The shape of a list's items."""
        if self.schema is not None:
            return _custom(self.schema.get("items"))
        return _typed(self.type.inner if self.type is not None else None)


def _typed(type: Type | None) -> Shape:
    return Shape(type, atomic=type is not None and schema.atomic(type))


def _custom(found: Any) -> Shape:
    said: Mapping[str, Any] = found if isinstance(found, dict) else {}
    kind = said.get("x-kubernetes-list-type")
    keys = tuple(said.get("x-kubernetes-list-map-keys") or ()) if kind == "map" else ()
    return Shape(None, said, keys, kind == "set", said.get("x-kubernetes-map-type") == "atomic")


def shape_of(resource: Resource) -> Shape:
    """The shape of a resource's objects."""
    if resource.schema is None:
        return Shape(Type("model", model=resource.model))
    owners = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"], "items": _WHOLE}
    meta = {"properties": {"finalizers": {"x-kubernetes-list-type": "set"}, "ownerReferences": owners}}
    return _custom({**resource.schema, "properties": {**(resource.schema.get("properties") or {}), "metadata": meta}})


def identity(item: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The step that identifies an item in its list."""
    said = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in sorted(keys)}
    return "k:" + json.dumps(said, separators=(",", ":"))


def leaves(shape: Shape, value: Any) -> dict[Path, Any]:
    """Every field that can have a manager, with its value."""
    return {path: found for path, found in _leaves(shape, value, ()) if not _server_owned(path)}


def _server_owned(path: Path) -> bool:
    return not path or path[0] == "f:status" or path[:1] in _UNMANAGED or path[:2] in _UNMANAGED


def _leaves(shape: Shape, value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value and not shape.atomic:
        for key, item in value.items():
            yield from _leaves(shape.field(key), item, (*path, f"f:{key}"))
    elif isinstance(value, list) and shape.keys:
        for item in value:
            step = identity(item, shape.keys)
            yield (*path, step), None
            yield from _leaves(shape.item(), item, (*path, step))
    elif isinstance(value, list) and shape.is_set:
        for item in value:
            yield (*path, f"v:{json.dumps(item)}"), item
    else:
        yield path, value


def merged(shape: Shape, live: Any, wanted: Any) -> Any:
    """`live` with all fields of `wanted`."""
    if isinstance(wanted, dict) and isinstance(live, dict) and not shape.atomic:
        return {**live, **{key: merged(shape.field(key), live.get(key), value) for key, value in wanted.items()}}
    if isinstance(wanted, list) and isinstance(live, list) and shape.keys:
        return _merged_items(shape, live, wanted)
    if isinstance(wanted, list) and isinstance(live, list) and shape.is_set:
        return [*live, *(item for item in wanted if item not in live)]
    return wanted


def _merged_items(shape: Shape, live: list[Any], wanted: list[Any]) -> list[Any]:
    said = {identity(item, shape.keys): item for item in wanted}
    have = [identity(item, shape.keys) for item in live]
    kept = [
        merged(shape.item(), item, said[step]) if step in said else item for step, item in zip(have, live, strict=True)
    ]
    return [*kept, *(item for step, item in said.items() if step not in have)]


def without(shape: Shape, value: Any, path: Path) -> Any:
    """`value` without the field at a path. Returns the same value when there is no such field."""
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step.startswith("f:"):
        key = step[2:]
        if key not in value:
            return value
        if rest:
            return {**value, key: without(shape.field(key), value[key], rest)}
        return {name: item for name, item in value.items() if name != key}
    if isinstance(value, list) and step.startswith("k:"):
        inner = [
            without(shape.item(), item, rest) if rest and identity(item, shape.keys) == step else item for item in value
        ]
        return [item for item in inner if rest or identity(item, shape.keys) != step]
    if isinstance(value, list) and step.startswith("v:"):
        return [item for item in value if f"v:{json.dumps(item)}" != step]
    return value


def to_fields(paths: Iterable[Path]) -> Obj:
    """A set of fields as `fieldsV1`. A field of the set that contains others has a dot."""
    root: Obj = {}
    owned = set(paths)
    for path in sorted(owned):
        place = root
        for depth, step in enumerate(path, 1):
            place = place.setdefault(step, {})
            if depth < len(path) and path[:depth] in owned:
                place["."] = {}
    return root


def from_fields(fields: Obj, path: Path = ()) -> Iterator[Path]:
    """The fields of a `fieldsV1`."""
    if path and (not fields or "." in fields):
        yield path
    for step, below in fields.items():
        if step != ".":
            yield from from_fields(below, (*path, step))


def shown(path: Path) -> str:
    """A field in the format of conflicts: `.spec.replicas`, `.spec.containers[name="app"].image`."""
    said = ""
    for step in path:
        if step.startswith("f:"):
            said += f".{step[2:]}"
        elif step.startswith("k:"):
            pairs = json.loads(step[2:])
            said += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in pairs.items()) + "]"
        else:
            said += f"[={step[2:]}]"
    return said
