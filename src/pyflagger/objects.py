"""Raw Kubernetes objects: naming them, comparing them, and writes to them as values.

Objects stay plain dicts everywhere, so unknown fields survive. Pure rooms return `Write`s; only the operator applies
them, through `kube`. Nothing here knows what a canary is.
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
"""An object may exist; it has not been read yet. Never to be taken for an object that is not there."""

Found: TypeAlias = Obj | Unread | None


class Key(NamedTuple):
    """Which object of a kind, such as which Canary; shown as `name.namespace`, like in the reference's texts."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


class Ref(NamedTuple):
    """Names one object of the API. `namespace` is empty for cluster-scoped kinds.

    A tuple, for it is hashed and compared at every step of every look.
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
        """`group/version`, as objects spell it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """`plural.group`, as people and CRDs name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The absolute path of the collection, an object, or a subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return root + scope + "".join(f"/{part}" for part in (self.plural, name, subresource) if part)

    def ref(self, namespace: str, name: str) -> Ref:
        """The name of one object of this kind."""
        return Ref(self.api_version, self.kind, namespace if self.namespaced else "", name)


@dataclass(frozen=True, slots=True)
class Create:
    """Create this object; it must not exist."""

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
    """Delete an object; already gone is success.

    `resource_version`, when given, makes the write fail with a conflict if the object has changed since it was read.
    """

    ref: Ref
    resource_version: str = ""


Write: TypeAlias = Create | Patch | Delete


def ref_of(obj: Mapping[str, Any]) -> Ref:
    """The name of a live or desired object."""
    meta = obj["metadata"]
    return Ref(obj["apiVersion"], obj["kind"], meta.get("namespace", ""), meta["name"])


def part(obj: Mapping[str, Any], key: str) -> Obj:
    """A nested object; empty when it is not there or is none."""
    value: Any = obj.get(key)
    return value if isinstance(value, dict) else {}


_NESTED = (dict, list)


def share(new: Obj, old: Mapping[str, Any], differing: Callable[[Any], Any] = lambda value: value) -> Obj:
    """`new`, changed in place: each part that equals the same part of `old` is that part, so it is held once.

    Within lists a number counts as equal to the truth value of its worth, as everywhere in Python. A part that equals
    none, and is no object in both, becomes what `differing` makes of it.
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
    """Holds equal parts of different objects once: of a thousand Services, the ports are all the same.

    Whoever has been given an object must not change it. Forgets what it knows when that has become `most` parts.
    """

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._parts: dict[tuple[object, ...], Any] = {}

    def one(self, obj: Obj) -> Obj:
        """The object, changed in place, its parts those that are known already: for one that is seen first."""
        self._make_room()
        self._marks(obj)
        return obj

    def update(self, new: Obj, old: Mapping[str, Any]) -> Obj:
        """The object, changed in place: `old` was its state before, and what differs is as `one` has it."""
        self._make_room()
        return share(new, old, self._known)

    def _make_room(self) -> None:
        if len(self._parts) > self._most:
            self._parts.clear()

    def _known(self, part: Any) -> Any:
        return self._parts.setdefault(self._marks(part), part) if isinstance(part, _NESTED) else part

    def _marks(self, part: Any) -> tuple[object, ...]:
        """What tells a part from others, its own parts known by now: these by where they are, so that nothing is
        compared twice; `1` is not `true`, and no object is a list."""
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

    Lists are replaced whole, as RFC 7386 says. Keys absent from `desired` become null (deleted).
    """
    patch: Obj = {}
    for key in live.keys() | desired.keys():
        if key not in desired:
            patch[key] = None
        elif key not in live:
            patch[key] = copy.deepcopy(desired[key])
        elif isinstance(live[key], dict) and isinstance(desired[key], dict):
            inner = merge_diff(live[key], desired[key])
            if inner:
                patch[key] = inner
        elif live[key] != desired[key]:
            patch[key] = copy.deepcopy(desired[key])
    return patch


def merge_apply(target: Any, patch: Any) -> Any:
    """`target` after a JSON merge patch; neither argument is changed."""
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
