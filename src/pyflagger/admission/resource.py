"""What the server knows of a kind, and which kinds it serves.

Pure data and look-ups: the built-in table is in `builtin`, custom resources are added and removed by `crd`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pyflagger.admission.errors import Cause, qualified
from pyflagger.admission.schema import model_of
from pyflagger.objects import Obj

Validate = Callable[[Obj, Obj | None], Iterable[Cause]]


@dataclass(frozen=True, slots=True)
class Column:
    """A printed column: how to read its cell from an object. Priority above zero shows with `-o wide` only."""

    name: str
    cell: Callable[[Obj, float], Any]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Resource:
    """A kind in one version. `schema` is that of a custom resource."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str = ""
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    fields: tuple[str, ...] = ()
    generation: bool = False
    verbs: tuple[str, ...] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    schema: Mapping[str, Any] | None = None
    columns: tuple[Column, ...] = ()
    storage: str = ""
    scale: Mapping[str, Any] | None = None

    @cached_property
    def model(self) -> str:
        """The name of its type in `schema`; empty for a custom resource."""
        return "" if self.custom else model_of(self.group, self.version, self.kind)

    @cached_property
    def stored(self) -> str:
        """The `apiVersion` that its objects are kept in."""
        return self.storage or self.api_version

    @cached_property
    def api_version(self) -> str:
        """`apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """`deployments.apps`, `pods`."""
        return qualified(self.plural, self.group)

    @cached_property
    def shelf(self) -> str:
        """Where its objects are kept: one shelf for all versions of a resource."""
        return qualified(self.plural, self.stored.rpartition("/")[0])

    @property
    def custom(self) -> bool:
        """Whether a CustomResourceDefinition brought it."""
        return self.schema is not None


@dataclass(slots=True)
class Registry:
    """The resources served now, found by group, version and plural. `revision` changes whenever they do."""

    _by_path: dict[tuple[str, str, str], Resource] = field(default_factory=dict)
    revision: int = 0

    def add(self, resources: Iterable[Resource]) -> None:
        """Serve these; replaces those of the same path."""
        self._by_path.update({(r.group, r.version, r.plural): r for r in resources})
        self.revision += 1

    def drop(self, group: str, plural: str) -> None:
        """Stop serving a resource in all its versions."""
        for path in [path for path in self._by_path if path[0] == group and path[2] == plural]:
            del self._by_path[path]
        self.revision += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at a path, or None."""
        return self._by_path.get((group, version, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of an object's `apiVersion` and `kind`; another version of its group will do."""
        group = api_version.rpartition("/")[0]
        same = [r for r in self._by_path.values() if r.kind == kind and r.group == group]
        return next((r for r in same if r.api_version == api_version), same[0] if same else None)

    def all(self) -> list[Resource]:
        """Every resource, in order of registration."""
        return list(self._by_path.values())

    def shelves(self) -> list[Resource]:
        """One resource a shelf, in the version its objects are kept in: what there is to walk over."""
        kept = sorted(self._by_path.values(), key=lambda r: r.api_version == r.stored)
        return list({r.shelf: r for r in kept if "list" in r.verbs}.values())

    def groups(self) -> dict[str, list[str]]:
        """Group names with their versions, the preferred one first."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._by_path:
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return found
