"""Structural schemas of custom resources: what is pruned, what gets a default, what is rejected and how."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission import structural

PRESERVE, EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"


def causes(schema: Any, value: Any) -> dict[str, str]:
    """What the schema of the field `a` finds wrong with a value, by path."""
    found = structural.validate({"type": "object", "properties": {"a": schema}}, {"a": value}, None)
    return {cause.field: cause.message for cause in found}


def decoded(schema: Any, value: Any) -> tuple[Any, list[str]]:
    """The field `a` after decoding, and what was unknown."""
    found, unknown = structural.decode({"properties": {"a": schema}}, {"a": value}, None)
    return found.get("a"), unknown


@pytest.mark.parametrize(
    "schema, value, path, said",
    [
        ({"type": "string"}, 1, "a", 'must be of type string: "integer"'),
        ({"type": "object"}, None, "a", 'must be of type object: "null"'),
        ({"x-kubernetes-int-or-string": True}, [], "a", 'must be of type integer,string: "array"'),
        ({"enum": ["x", "y"]}, "z", "a", 'supported values: "x", "y"'),
        ({"type": "object", "required": ["b"]}, {}, "a.b", "Required value"),
        ({"type": "object", "minProperties": 1}, {}, "a", "at least 1 properties"),
        ({"type": "object", "maxProperties": 0}, {"b": 1}, "a", "at most 0 items"),
        ({"type": "array", "minItems": 1}, [], "a", "at least 1 items"),
        ({"type": "array", "maxItems": 1}, [1, 2], "a", "at most 1 items"),
        ({"type": "array", "items": {"type": "integer"}}, [1, "x"], "a[1]", "must be of type integer"),
        (
            {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]},
            [{"n": 1}, {"n": 1}],
            "a[1]",
            "Duplicate value",
        ),
        ({"type": "string", "format": "date-time"}, "yesterday", "a", "must be of type date-time"),
        ({"type": "string", "format": "date-time"}, "2026-02-30T00:00:00Z", "a", "must be of type date-time"),
        ({"type": "string", "pattern": "^x"}, "y", "a", "should match '^x'"),
        ({"type": "string", "minLength": 2}, "y", "a", "at least 2 chars"),
        ({"type": "string", "maxLength": 1}, "yy", "a", "more than 1 bytes"),
        ({"type": "integer", "minimum": 1}, 0, "a", "greater than or equal to 1"),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, 1, "a", "greater than 1"),
        ({"type": "integer", "maximum": 1}, 2, "a", "less than or equal to 1"),
        ({"type": "integer", "maximum": 1, "exclusiveMaximum": True}, 1, "a", "less than 1"),
        ({"type": "integer", "multipleOf": 2}, 3, "a", "a multiple of 2"),
    ],
)
def test_what_is_rejected(schema: Any, value: Any, path: str, said: str) -> None:
    """With its path, in the words of the API server."""
    assert said in causes(schema, value)[path]


@pytest.mark.parametrize(
    "schema, value",
    [
        ({"type": "string", "nullable": True}, None),
        ({"type": "integer"}, 2.0),
        ({"x-kubernetes-int-or-string": True}, "50%"),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00.5+01:00"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"b": "c"}),
    ],
)
def test_what_is_accepted(schema: Any, value: Any) -> None:
    """Nothing is wrong with any of these."""
    assert causes(schema, value) == {}


@pytest.mark.parametrize(
    "schema, value, kept, unknown",
    [
        ({"type": "object", "properties": {"b": {}}}, {"b": 1, "c": 2}, {"b": 1}, ["a.c"]),
        ({"type": "object", PRESERVE: True}, {"c": 2}, {"c": 2}, []),
        ({"type": "object", EMBEDDED: True, "properties": {"x": {}}}, {"kind": "K", "y": 1}, {"kind": "K"}, ["a.y"]),
        ({"type": "object", "properties": {"b": {"default": [1]}}}, {}, {"b": [1]}, []),
        ({"type": "object", "properties": {"b": {"default": 1}}}, {"b": None}, {"b": 1}, []),
        ({"items": {"properties": {"b": {}}}}, [{"b": 1}, {"c": 1}], [{"b": 1}, {}], ["a[1].c"]),
    ],
)
def test_what_is_left(schema: Any, value: Any, kept: Any, unknown: list[str]) -> None:
    """Unknown fields go and are named; defaults come."""
    assert decoded(schema, value) == (kept, unknown)
