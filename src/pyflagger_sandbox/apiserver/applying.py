"""Server-side apply: sets the fields of a manager, removes those that it no longer applies, and reports conflicts.

Pure. Tracks ownership from the first server-side apply of an object. Earlier fields belong to `before-first-apply`, as
on a real server for objects without managed fields.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyflagger.admission.errors import Cause, apply_conflict
from pyflagger.admission.resource import Resource
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver import ownership
from pyflagger_sandbox.apiserver.ownership import Path, leaves, shape_of


@dataclass(slots=True)
class Manager:
    """An entry of `managedFields`."""

    name: str
    operation: str
    fields: set[Path]
    time: str
    api_version: str


def managers(obj: Obj | None, resource: Resource, now: str) -> list[Manager]:
    """The managers of an object's fields."""
    if obj is None:
        return []
    said = obj["metadata"].get("managedFields")
    if said:
        return [
            Manager(
                entry.get("manager", ""),
                entry.get("operation", "Update"),
                set(ownership.from_fields(entry.get("fieldsV1") or {})),
                entry.get("time", now),
                entry.get("apiVersion", resource.api_version),
            )
            for entry in said
        ]
    return [Manager("before-first-apply", "Update", set(leaves(shape_of(resource), obj)), now, resource.api_version)]


def apply(resource: Resource, live: Obj | None, wanted: Obj, name: str, *, force: bool, now: str) -> Obj:
    """The object after `name` applies `wanted`. Raises ApiError (409) with all conflicts."""
    shape = shape_of(resource)
    said, have = leaves(shape, wanted), leaves(shape, live or {})
    everybody = managers(live, resource, now)
    own = next((m for m in everybody if (m.name, m.operation) == (name, "Apply")), None)
    others = [manager for manager in everybody if manager is not own]
    taken = [(m, path) for m in others for path in m.fields & said.keys() if path in have and have[path] != said[path]]
    if taken and not force:
        raise apply_conflict([_conflict(manager, path) for manager, path in sorted(taken, key=lambda item: item[1])])
    for manager, path in taken:
        manager.fields.discard(path)
    kept = {path for manager in others for path in manager.fields}
    result = ownership.merged(shape, live or {}, wanted)
    for path in sorted((own.fields if own else set()) - said.keys() - kept):
        result = ownership.without(shape, result, path)
    mine = Manager(name, "Apply", set(said), now, resource.api_version)
    return _recorded(result, [*others, mine])


def tracked(resource: Resource, new: Obj, old: Obj, name: str, now: str) -> Obj:
    """An object after a write that is not an apply: the writer now manages the changed fields."""
    if not old["metadata"].get("managedFields"):
        return new
    shape = shape_of(resource)
    after, before = leaves(shape, new), leaves(shape, old)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    everybody = managers(old, resource, now)
    for manager in everybody:
        manager.fields = (manager.fields & after.keys()) - changed
    own = next((m for m in everybody if (m.name, m.operation) == (name, "Update")), None)
    if own is None and changed:
        own = Manager(name, "Update", set(), now, resource.api_version)
        everybody.append(own)
    if own is not None:
        own.fields |= changed
    return _recorded(new, everybody)


def _conflict(manager: Manager, path: Path) -> Cause:
    using = "" if manager.operation == "Apply" else f" using {manager.api_version}"
    return Cause(ownership.shown(path), "FieldManagerConflict", f'conflict with "{manager.name}"{using}')


def _recorded(obj: Obj, everybody: list[Manager]) -> Obj:
    entries = [
        {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": manager.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": ownership.to_fields(manager.fields),
        }
        for manager in everybody
        if manager.fields
    ]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": entries}}
