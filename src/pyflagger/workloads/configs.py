"""The ConfigMaps and Secrets that a target uses, their checksums, and the names of the primary's copies.

A change of a tracked object starts a release, like a change of the template. The checksums are computed as in the
reference, so that adopting its Canaries starts no release. Called by the kinds in this package and by the operator.
`copies` writes the copies.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import UNREAD, Found, Obj, Ref, Unread
from pyflagger.workloads import limits

TRACKING = "flagger.app/config-tracking"
SECRET_TYPES = frozenset({"Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"})
SUFFIX = "-primary"
NAME_MAX = 253
"""Characters in the name of a ConfigMap or Secret."""

Finder: TypeAlias = Callable[[Ref], Found]


@dataclass(frozen=True, slots=True)
class ConfigRef:
    """One ConfigMap or Secret that pods use; `optional` if every reference is optional."""

    kind: str
    name: str
    optional: bool

    @property
    def key(self) -> str:
        """Its key in the status."""
        return f"{self.kind.lower()}/{self.name}"

    def ref(self, namespace: str) -> Ref:
        """The object."""
        return Ref("v1", self.kind, namespace, self.name)

    def copy_refs(self, namespace: str, canary: str) -> tuple[Ref, ...]:
        """The possible names of the primary's copy: the name that canaries share, or a name of this canary's own."""
        found = (self.name + SUFFIX, own_copy(self.name, canary))
        return tuple(Ref("v1", self.kind, namespace, name) for name in found)


def own_copy(config: str, canary: str) -> str:
    """The name of a copy that no other canary uses.

    No two pairs of config and canary have the same name. If a name with `primary` in it is ambiguous, or the name gets
    too long, a digest of both replaces the canary's name.
    """
    name = f"{config}{SUFFIX}-{canary}"
    if "primary" not in config + canary and len(name) <= NAME_MAX:
        return name
    digest = hashlib.sha256(f"{config}/{canary}".encode()).hexdigest()[:10]
    return f"{config[: NAME_MAX - len(SUFFIX) - 11].rstrip('-.')}{SUFFIX}-{digest}"


@dataclass(frozen=True)
class Tracked:
    """The tracked configs of a target, by their key in the status.

    `names`: the names of copies that do not have the name that canaries share.
    """

    refs: Mapping[str, ConfigRef]
    objects: Mapping[str, Obj]
    names: Mapping[str, str] = field(default_factory=dict)

    def copy_of(self, key: str) -> str:
        """The name of the primary's copy."""
        return self.names.get(key) or self.refs[key].name + SUFFIX

    @cached_property
    def checksums(self) -> dict[str, str]:
        """The checksums that the status stores."""
        return {key: checksum(obj) for key, obj in sorted(self.objects.items())}


NOTHING = Tracked({}, {})


# Scanning -----------------------------------------------------------------------------------------------------------


def _dicts(value: Any) -> Iterator[Obj]:
    yield from (item for item in value or () if isinstance(item, dict)) if isinstance(value, list | None) else ()


def _sites(pod: Obj) -> Iterator[tuple[str, Obj, str]]:
    """(kind, the dict with the name, the name's key) for each reference in a pod spec; can be changed in place."""
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
    """Every ConfigMap and Secret that a pod spec uses; `optional` only if all its references are."""
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
        config = f"{kind.lower()}/{holder.get(key)}"
        if config in tracked.refs:
            holder[key] = tracked.copy_of(config)
    return result


def as_used(tracked: Tracked, pod: Obj, canary: str) -> Tracked:
    """The same with the names that the primary's pods use, because a promotion keeps their copy if possible."""
    used, names = {(ref.kind, ref.name) for ref in references(pod)}, {}
    for key, ref in tracked.refs.items():
        own = own_copy(ref.name, canary)
        if (ref.kind, own) in used:
            names[key] = own
    return replace(tracked, names=names) if names else tracked


# Tracking -----------------------------------------------------------------------------------------------------------


def track(refs: Iterable[ConfigRef], namespace: str, find: Finder) -> Tracked | Problem | Unread:
    """The tracked ones of a target's references; UNREAD until all are read."""
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
    """The first 16 hex digits of SHA-256 over the data in Go's JSON encoding. Includes binary data, if any.

    Reference: Flagger's config tracker. Vectors: no data is `74234e98afe7498f`, `{"color": "red"}` `241889ca0604e333`.
    """
    text = go_json(obj.get("data"))
    if obj.get("binaryData"):
        text += go_json(obj["binaryData"])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def go_json(data: Mapping[str, str] | None) -> str:
    """A string map in the encoding of Go's encoding/json."""
    text = json.dumps(data or None, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for plain, escaped in _GO_ESCAPES.items():
        text = text.replace(plain, escaped)
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
