"""The kinds that the server serves, and their properties.

Pure data and look-ups. `builtin` has the table of built-in kinds. The server adds and removes the kinds of `crd`.
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
    """A printed column. `-o wide` alone shows columns with a priority above zero."""

    name: str
    cell: Callable[[Obj, float], Any]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Resource:
    """A kind in one version. `schema` is the schema of a custom resource."""

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
        """The name of the kind's type in `schema`; empty for a custom resource."""
        return "" if self.custom else model_of(self.group, self.version, self.kind)

    @cached_property
    def stored(self) -> str:
        """The `apiVersion` of stored objects."""
        return self.storage or self.api_version

    @cached_property
    def api_version(self) -> str:
        """Such as `apps/v1` or `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """Such as `deployments.apps` or `pods`."""
        return qualified(self.plural, self.group)

    @cached_property
    def shelf(self) -> str:
        """The name of the resource's shelf in the store; all versions share it."""
        return qualified(self.plural, self.stored.rpartition("/")[0])

    @property
    def custom(self) -> bool:
        """Whether a CustomResourceDefinition defines it."""
        return self.schema is not None


@dataclass(slots=True)
class Registry:
    """The served resources, by group, version and plural. `revision` changes whenever they change."""

    _by_path: dict[tuple[str, str, str], Resource] = field(default_factory=dict)
    revision: int = 0

    def add(self, resources: Iterable[Resource]) -> None:
        """Serve these resources. Replaces resources at the same path."""
        self._by_path.update({(r.group, r.version, r.plural): r for r in resources})
        self.revision += 1

    def drop(self, group: str, plural: str) -> None:
        """Stop serving all versions of a resource."""
        for path in [path for path in self._by_path if path[0] == group and path[2] == plural]:
            del self._by_path[path]
        self.revision += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at a path, or None."""
        return self._by_path.get((group, version, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of an object's `apiVersion` and `kind`, or of another version of its group."""
        group = api_version.rpartition("/")[0]
        same = [r for r in self._by_path.values() if r.kind == kind and r.group == group]
        return next((r for r in same if r.api_version == api_version), same[0] if same else None)

    def all(self) -> list[Resource]:
        """Every resource, in order of registration."""
        return list(self._by_path.values())

    def shelves(self) -> list[Resource]:
        """One resource for each shelf, in the stored version."""
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
