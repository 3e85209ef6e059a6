"""The description of the documents (OpenAPI 3.1), made of the types of the read model. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from pyflagger import __version__
from pyflagger.api.actions import ActionSpec
from pyflagger.dashboard.who import Who
from pyflagger.seeing.documents import VERSION, names
from pyflagger.seeing.model import (
    ActionView,
    CanaryView,
    EventView,
    Explanation,
    FleetRow,
    RecordView,
    ReleaseView,
    Time,
)

Schema = dict[str, Any]

ONE = "/api/v1/namespaces/{ns}/canaries/{name}"
SIMPLE: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Time: {"type": "string", "format": "date-time"},
    Any: {},
}
ERRORS = {400: "wrong query or body", 401: "no identity", 403: "refused by the API server, or by an origin",
          404: "not there, or not visible", 503: "the API server is away"}  # fmt: skip


class Get(NamedTuple):
    """A document. `fields`: a type that has its fields, or types by the names of the fields. `query`: of its URL."""

    path: str
    about: str
    kind: str
    fields: Any
    query: Sequence[str] = ()


GETS = (
    Get("/api/v1/whoami", "The user", "Who", {**get_type_hints(Who), "mode": str, "context": str, "token": str | None}),
    Get(
        "/api/v1/canaries",
        "The fleet",
        "Fleet",
        {"items": tuple[FleetRow, ...], "continue": str},
        ("ns", "q", "selector", "verdict", "sort", "limit", "continue"),
    ),
    Get(ONE, "One canary", "CanaryView", CanaryView),
    Get(ONE + "/explain", "Why it stands", "Explanation", Explanation),
    Get(ONE + "/events", "Its Events", "EventList", {"items": tuple[EventView, ...]}),
    Get(ONE + "/actions", "The requests to steer it", "ActionList", {"items": tuple[ActionView, ...]}),
    Get(ONE + "/releases", "Its releases, the newest first", "ReleaseList", {"items": tuple[ReleaseView, ...]}),
    Get(ONE + "/releases/{number}", "The record of a release", "ReleaseRecord", RecordView),
)
STREAMS = ("/api/v1/stream/fleet", "/api/v1/stream/canaries/{ns}/{name}")


@cache
def description() -> Schema:
    """The whole description."""
    parts: dict[str, Schema] = {"Problem": _problem(), "ActionSpec": _asked()}
    paths = {each.path: {"get": _got(each, parts)} for each in GETS}
    paths[ONE + "/actions"]["post"] = _posted()
    paths |= {path: {"get": _streamed(path)} for path in STREAMS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "flagger dashboard", "version": __version__},
        "paths": paths,
        "components": {"schemas": parts, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _got(each: Get, parts: dict[str, Schema]) -> Schema:
    hints = each.fields if isinstance(each.fields, dict) else None
    content = _object(hints, parts) if hints else _fields(each.fields, parts)
    head = {"apiVersion": {"const": VERSION}, "kind": {"const": each.kind}}
    content = {**content, "properties": {**head, **content["properties"]}, "required": [*head, *content["required"]]}
    query = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in each.query]
    return _operation(each.path, each.about, {"200": _json(content)}, query)


def _posted() -> Schema:
    query = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "wait")]
    answers = {"201": _json({"type": "object"}), "409": _refused("the operator refused"), "429": _refused("too many")}
    found = _operation(ONE + "/actions", "Ask for an action", answers, query)
    return found | {"requestBody": {"required": True, "content": _content(_part("ActionSpec"))}}


def _streamed(path: str) -> Schema:
    answer = {"description": "regions of a page", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return _operation(path, "Changes as server-sent events", {"200": answer}, [])


def _operation(path: str, about: str, answers: Mapping[str, Schema], query: Sequence[Schema]) -> Schema:
    inside = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    given = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in inside]
    errors = {str(status): _refused(text) for status, text in ERRORS.items()}
    return {"summary": about, "parameters": [*given, *query], "responses": {**answers, **errors}}


def _json(schema: Schema) -> Schema:
    return {"description": "the document", "content": _content(schema)}


def _refused(text: str) -> Schema:
    return {"description": text, "content": {"application/problem+json": {"schema": _part("Problem")}}}


def _content(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _part(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _problem() -> Schema:
    texts = ("type", "title", "detail", "fault", "todo")
    properties = dict.fromkeys(texts, SIMPLE[str]) | {"status": SIMPLE[int]}
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _asked() -> Schema:
    """The body of a request: what the dashboard fills in is left out."""
    whole = ActionSpec.model_json_schema(by_alias=True)
    hidden = ("canary", "by")
    whole["properties"] = {name: each for name, each in whole["properties"].items() if name not in hidden}
    whole["required"] = [name for name in whole.get("required", ()) if name not in hidden]
    return whole


# Types ----------------------------------------------------------------------------------------------------------------


def _schema(kind: Any, parts: dict[str, Schema]) -> Schema:
    """The schema of a type. Types with fields become parts."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        found = [_schema(each, parts) for each in inner if each is not NoneType]
        return {"anyOf": [*found, {"type": "null"}]} if NoneType in inner else {"anyOf": found}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(inner[1], parts)}
    if origin is not None:
        return {"type": "array", "items": _schema(inner[0], parts)}
    if issubclass(kind, Enum):
        return {"type": "string", "enum": [each.value for each in kind]}
    if kind.__name__ not in parts:
        parts[kind.__name__] = {}  # Reserved, for types that hold themselves.
        parts[kind.__name__] = _fields(kind, parts)
    return _part(kind.__name__)


def _fields(kind: Any, parts: dict[str, Schema]) -> Schema:
    hints = get_type_hints(kind)
    return _object({written: hints[name] for name, written in names(kind)}, parts)


def _object(hints: Mapping[str, Any], parts: dict[str, Schema]) -> Schema:
    properties = {name: _schema(kind, parts) for name, kind in hints.items()}
    return {"type": "object", "properties": properties, "required": [*properties]}
