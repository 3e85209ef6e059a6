"""OpenAPI documents: a version 3 document for each group and version, built on first request.

Built-in kinds come from `schema`, with the merge keys that clients need for strategic merge patches, and from
`descriptions.json`, which `make schemas` writes. Custom resources define their own schemas. kubectl reads the documents
for `explain` and `apply`, and to see that the server supports `fieldValidation`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pyflagger.admission import schema
from pyflagger.admission.errors import no_route
from pyflagger.admission.resource import Registry, Resource
from pyflagger.admission.schema import Field, Type
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.discovery import server_version
from pyflagger_sandbox.apiserver.messages import dump

_SCALARS: dict[str, Obj] = {
    "string": {"type": "string"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "double": {"type": "number", "format": "double"},
    "boolean": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "object": {"type": "object"},
    "int-or-string": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
}
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""Version 2 as protobuf. Clients write `@` before the last version, which is not a valid media type."""

_QUERY = ("dryRun", "fieldManager", "fieldValidation", "pretty")


class OpenApi:
    """The documents for the registry, cached until it changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, bytes] = {}
        self._revision = -1

    def index(self) -> Obj:
        """`/openapi/v3`: the URL of each document. Its hash changes with the document."""
        paths = {}
        for group, versions in self._registry.groups().items():
            for version in versions:
                root = _root(group, version)
                url = f"/openapi/v3/{root}?hash={self._hash(group, version)}"
                paths[root] = {"serverRelativeURL": url}
        return {"paths": paths}

    def document(self, path: str) -> bytes:
        """The document of `api/v1` or `apis/<group>/<version>`. Raises ApiError (404)."""
        self._refresh()
        if path not in self._made:
            served = [r for r in self._registry.all() if _root(r.group, r.version) == path]
            if not served:
                raise no_route()
            self._made[path] = dump(_document(served))
        return self._made[path]

    def legacy(self) -> Obj:
        """`/openapi/v2`: enough for clients that only check that it exists."""
        info = {"title": "Kubernetes", "version": server_version()["gitVersion"]}
        return {"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}

    def legacy_protobuf(self) -> bytes:
        """The same as a message `openapi.v2.Document` of gnostic: `swagger`, and `info` with title and version."""
        said = self.legacy()
        info = _field(1, said["info"]["title"].encode()) + _field(2, said["info"]["version"].encode())
        return _field(1, said["swagger"].encode()) + _field(2, info) + _field(8, b"") + _field(9, b"")

    def _refresh(self) -> None:
        if self._revision != self._registry.revision:
            self._revision = self._registry.revision
            self._made.clear()

    def _hash(self, group: str, version: str) -> str:
        served = [r for r in self._registry.all() if (r.group, r.version) == (group, version)]
        said = repr([(r.plural, r.kind, r.schema) for r in served])
        return hashlib.sha256(said.encode()).hexdigest()[:32].upper()


def _field(number: int, value: bytes) -> bytes:
    """A field of a protobuf message that is shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(value)]) + value


def _root(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _document(served: list[Resource]) -> Obj:
    schemas: Obj = {}
    paths: Obj = {}
    for resource in served:
        schemas[_schema_name(resource)] = _custom(resource) if resource.custom else _model(resource.model, resource)
        paths |= dict(_paths(resource))
    models = {schema.OBJECT_META, *(resource.model for resource in served if not resource.custom)}
    for model in _closure(models):
        schemas.setdefault(model, _model(model))
    info = {"title": "Kubernetes", "version": server_version()["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _schema_name(resource: Resource) -> str:
    return resource.model or ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


@cache
def _descriptions() -> Mapping[str, Mapping[str, str]]:
    """Type → field → description. The empty field name has the description of the type."""
    read: Mapping[str, Mapping[str, str]] = json.loads((files(__package__) / "descriptions.json").read_text())
    return read


def _identity(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "kind": resource.kind, "version": resource.version}


def _closure(models: Iterable[str]) -> set[str]:
    """These types, and all types that they refer to."""
    found: set[str] = set()
    waiting = list(models)
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.add(model)
            waiting += [name for name in _referred(model) if name not in found]
    return found


def _referred(model: str) -> Iterator[str]:
    for field in schema.fields(model).values():
        type: Type | None = field.type
        while type is not None and type.inner is not None:
            type = type.inner
        if type is not None and type.model:
            yield type.model


def _model(model: str, resource: Resource | None = None) -> Obj:
    known, about = schema.fields(model), _descriptions()[model]
    said: Obj = {"type": "object", "description": about.get("", "")}
    said["properties"] = {name: _property(field, about.get(name, "")) for name, field in known.items()}
    required = [field.name for field in known.values() if field.required]
    if required:
        said["required"] = required
    if resource is not None:
        said["x-kubernetes-group-version-kind"] = [_identity(resource)]
    return said


def _property(field: Field, about: str) -> Obj:
    said = dict(_typed(field.type))
    if "$ref" in said:
        said = {"allOf": [said], "default": {}}
    if about:
        said["description"] = about
    return said | {f"x-kubernetes-{name}": value for name, value in field.marks.items()}


def _typed(type: Type) -> Obj:
    if type.kind == "model":
        return {"$ref": f"#/components/schemas/{type.model}"}
    if type.inner is None:
        return _SCALARS[type.kind]
    inner = _typed(type.inner)
    inner = {"allOf": [inner], "default": {}} if "$ref" in inner else inner
    if type.kind == "list":
        return {"type": "array", "items": inner}
    return {"type": "object", "additionalProperties": inner}


def _custom(resource: Resource) -> Obj:
    said: Obj = dict(resource.schema or {})
    own, about = said.get("properties") or {}, _descriptions()[schema.model_of("", "v1", "Pod")]
    common = {
        "apiVersion": {"type": "string", "description": about["apiVersion"]},
        "kind": {"type": "string", "description": about["kind"]},
        "metadata": {
            "allOf": [{"$ref": f"#/components/schemas/{schema.OBJECT_META}"}],
            "description": "Standard object's metadata.",
        },
    }
    return said | {"properties": {**own, **common}, "x-kubernetes-group-version-kind": [_identity(resource)]}


def _paths(resource: Resource) -> Iterator[tuple[str, Obj]]:
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    root = f"/{_root(resource.group, resource.version)}"
    collection = f"{root}{scope}/{resource.plural}"
    yield collection, {"get": _operation(resource, "list"), "post": _operation(resource, "post")}
    if resource.namespaced:
        yield f"{root}/{resource.plural}", {"get": _operation(resource, "list")}
    if "get" in resource.verbs:
        yield f"{collection}/{{name}}", {verb: _operation(resource, verb) for verb in ("get", "put", "patch", "delete")}


def _operation(resource: Resource, verb: str) -> Obj:
    said: dict[str, Any] = {"x-kubernetes-action": verb, "x-kubernetes-group-version-kind": _identity(resource)}
    said["responses"] = {"200": {"description": "OK"}}
    if verb in ("post", "put", "patch"):
        said["parameters"] = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in _QUERY]
    if verb == "patch":
        forms = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
        forms += [] if resource.custom else ["application/strategic-merge-patch+json"]
        said["requestBody"] = {"content": {form: {"schema": {"type": "object"}} for form in forms}}
    return said
