"""Raw Kubernetes objects: references, comparison, and writes as values.

Objects are plain dicts everywhere, so unknown fields survive. Pure packages return `Write`s. Only the operator applies
them, through `kube`. This module knows nothing about canaries.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

Obj: TypeAlias = dict[str, Any]


class Unread(Enum):
    """The type of UNREAD."""

    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD
"""The object has not been read yet and may exist. Not the same as None, an object that does not exist."""

Found: TypeAlias = Obj | Unread | None


class Key(NamedTuple):
    """Namespace and name of an object. Its text is `name.namespace`, as in the reference's texts."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


class Ref(NamedTuple):
    """A reference to one object of the API. `namespace` is empty for cluster-scoped kinds.

    A tuple, because each reconciliation hashes and compares many references.
    """

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return (
            f"{self.kind.lower()} {self.name}.{self.namespace}"
            if self.namespace
            else f"{self.kind.lower()} {self.name}"
        )


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of the API. `group` is empty for the core group; `plural` is its name in paths."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, as in an object's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """`plural.group`, the name of the kind's CRD."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The absolute path of the collection, of an object, or of a subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return root + scope + "".join(f"/{part}" for part in (self.plural, name, subresource) if part)

    def ref(self, namespace: str, name: str) -> Ref:
        """A reference to an object of this kind."""
        return Ref(self.api_version, self.kind, namespace if self.namespaced else "", name)


@dataclass(frozen=True, slots=True)
class Create:
    """Create this object. It must not exist."""

    obj: Obj


@dataclass(frozen=True, slots=True)
class Patch:
    """Change an object by a JSON merge patch (RFC 7386).

    `resource_version`, when given, makes the write fail with a conflict if the object has changed since it was read.
    """

    ref: Ref
    body: Obj
    resource_version: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object. A missing object is success.

    `resource_version`, when given, makes the write fail with a conflict if the object has changed since it was read.
    """

    ref: Ref
    resource_version: str = ""


Write: TypeAlias = Create | Patch | Delete


def ref_of(obj: Mapping[str, Any]) -> Ref:
    """A reference to a live or desired object."""
    meta = obj["metadata"]
    return Ref(obj["apiVersion"], obj["kind"], meta.get("namespace", ""), meta["name"])


def part(obj: Mapping[str, Any], key: str) -> Obj:
    """The nested object at a path of keys; empty when it is missing or not an object."""
    value: Any = obj.get(key)
    return value if isinstance(value, dict) else {}


_NESTED = (dict, list)


def share(new: Obj, old: Mapping[str, Any], differing: Callable[[Any], Any] = lambda value: value) -> Obj:
    """Replace the parts of `new` that equal the same part of `old` by that part, in place. Memory holds them once.

    Within lists `1` equals `True`, as in Python. A part that differs, and is not an object in both, is replaced by the
    result of `differing`.
    """
    for key, value in new.items():
        before = old.get(key)
        if before == value and type(before) is type(value):
            new[key] = before
        elif isinstance(value, dict) and isinstance(before, dict):
            share(value, before, differing)
        else:
            new[key] = differing(value)
    return new


class Pool:
    """Shares equal parts of different objects in memory: a thousand Services may have the same ports.

    Callers must not change a shared object. The pool starts over when it holds more than `most` parts.
    """

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._parts: dict[tuple[object, ...], Any] = {}

    def one(self, obj: Obj) -> Obj:
        """Share the parts of a new object, in place."""
        self._make_room()
        self._marks(obj)
        return obj

    def update(self, new: Obj, old: Mapping[str, Any]) -> Obj:
        """Share the parts of `new` with `old`, its state before, in place. Parts that differ come from the pool."""
        self._make_room()
        return share(new, old, self._known)

    def _make_room(self) -> None:
        if len(self._parts) > self._most:
            self._parts.clear()

    def _known(self, part: Any) -> Any:
        return self._parts.setdefault(self._marks(part), part) if isinstance(part, _NESTED) else part

    def _marks(self, part: Any) -> tuple[object, ...]:
        """The key of a part in the pool: its type, and type and value of each entry.

        Nested parts are shared first and then identified by address, so that none is compared twice. The types keep `1`
        and `true`, and objects and lists, apart.
        """
        marks: list[object] = [type(part)]
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part):
            mark: object
            if isinstance(inner, str):
                part[key] = mark = sys.intern(inner)
            elif isinstance(inner, _NESTED):
                part[key] = known = self._known(inner)
                mark = (id(known),)
            else:
                mark = (type(inner), inner)
            marks += key, mark
        return tuple(marks)


def merge_diff(live: Any, desired: Any) -> Any:
    """The smallest JSON merge patch that turns `live` into `desired`; `{}` when they are equal.

    Lists are replaced whole, as RFC 7386 says. Keys absent from `desired` become null (deleted). The patch shares the
    values of `desired`.
    """
    patch: Obj = {}
    for key in live.keys() | desired.keys():
        if key not in desired:
            patch[key] = None
        elif key not in live:
            patch[key] = desired[key]
        elif isinstance(live[key], dict) and isinstance(desired[key], dict):
            inner = merge_diff(live[key], desired[key])
            if inner:
                patch[key] = inner
        elif live[key] != desired[key]:
            patch[key] = desired[key]
    return patch


def merge_apply(target: Any, patch: Any) -> Any:
    """`target` after a JSON merge patch. Changes neither argument."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result: Obj = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_apply(result.get(key), value)
    return result


def controller_of(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The controlling owner reference, if any."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner  # type: ignore[no-any-return]
    return None
