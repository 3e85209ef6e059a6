"""The formats of responses: whole objects, metadata only, or printed rows (in `table`).

The `Accept` header selects one. Called by gets, lists and watches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from pyflagger.admission.resource import Resource
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.convert import convert
from pyflagger_sandbox.apiserver.messages import dump
from pyflagger_sandbox.apiserver.store import Entry

_META = "meta.k8s.io/v1"


class Shape(Protocol):
    """How to write one object, a list and a watch event."""

    def one(self, entry: Entry) -> bytes:
        """A single object."""

    def list(self, entries: Iterable[Entry], meta: Obj) -> bytes:
        """A list with its metadata."""

    def event(self, type: str, entry: Entry) -> bytes:
        """A watch event, one line."""


def wanted(accept: str) -> Mapping[str, str]:
    """The parameters (`as`, `v`, `g`) of the first format in an Accept header that this server supports."""
    for choice in accept.split(","):
        media, *parameters = (part.strip() for part in choice.split(";"))
        if media in ("application/json", "*/*", "application/*"):
            return dict(part.split("=", 1) for part in parameters if "=" in part)
    return {}


def event_line(type: str, body: bytes) -> bytes:
    """A line of a watch."""
    return b'{"type":"' + type.encode() + b'","object":' + body + b"}\n"


class Plain:
    """Whole objects in the requested version."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def one(self, entry: Entry) -> bytes:
        """The object. Reuses the stored JSON when its version is the requested one."""
        if entry.obj["apiVersion"] == self._resource.api_version:
            return entry.raw
        return dump(convert(entry.obj, self._resource.api_version))

    def list(self, entries: Iterable[Entry], meta: Obj) -> bytes:
        """A `…List`."""
        head = {"kind": f"{self._resource.kind}List", "apiVersion": self._resource.api_version, "metadata": meta}
        return dump(head)[:-1] + b',"items":[' + b",".join(self.one(entry) for entry in entries) + b"]}"

    def event(self, type: str, entry: Entry) -> bytes:
        """An event with the whole object."""
        return event_line(type, self.one(entry))


class MetadataOnly:
    """`PartialObjectMetadata`, for clients that watch only the metadata of many objects."""

    def one(self, entry: Entry) -> bytes:
        """The object's metadata."""
        return dump({"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": entry.obj["metadata"]})

    def list(self, entries: Iterable[Entry], meta: Obj) -> bytes:
        """A `PartialObjectMetadataList`."""
        head = {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": meta}
        return dump(head)[:-1] + b',"items":[' + b",".join(self.one(entry) for entry in entries) + b"]}"

    def event(self, type: str, entry: Entry) -> bytes:
        """An event with the object's metadata."""
        return event_line(type, self.one(entry))
