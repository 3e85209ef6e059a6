"""Strategic merge patches: merge patches that merge some lists by key.

Pure. The types of the built-in kinds (`pyflagger.admission.schema`) say which lists merge, and by what key. `patching`
calls it with the type of the patched object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyflagger.admission import schema
from pyflagger.admission.errors import bad_request
from pyflagger.admission.schema import Field
from pyflagger.objects import Obj

_PATCH, _ORDER, _PRIMITIVES, _RETAIN = "$patch", "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys"


def merge(model: str, target: Any, patch: Obj) -> Any:
    """`target`, of type `model`, after the patch. Raises ApiError (400) for malformed directives."""
    patch = dict(patch)
    match patch.pop(_PATCH, "merge"):
        case "replace":
            return {key: _bare(value) for key, value in patch.items() if value is not None}
        case "delete":
            return {}
        case "merge":
            return _merge(model, target if isinstance(target, dict) else {}, patch)
        case other:
            raise bad_request(f"unknown patch directive: {other}")


def _merge(model: str, target: Obj, patch: Obj) -> Obj:
    result = dict(target)
    retained = patch.pop(_RETAIN, None)
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    for name in [name for name in patch if name.startswith(_PRIMITIVES)]:
        field, gone = name.removeprefix(_PRIMITIVES), patch.pop(name)
        result[field] = [item for item in result.get(field) or [] if item not in gone]
    orders = {
        name.removeprefix(_ORDER): patch.pop(name) for name in [name for name in patch if name.startswith(_ORDER)]
    }
    for field, value in patch.items():
        if value is None:
            result.pop(field, None)
        else:
            result[field] = _field(model, field, result.get(field), value)
    for field, order in orders.items():
        if field in result:
            result[field] = _ordered(result[field], order, _merge_key(model, field))
    return result


def _field(model: str, field: str, target: Any, value: Any) -> Any:
    known = _known(model, field)
    if isinstance(value, dict):
        return merge(_below(known), target, value)
    if not isinstance(value, list):
        return value
    if known is None or not known.merges:
        return _bare(value)
    kept = target if isinstance(target, list) else []
    if known.merge_key:
        return _merge_list(_below(known), known.merge_key, kept, value)
    return [*kept, *(item for item in value if item not in kept)]


def _merge_list(model: str, key: str, target: list[Any], patch: list[Any]) -> list[Any]:
    if any(item.get(_PATCH) == "replace" for item in patch):
        return [_bare(item) for item in patch if item.get(_PATCH) != "replace"]
    result = list(target)
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        places = [at for at, found in enumerate(result) if found.get(key) == item[key]]
        if item.get(_PATCH) == "delete":
            result = [found for found in result if found.get(key) != item[key]]
        elif places:
            result[places[0]] = merge(model, result[places[0]], item)
        else:
            result.append(merge(model, {}, item))
    return result


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """Items in the order of the patch. Other items keep their place after their predecessor."""
    wanted = [item.get(key) if key and isinstance(item, dict) else item for item in order]
    identity = [item.get(key) if key and isinstance(item, dict) else item for item in items]
    listed = sorted(
        (at for at, name in enumerate(identity) if name in wanted), key=lambda at: wanted.index(identity[at])
    )
    slots = iter(listed)
    return [items[next(slots)] if name in wanted else items[at] for at, name in enumerate(identity)]


def _bare(value: Any) -> Any:
    """A value without directives and nulls, to add where there was none."""
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if v is not None and not k.startswith("$")}
    if isinstance(value, list):
        return [_bare(item) for item in _real(value)]
    return value


def _real(items: Iterable[Any]) -> Iterable[Any]:
    return (item for item in items if not (isinstance(item, dict) and _PATCH in item))


def _known(model: str, field: str) -> Field | None:
    return schema.fields(model).get(field) if model else None


def _merge_key(model: str, field: str) -> str:
    known = _known(model, field)
    return known.merge_key if known is not None else ""


def _below(known: Field | None) -> str:
    """The model of a field, or of the items of a list; empty for anything else."""
    type = known.type if known is not None else None
    while type is not None and type.kind == "list":
        type = type.inner
    return type.model if type is not None else ""
