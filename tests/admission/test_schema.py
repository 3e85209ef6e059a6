"""The types of the built-in kinds: the file is whole, says how lists are patched, and is made from JSON schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from admission import make_schemas
from pyflagger.admission import schema
from pyflagger.admission.builtin import builtin
from pyflagger.admission.resource import Resource
from pyflagger.admission.schema import Type

TYPES = json.loads(make_schemas.TYPES.read_text())
DESCRIPTIONS = json.loads(make_schemas.DESCRIPTIONS.read_text())
CORE = "io.k8s.api.core.v1"


def innermost(type: Type) -> Type:
    """The type of what is in lists and maps."""
    return innermost(type.inner) if type.inner is not None else type


@pytest.mark.parametrize("resource", builtin(), ids=lambda resource: f"{resource.api_version} {resource.kind}")
def test_every_builtin_kind_has_a_type(resource: Resource) -> None:
    """It has the fields that all objects have; those that only answer a question have no metadata of their own."""
    assert {"apiVersion", "kind"} <= schema.fields(resource.model).keys()


def test_the_types_are_closed() -> None:
    """Each type that a field names is there, and each is needed by a kind, an object's metadata or a scale."""
    waiting = [*(resource.model for resource in builtin()), schema.OBJECT_META, schema.SCALE]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name and name not in seen:
            seen.add(name)
            waiting += [innermost(field.type).model for field in schema.fields(name).values()]
    assert seen == TYPES.keys() - {""} == DESCRIPTIONS.keys()


def test_every_described_field_is_there() -> None:
    """Nearly every field has a description, and no description is of anything else."""
    fields = sum(len(schema.fields(name)) for name in DESCRIPTIONS)
    described = sum(len(said.keys() - {""}) for said in DESCRIPTIONS.values())
    assert all(said.keys() - {""} <= schema.fields(name).keys() for name, said in DESCRIPTIONS.items())
    assert described >= 0.97 * fields


@pytest.mark.parametrize(
    "model, name, said",
    [
        (f"{CORE}.PodSpec", "containers", ("name", ("name",), False, False)),
        (f"{CORE}.PodSpec", "tolerations", ("", (), False, False)),
        (f"{CORE}.PodSpec", "nodeSelector", ("", (), False, True)),
        (f"{CORE}.PodSpec", "topologySpreadConstraints", ("topologyKey", ("topologyKey", "whenUnsatisfiable"), 0, 0)),
        (f"{CORE}.Container", "ports", ("containerPort", ("containerPort", "protocol"), False, False)),
        (f"{CORE}.Container", "env", ("name", ("name",), False, False)),
        (f"{CORE}.Container", "args", ("", (), False, False)),
        (f"{CORE}.ServiceSpec", "ports", ("port", ("port", "protocol"), False, False)),
        (f"{CORE}.ServiceAccount", "secrets", ("name", ("name",), False, False)),
        (f"{CORE}.ServiceAccount", "imagePullSecrets", ("", (), False, False)),
        (schema.OBJECT_META, "finalizers", ("", (), True, False)),
        (schema.OBJECT_META, "ownerReferences", ("uid", ("uid",), False, False)),
        ("io.k8s.api.apps.v1.DeploymentSpec", "selector", ("", (), False, True)),
        ("io.k8s.api.apps.v1.DeploymentSpec", "strategy", ("", (), False, False)),
    ],
)
def test_how_a_field_is_patched(model: str, name: str, said: tuple[Any, ...]) -> None:
    """Its merge key, the keys of server-side apply, whether it is a set, and whether it is managed as a whole."""
    field = schema.fields(model)[name]
    assert (field.merge_key, field.keys, field.is_set, field.atomic) == said


