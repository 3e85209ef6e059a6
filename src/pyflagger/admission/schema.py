"""The types of the built-in kinds: their fields, which are required, and how patches merge them.

Read from `types.json`, which `make schemas` writes from the schemas of a release of Kubernetes. Names of types are
those of its OpenAPI documents, such as `io.k8s.api.core.v1.PodSpec`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Literal, cast

Scalar = Literal["string", "int32", "int64", "double", "boolean", "time", "object", "int-or-string", "quantity"]
Kind = Scalar | Literal["list", "map", "model"]

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SCALE = "io.k8s.api.autoscaling.v1.Scale"
_PACKAGES = {"apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions"}
"""The packages of the groups that are not in `io.k8s.api`."""


@dataclass(frozen=True, slots=True)
class Type:
    """A type. `inner` is the type of a list's items or a map's values. `model` names a type with fields."""

    kind: Kind
    inner: Type | None = None
    model: str = ""


@dataclass(frozen=True)
class Field:
    """A field of a type by its JSON name. The names of its extensions lack the prefix `x-kubernetes-`."""

    name: str
    type: Type
    required: bool
    marks: Mapping[str, Any]

    @cached_property
    def merges(self) -> bool:
        """Whether a strategic merge patch adds to the list."""
        return "merge" in self._strategy

    @cached_property
    def merge_key(self) -> str:
        """The key that identifies the items of a list in a strategic merge patch; empty for plain values."""
        return str(self.marks.get("patch-merge-key", ""))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys that identify the items of a list in server-side apply; empty when items have no identity."""
        if self._list_type == "map":
            return tuple(self.marks["list-map-keys"])
        return (self.merge_key,) if self._list_type == "merge" and self.merge_key else ()

    @cached_property
    def is_set(self) -> bool:
        """Whether server-side apply manages each value of the list."""
        return self._list_type == "set" or (self._list_type == "merge" and not self.merge_key)

    @cached_property
    def atomic(self) -> bool:
        """Whether server-side apply manages the object as a whole."""
        return self.marks.get("map-type") == "atomic" or atomic(self.type)

    @property
    def _strategy(self) -> list[str]:
        return str(self.marks.get("patch-strategy", "")).split(",")

    @property
    def _list_type(self) -> str:
        """`merge` for older fields, which declare only a patch strategy."""
        return str(self.marks.get("list-type") or ("merge" if self.merges else "atomic"))


def model_of(group: str, version: str, kind: str) -> str:
    """The name of a kind's type."""
    package = _PACKAGES.get(group) or f"io.k8s.api.{group.partition('.')[0] or 'core'}"
    return f"{package}.{version}.{kind}"


def release() -> str:
    """The Kubernetes release of the types: `1.36.0`."""
    return str(_types()[""])


@cache
def fields(model: str) -> Mapping[str, Field]:
    """The fields of a type, by JSON name. Raises KeyError when there is no such type."""
    said = _types()[model]
    required, marks = said.get("required", ()), said.get("marks", {})
    return {
        name: Field(name, _type(text), name in required, marks.get(name, {})) for name, text in said["fields"].items()
    }


@cache
def atomic(type: Type) -> bool:
    """Whether server-side apply manages every object of a type as a whole."""
    marks = _types()[type.model].get("marks", {}) if type.model else {}
    return bool(marks.get("", {}).get("map-type") == "atomic")


@cache
def _types() -> Mapping[str, Any]:
    read: Mapping[str, Any] = json.loads((files(__package__) / "types.json").read_text())
    return read


@cache
def _type(text: str) -> Type:
    """Parse a type of `types.json`."""
    if text.startswith("[]"):
        return Type("list", _type(text[2:]))
    if text.startswith("{}"):
        return Type("map", _type(text[2:]))
    return Type("model", model=text) if "." in text else Type(cast(Scalar, text))
