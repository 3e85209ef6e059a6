"""Objects as printed rows: the `Table` format that `kubectl get` requests.

A `Shape` like those in `shapes`. The columns come from `columns` or from a custom resource's definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyflagger.admission.resource import Column, Resource
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.columns import COLUMNS, PLAIN
from pyflagger_sandbox.apiserver.convert import convert
from pyflagger_sandbox.apiserver.messages import dump
from pyflagger_sandbox.apiserver.shapes import event_line
from pyflagger_sandbox.apiserver.store import Entry

_META = "meta.k8s.io/v1"


class Table:
    """Rows. `include` selects what each row contains: `None`, `Metadata` or the whole `Object`."""

    def __init__(self, resource: Resource, include: str, now: Callable[[], float]) -> None:
        self._resource, self._include, self._now = resource, include or "Metadata", now
        self._columns = resource.columns or COLUMNS.get((resource.stored.rpartition("/")[0], resource.kind), PLAIN)

    def one(self, entry: Entry) -> bytes:
        """A table of one row."""
        return self.list([entry], {"resourceVersion": entry.obj["metadata"].get("resourceVersion", "")})

    def list(self, entries: Iterable[Entry], meta: Obj) -> bytes:
        """A table."""
        rows = [self._row(entry) for entry in entries]
        definitions = [_definition(column) for column in self._columns]
        head = {"kind": "Table", "apiVersion": _META, "metadata": meta}
        return dump(head | {"columnDefinitions": definitions, "rows": rows})

    def event(self, type: str, entry: Entry) -> bytes:
        """An event with a table of one row."""
        if type == "BOOKMARK":
            return event_line(type, dump(self._bookmark(entry)))
        return event_line(type, self.one(entry))

    def _bookmark(self, entry: Entry) -> Obj:
        """A row without cells, for its metadata."""
        row = {"cells": [None] * len(self._columns), "object": _metadata(entry.obj)}
        meta = {"resourceVersion": entry.obj["metadata"]["resourceVersion"]}
        return {"kind": "Table", "apiVersion": _META, "metadata": meta, "columnDefinitions": None, "rows": [row]}

    def _row(self, entry: Entry) -> Obj:
        now = self._now()
        row: Obj = {"cells": [column.cell(entry.obj, now) for column in self._columns]}
        if self._include == "Metadata":
            row["object"] = _metadata(entry.obj)
        elif self._include == "Object":
            row["object"] = convert(entry.obj, self._resource.api_version)
        return row


def _metadata(obj: Obj) -> Obj:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}


def _definition(column: Column) -> Obj:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }
