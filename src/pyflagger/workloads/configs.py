"""ConfigMaps and Secrets that a target uses: which, their checksums, and the primary's copies of them.

A change of a tracked one starts a release like a change of the template does. Called by the kinds of this room and by
the operator; checksums are the reference's, so adopting its Canaries starts nothing.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem
from pyflagger.api.names import owner_reference
from pyflagger.objects import UNREAD, Create, Delete, Found, Obj, Patch, Ref, Unread, Write, controller_of, merge_diff
from pyflagger.workloads import limits
from pyflagger.workloads.options import Options

TRACKING = "flagger.app/config-tracking"
SECRET_TYPES = frozenset({"Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"})
SUFFIX = "-primary"

Finder: TypeAlias = Callable[[Ref], Found]


@dataclass(frozen=True, slots=True)
class ConfigRef:
    """One ConfigMap or Secret that pods use; `optional` when no reference insists on it."""

    kind: str
    name: str
    optional: bool

    @property
    def key(self) -> str:
        """How the status names it."""
        return f"{self.kind.lower()}/{self.name}"

    def ref(self, namespace: str) -> Ref:
        """The object."""
        return Ref("v1", self.kind, namespace, self.name)

    def copy_ref(self, namespace: str) -> Ref:
        """The primary's copy."""
        return Ref("v1", self.kind, namespace, self.name + SUFFIX)


@dataclass(frozen=True)
class Tracked:
    """The configs of a target that are followed, by their key in the status."""

    refs: Mapping[str, ConfigRef]
    objects: Mapping[str, Obj]

    @cached_property
    def checksums(self) -> dict[str, str]:
        """What the status remembers."""
        return {key: checksum(obj) for key, obj in sorted(self.objects.items())}


NOTHING = Tracked({}, {})


# Scanning -----------------------------------------------------------------------------------------------------------


def _dicts(value: Any) -> Iterator[Obj]:
    yield from (item for item in value or () if isinstance(item, dict)) if isinstance(value, list | None) else ()


def _sites(pod: Obj) -> Iterator[tuple[str, Obj, str]]:
    """(kind, the dict that holds a name, the name's key) for each reference in a pod spec, changeable in place."""
    for volume in _dicts(pod.get("volumes")):
        yield "ConfigMap", volume.get("configMap") or {}, "name"
        yield "Secret", volume.get("secret") or {}, "secretName"
        for source in _dicts((volume.get("projected") or {}).get("sources")):
            yield "ConfigMap", source.get("configMap") or {}, "name"
            yield "Secret", source.get("secret") or {}, "name"
    for container in (*_dicts(pod.get("initContainers")), *_dicts(pod.get("containers"))):
        for variable in _dicts(container.get("env")):
            source = variable.get("valueFrom") or {}
            yield "ConfigMap", source.get("configMapKeyRef") or {}, "name"
            yield "Secret", source.get("secretKeyRef") or {}, "name"
        for bundle in _dicts(container.get("envFrom")):
            yield "ConfigMap", bundle.get("configMapRef") or {}, "name"
            yield "Secret", bundle.get("secretRef") or {}, "name"


def references(pod: Obj) -> tuple[ConfigRef, ...]:
    """Every ConfigMap and Secret that a pod spec uses; one that is needed anywhere is not optional."""
    found: dict[tuple[str, str], bool] = {}
    for kind, holder, key in _sites(pod):
        name = holder.get(key)
        if isinstance(name, str) and name:
            found[kind, name] = found.get((kind, name), True) and bool(holder.get("optional"))
    return tuple(ConfigRef(kind, name, optional) for (kind, name), optional in sorted(found.items()))


def renamed(pod: Obj, tracked: Tracked) -> Obj:
    """The pod spec with its tracked references pointing at the primary's copies."""
    result = copy.deepcopy(pod)
    for kind, holder, key in _sites(result):
        if f"{kind.lower()}/{holder.get(key)}" in tracked.refs:
            holder[key] += SUFFIX
    return result


# Tracking -----------------------------------------------------------------------------------------------------------


def track(refs: Iterable[ConfigRef], namespace: str, find: Finder) -> Tracked | Problem | Unread:
    """What is followed of a target's references; UNREAD while one of them has not come."""
    followed: dict[str, ConfigRef] = {}
    objects: dict[str, Obj] = {}
    for ref in refs:
        obj = find(ref.ref(namespace))
        if obj is UNREAD:
            return UNREAD
        if obj is None:
            if not ref.optional:
                return _missing(ref, namespace)
        elif not isinstance(obj, Unread) and _followed(ref, obj):
            if unfit := limits.config_copy(ref.kind, ref.name):
                return unfit
            followed[ref.key], objects[ref.key] = ref, obj
    return Tracked(followed, objects)