@pytest.mark.parametrize(
    "model, name, type, required",
    [
        (f"{CORE}.ServicePort", "port", Type("int32"), True),
        (f"{CORE}.ServicePort", "targetPort", Type("int-or-string"), False),
        (f"{CORE}.ResourceRequirements", "limits", Type("map", Type("quantity")), False),
        (f"{CORE}.PodSpec", "containers", Type("list", Type("model", model=f"{CORE}.Container")), True),
        (f"{CORE}.Secret", "data", Type("map", Type("string")), False),
        (f"{CORE}.Event", "eventTime", Type("time"), False),
        (schema.OBJECT_META, "generation", Type("int64"), False),
        ("io.k8s.api.apps.v1.ControllerRevision", "data", Type("object"), False),
    ],
)
def test_the_type_of_a_field(model: str, name: str, type: Type, required: bool) -> None:
    """Times, quantities and ports that may have names are types of their own."""
    field = schema.fields(model)[name]
    assert (field.type, field.required) == (type, required)


def test_a_type_that_is_not_there() -> None:
    """Is a KeyError."""
    with pytest.raises(KeyError):
        schema.fields(f"{CORE}.Nothing")


# How the file is made -----------------------------------------------------------------------------------------------

KNOWN: dict[str, Any] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "null"]},
    "a.v1.Raw": {"type": ["object", "null"]},
    "a.v1.Word": {"type": "string"},
    "a.v1.Part": {"type": "object", "properties": {"n": {"type": ["integer", "null"], "format": "int32"}}},
    "a.v1.Whole": {
        "description": "A whole.",
        "x-kubernetes-map-type": "atomic",
        "required": ["parts"],
        "properties": {
            "parts": {
                "type": "array",
                "items": {"$ref": "#/$defs/a.v1.Part"},
                "description": "Its parts.",
                "x-kubernetes-patch-merge-key": "n",
                "x-kubernetes-patch-strategy": "merge",
            },
            "size": {"$ref": "#/$defs/io.k8s.apimachinery.pkg.api.resource.Quantity"},
            "raw": {"$ref": "#/$defs/a.v1.Raw"},
            "words": {"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/a.v1.Word"}},
            "share": {"type": ["number", "null"], "format": "double"},
            "count": {"type": "integer"},
            "on": {"type": ["boolean", "null"]},
            "anything": {},
        },
    },
}


def test_the_line_of_a_type() -> None:
    """Fields as text, what is required, and the extensions of fields and of the type."""
    assert make_schemas.entry(KNOWN["a.v1.Whole"], KNOWN) == {
        "fields": {
            "parts": "[]a.v1.Part",
            "size": "quantity",
            "raw": "object",
            "words": "{}string",
            "share": "double",
            "count": "int64",
            "on": "boolean",
            "anything": "object",
        },
        "required": ["parts"],
        "marks": {"": {"map-type": "atomic"}, "parts": {"patch-strategy": "merge", "patch-merge-key": "n"}},
    }
    assert make_schemas.described(KNOWN["a.v1.Whole"]) == {"": "A whole.", "parts": "Its parts."}


def test_only_what_is_needed_is_written() -> None:
    """The roots and what their fields lead to, once, even where types lead to themselves."""
    known = {**KNOWN, "a.v1.Part": {"properties": {"whole": {"$ref": "#/$defs/a.v1.Whole"}}}}
    assert sorted(make_schemas.needed(["a.v1.Whole"], known)) == ["a.v1.Part", "a.v1.Whole"]
    assert list(make_schemas.needed(["a.v1.Part"], KNOWN)) == ["a.v1.Part"]


def test_the_files_have_a_line_a_type() -> None:
    """So that a new release of Kubernetes can be read as a diff."""
    assert make_schemas.lines({"b": {"x": 1}, "a": []}) == '{\n"a": [],\n"b": {"x":1}\n}\n'
    for path, table in ((make_schemas.TYPES, TYPES), (make_schemas.DESCRIPTIONS, DESCRIPTIONS)):
        assert path.read_text() == make_schemas.lines(table)
