"""The types of the built-in kinds: their fields, which of them must be there, and their documentation.

Read from the sources of kubernetes_asyncio's models, one type when it is first asked for. Reading the text costs a
millisecond a type; importing that package costs seconds, because it loads all its 1500 modules at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

TypeKind = Literal["str", "int", "float", "bool", "datetime", "object", "int-or-string", "list", "map", "model"]

_BLOCK = r"    {} = (\{{.*?\n    \}})"
_TYPES, _NAMES = (re.compile(_BLOCK.format(name), re.DOTALL) for name in ("openapi_types", "attribute_map"))
_REQUIRED = re.compile(r"client_side_validation and (\w+) is None")
_DOC = re.compile(r'def (\w+)\(self\):\n        """Gets the [^\n]*\n\n        (.*?)\n\n        :return', re.DOTALL)
_CLASS_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# The library calls these plain objects; the API gives them a type of their own.
_INT_OR_STRING = frozenset({"port", "targetPort", "maxSurge", "maxUnavailable", "minAvailable"})


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a field; `inner` of lists and maps, `model` names a type of its own."""

    kind: TypeKind
    inner: Type | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a type, under its JSON name."""

    name: str
    type: Type
    required: bool
    doc: str


@cache
def fields(model: str) -> Mapping[str, Field]:
    """The fields of a type such as `V1PodSpec`, by JSON name. Raises KeyError when there is no such type."""
    path = _folder() / f"{_module(model)}.py"
    if not path.is_file():
        raise KeyError(model)
    text = path.read_text()
    types, names = (_literal(pattern, text) for pattern in (_TYPES, _NAMES))
    required = set(_REQUIRED.findall(text))
    docs = {name: _clean(doc) for name, doc in _DOC.findall(text)}
    return {
        json_name: Field(json_name, _type(types[name], json_name), name in required, docs.get(name, ""))
        for name, json_name in names.items()
    }


@cache
def _folder() -> Path:
    spec = find_spec("kubernetes_asyncio")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "client" / "models"


def _module(model: str) -> str:
    """The library's file of a type: `V1JSONSchemaProps` is in `v1_json_schema_props.py`."""
    return "_".join(_CLASS_WORDS.split(model)).lower()


def _literal(pattern: re.Pattern[str], text: str) -> dict[str, str]:
    found = pattern.search(text)
    return dict(ast.literal_eval(found[1])) if found else {}


def _clean(doc: str) -> str:
    return re.sub(r"\s*# noqa: E501", "", doc).strip()


@cache
def _type(text: str, name: str) -> Type:
    if text.startswith("list["):
        return Type("list", _type(text[5:-1], ""))
    if text.startswith(("dict(str, ", "dict[str, ")):
        return Type("map", _type(text[10:-1], ""))
    if text in ("str", "int", "float", "bool", "datetime"):
        return Type(text)  # type: ignore[arg-type]
    if text == "object":
        return Type("int-or-string" if name in _INT_OR_STRING else "object")
    return Type("model", model=text)
