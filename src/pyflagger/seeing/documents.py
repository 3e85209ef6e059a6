"""Views as JSON documents: the fields of the dataclasses in camelCase, in their order.

Used by `-o json` and the dashboard's API. A field that cannot be known is null and never left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from pyflagger.api.durations import precise_stamp, stamp
from pyflagger.seeing.model import CanaryView, Explanation, FleetRow, RecordView, Time

VERSION = "view.flagger.app/v1"


def fleet(rows: Sequence[FleetRow]) -> dict[str, Any]:
    """The document of a list."""
    return document("Fleet", {"items": rows})


def canary(view: CanaryView) -> dict[str, Any]:
    """The document of one canary."""
    return document("CanaryView", _fields(view))


def explanation(found: Explanation) -> dict[str, Any]:
    """The document of an explanation."""
    return document("Explanation", _fields(found))


def record(found: RecordView) -> dict[str, Any]:
    """The document of a release."""
    return document("ReleaseRecord", _fields(found))


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by their names in JSON."""
    return {written: getattr(value, name) for name, written in names(value.__class__)}


def document(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """A document of a kind."""
    return {"apiVersion": VERSION, "kind": kind, **{key: plain(value) for key, value in content.items()}}


def plain(value: Any) -> Any:
    """A value as JSON."""
    if isinstance(value, Time):
        return stamp(value) if value.is_integer() else precise_stamp(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    fields_of = names(value.__class__)
    if fields_of:
        return {written: plain(getattr(value, name)) for name, written in fields_of}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


@cache
def names(kind: Any) -> tuple[tuple[str, str], ...]:
    """The fields of a dataclass or NamedTuple and their names in JSON; none for other types."""
    found = tuple(field.name for field in fields(kind)) if is_dataclass(kind) else getattr(kind, "_fields", ())
    return tuple((name, _camel(name)) for name in found)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