def _followed(ref: ConfigRef, obj: Obj) -> bool:
    opt_out = (obj["metadata"].get("annotations") or {}).get(TRACKING, "")
    return not opt_out.startswith("disable") and (ref.kind == "ConfigMap" or obj.get("type", "Opaque") in SECRET_TYPES)


def _missing(ref: ConfigRef, namespace: str) -> Problem:
    kind = ref.kind.lower()
    text = f'{kind} {ref.name}.{namespace} get query error: {kind}s "{ref.name}" not found'
    return Problem(Fault.MANIFEST, text, f"Create {kind} {ref.name}, or mark the reference as optional.")


def checksum(obj: Obj) -> str:
    """The first 16 hex digits of SHA-256 over the data as Go writes JSON; binary data counts when there is some.

    Reference: Flagger's config tracker. Vectors: no data is `74234e98afe7498f`, `{"color": "red"}` `241889ca0604e333`.
    """
    text = go_json(obj.get("data"))
    if obj.get("binaryData"):
        text += go_json(obj["binaryData"])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def go_json(data: Mapping[str, str] | None) -> str:
    """A string map as Go's encoding/json writes it."""
    text = json.dumps(data or None, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for plain, escaped in _GO_ESCAPES.items():
        text = text.replace(plain, escaped)
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


# Copies -------------------------------------------------------------------------------------------------------------


def copies(canary: Canary, tracked: Tracked, find: Finder, options: Options) -> tuple[Write, ...] | Problem | Unread:
    """The writes that bring the primary's copies up to date."""
    writes: list[Write] = []
    for key, obj in sorted(tracked.objects.items()):
        ref = tracked.refs[key].copy_ref(canary.metadata.namespace)
        live = find(ref)
        if isinstance(live, Unread):
            return UNREAD
        wanted = _copy(canary, ref, obj, live, options)
        if live is None:
            writes.append(Create(wanted))
        elif not _is_ours(live):
            return _foreign(ref)
        elif live.get("type") != wanted.get("type") or live.get("immutable"):
            if any(live.get(part) != wanted.get(part) for part in ("data", "binaryData", "type", "immutable")):
                writes += [Delete(ref), Create(wanted)]
        else:
            writes += _update(ref, live, wanted)
    return tuple(writes)


def _copy(canary: Canary, ref: Ref, obj: Obj, live: Obj | None, options: Options) -> Obj:
    ours = owner_reference(canary)
    owners = [] if live is None else live["metadata"].get("ownerReferences") or []
    others = [{**owner, "controller": False} for owner in owners if owner.get("uid") != ours["uid"]]
    wanted: Obj = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace, "ownerReferences": [*others, ours]},
    }
    labels = options.included(obj["metadata"].get("labels"))
    if labels:
        wanted["metadata"]["labels"] = labels
    for part in ("data", "binaryData", "immutable", "type"):
        if obj.get(part) is not None:
            wanted[part] = obj[part]
    return wanted


def _update(ref: Ref, live: Obj, wanted: Obj) -> Iterator[Patch]:
    body: Obj = {}
    for part in ("data", "binaryData", "immutable"):
        if (live.get(part) or None) != (wanted.get(part) or None):
            change = (
                merge_diff(live.get(part) or {}, wanted.get(part) or {}) if part != "immutable" else wanted.get(part)
            )
            body[part] = change
    meta = live["metadata"]
    if {**(meta.get("labels") or {}), **wanted["metadata"].get("labels", {})} != (meta.get("labels") or {}):
        body["metadata"] = {"labels": wanted["metadata"]["labels"]}
    if meta.get("ownerReferences") != wanted["metadata"]["ownerReferences"] and body:
        body["metadata"] = {**(body.get("metadata") or {}), "ownerReferences": wanted["metadata"]["ownerReferences"]}
    if body:
        yield Patch(ref, body, meta.get("resourceVersion", ""))


def _is_ours(live: Obj) -> bool:
    return any(owner.get("kind") == "Canary" for owner in live["metadata"].get("ownerReferences") or ())


def _foreign(ref: Ref) -> Problem:
    text = f"{ref} exists and belongs to somebody else: it would be overwritten by the primary's copy"
    return Problem(Fault.MANIFEST, text, f"Rename or delete {ref}.")


def stale_copies(canary: Canary, before: Iterable[str], tracked: Tracked, find: Finder) -> tuple[Write, ...]:
    """Deletes our copies of configs that were tracked before and are not any more. `before`: keys of the status."""
    writes: list[Write] = []
    for key in sorted(set(before) - set(tracked.refs)):
        kind, _, name = key.partition("/")
        api_kind = {"configmap": "ConfigMap", "secret": "Secret"}.get(kind)
        if api_kind is None:
            continue
        ref = Ref("v1", api_kind, canary.metadata.namespace, name + SUFFIX)
        live = find(ref)
        owner = controller_of(live) if isinstance(live, dict) else None
        if owner is not None and owner.get("uid") == canary.metadata.uid:
            writes.append(Delete(ref))
    return tuple(writes)
