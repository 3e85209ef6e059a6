"""Hypothesis strategies for what an API server admits by the schema of a definition."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pyflagger.objects import Obj

NUMBERS = st.one_of(
    st.integers(-5, 120),
    st.floats(-5, 120),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=True),
)
TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(
        [
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:20.123456Z",
            "2023-11-14T23:13:20+01:00",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59-14:00",
            "2023-12-31T23:59:60Z",
            "2023-11-14t22:13:20z",
        ]
    ),
)


def admitted(schema: Obj, *, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Every value that a structural schema admits; `text` stands for its texts without an enumeration."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "string":
            return TIMES if schema.get("format") == "date-time" else text
        case "number":
            return NUMBERS
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(admitted(schema["items"], text=text), max_size=4)
        case "object" if "properties" in schema:
            fields = {name: admitted(each, text=text) for name, each in schema["properties"].items()}
            required = {name: fields.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(required, optional=fields)
        case "object":
            return st.dictionaries(text, admitted(schema["additionalProperties"], text=text), max_size=2)
    raise AssertionError(f"no such type in our schemas: {schema}")


def loosened(schema: Obj) -> Obj:
    """The schema without enumerations and formats, as definitions of years ago have it."""
    if not isinstance(schema, dict):
        return schema
    return {key: loosened(value) for key, value in schema.items() if key not in ("enum", "format")}
