"""Strategic merge patches: merge patches that know which lists are maps in disguise.

Pure; the merge keys of the built-in types are the table `KEYS`, which the OpenAPI documents publish too. Called by
`patching` with the type of the object that is patched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyflagger.admission import schema
from pyflagger.admission.errors import bad_request
from pyflagger.admission.schema import Type
from pyflagger.objects import Obj

_CONDITIONS = (
    "DaemonSetStatus",
    "DeploymentStatus",
    "JobStatus",
    "NamespaceStatus",
    "NodeStatus",
    "PersistentVolumeClaimStatus",
    "PodDisruptionBudgetStatus",
    "PodStatus",
    "ReplicaSetStatus",
    "ReplicationControllerStatus",
    "ServiceStatus",
    "StatefulSetStatus",
)

# Lists of objects that merge: by type and field, the key that tells their items apart.
KEYS: Mapping[tuple[str, str], str] = {
    **{(f"V1{kind}", "conditions"): "type" for kind in _CONDITIONS},
    **{
        ("V1PodSpec", field): "name"
        for field in (
            "containers",
            "initContainers",
            "ephemeralContainers",
            "volumes",
            "imagePullSecrets",
            "resourceClaims",
            "schedulingGates",
        )
    },
    **{
        (f"V1{kind}", field): key
        for kind in ("Container", "EphemeralContainer")
        for field, key in (
            ("env", "name"),
            ("ports", "containerPort"),
            ("volumeMounts", "mountPath"),
            ("volumeDevices", "devicePath"),
        )
    },
    ("V1PodSpec", "hostAliases"): "ip",
    ("V1PodSpec", "topologySpreadConstraints"): "topologyKey",
    ("V1PodStatus", "podIPs"): "ip",
    ("V1PodStatus", "hostIPs"): "ip",
    ("V1NodeStatus", "addresses"): "type",
    ("V1ObjectMeta", "ownerReferences"): "uid",
    ("V1ServiceSpec", "ports"): "port",
    ("V1ServiceAccount", "secrets"): "name",
    ("V1ServiceAccount", "imagePullSecrets"): "name",
    ("V2HorizontalPodAutoscalerStatus", "conditions"): "type",
}

# Lists of plain values that merge.
SETS = frozenset({("V1ObjectMeta", "finalizers"), ("V1NodeSpec", "podCIDRs")})
# Objects that, when patched, keep only the keys a patch names in `$retainKeys`.
RETAINED = frozenset({("V1DeploymentSpec", "strategy"), ("V1PodSpec", "volumes"), ("V1PodSpec", "resourceClaims")})

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
            result[field] = _ordered(result[field], order, KEYS.get((model, field), ""))
    return result


def _field(model: str, field: str, target: Any, value: Any) -> Any:
    type = _type(model, field)
    if isinstance(value, dict):
        return merge(_below(type), target, value)
    if not isinstance(value, list):
        return value
    if (model, field) in SETS:
        kept = target if isinstance(target, list) else []
        return [*kept, *(item for item in value if item not in kept)]
    key = KEYS.get((model, field))
    if key is None:
        return _bare(value)
    return _merge_list(_below(type), key, target if isinstance(target, list) else [], value)


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
    """Items in the order that the patch names; others keep their place relative to the one before them."""
    wanted = [item.get(key) if key and isinstance(item, dict) else item for item in order]
    identity = [item.get(key) if key and isinstance(item, dict) else item for item in items]
    listed = sorted(
        (at for at, name in enumerate(identity) if name in wanted), key=lambda at: wanted.index(identity[at])
    )
    slots = iter(listed)
    return [items[next(slots)] if name in wanted else items[at] for at, name in enumerate(identity)]


def _bare(value: Any) -> Any:
    """A value without directives and nulls, as it is put where nothing was."""
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if v is not None and not k.startswith("$")}
    if isinstance(value, list):
        return [_bare(item) for item in _real(value)]
    return value


def _real(items: Iterable[Any]) -> Iterable[Any]:
    return (item for item in items if not (isinstance(item, dict) and _PATCH in item))


def _type(model: str, field: str) -> Type | None:
    if not model:
        return None
    found = schema.fields(model).get(field)
    return found.type if found else None


def _below(type: Type | None) -> str:
    """The model of a field, or of the items of a list or map; empty for anything else."""
    while type is not None and type.kind == "list":
        type = type.inner
    return type.model if type else ""
