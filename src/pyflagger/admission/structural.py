"""Structural schemas of custom resources: pruning, defaulting and validation of objects.

Pure; called by `rules`. Skips values that are identical (`is`) to those of the old object, because they have passed
before. Does not evaluate expressions (`x-kubernetes-validations`).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from pyflagger.admission.errors import Cause, required, shown, unsupported
from pyflagger.objects import Obj

Schema = Mapping[str, Any]

_ROOT = frozenset({"apiVersion", "kind", "metadata"})
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_EMBEDDED = "x-kubernetes-embedded-resource"


def decode(schema: Schema, obj: Obj, old: Obj | None) -> tuple[Obj, list[str]]:
    """The object without unknown fields and with its defaults, and the paths of the removed fields."""
    unknown: list[str] = []
    root = {key: obj[key] for key in obj if key in _ROOT}
    rest = {key: value for key, value in obj.items() if key not in _ROOT}
    return root | _decode(schema, rest, old or {}, "", unknown), unknown


def _decode(schema: Schema, value: Any, old: Any, path: str, unknown: list[str]) -> Any:
    if value is old:
        return value
    if isinstance(value, dict):
        return _decode_object(schema, value, old if isinstance(old, dict) else {}, path, unknown)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        was = old if isinstance(old, list) else []
        return [
            _decode(schema["items"], item, was[at] if at < len(was) else None, f"{path}[{at}]", unknown)
            for at, item in enumerate(value)
        ]
    return value


def _decode_object(schema: Schema, value: Obj, old: Obj, path: str, unknown: list[str]) -> Obj:
    properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
    decoded: Obj = {}
    for key, item in value.items():
        at, field = f"{path}.{key}" if path else key, properties.get(key)
        if field is None and isinstance(others, dict):
            field = others
        if field is not None:
            if item is None and not field.get("nullable") and "default" in field:
                continue
            decoded[key] = _decode(field, item, old.get(key), at, unknown)
        elif schema.get(_PRESERVE) or others is True or (schema.get(_EMBEDDED) and key in _ROOT):
            decoded[key] = item
        else:
            unknown.append(at)
    for key, field in properties.items():
        if key not in decoded and "default" in field:
            decoded[key] = _decode(field, copy.deepcopy(field["default"]), None, f"{path}.{key}", [])
    return decoded


def validate(schema: Schema, obj: Obj, old: Obj | None) -> Iterator[Cause]:
    """All violations of the schema. Skips `apiVersion`, `kind` and `metadata`, even when the schema requires them."""
    rest = {key: value for key, value in obj.items() if key not in _ROOT}
    required = [key for key in schema.get("required") or () if key not in _ROOT]
    return _validate({**schema, "required": required}, rest, old, "")


def _validate(schema: Schema, value: Any, old: Any, path: str) -> Iterator[Cause]:
    if value is old and old is not None:
        return
    if value is None and schema.get("nullable"):
        return
    wrong_type = _type_problem(schema, value, path)
    if wrong_type is not None:
        yield wrong_type
        return
    if "enum" in schema and value not in schema["enum"]:
        yield unsupported(path, value, [str(choice) for choice in schema["enum"]])
    yield from _combined(schema, value, path)
    if isinstance(value, dict):
        yield from _object(schema, value, old if isinstance(old, dict) else {}, path)
    elif isinstance(value, list):
        yield from _list(schema, value, old if isinstance(old, list) else [], path)
    elif isinstance(value, str):
        yield from _string(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(schema, value, path)


_FITS: Mapping[str, Any] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == int(value),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    order = ("boolean", "integer", "number", "string", "array", "object")
    return next(name for name in order if _FITS[name](value))


def _type_problem(schema: Schema, value: Any, path: str) -> Cause | None:
    if schema.get(_INT_OR_STRING):
        fits, wanted = _FITS["integer"](value) or isinstance(value, str), "integer,string"
    elif "type" in schema:
        wanted = schema["type"]
        fits = _FITS[wanted](value)
    else:
        return None
    if fits:
        return None
    found = _type_name(value)
    text = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Cause(path, "FieldValueTypeInvalid", text)


def _object(schema: Schema, value: Obj, old: Obj, path: str) -> Iterator[Cause]:
    properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
    for key in schema.get("required") or ():
        if key not in value:
            yield required(f"{path}.{key}" if path else key)
    for key, item in value.items():
        field = properties.get(key, others)
        if isinstance(field, dict):
            at = f"{path}.{key}" if path else key
            yield from _validate(field, item, old.get(key), at)
    count = len(value)
    if count < schema.get("minProperties", 0):
        yield _invalid(path, count, f"should have at least {schema['minProperties']} properties")
    if "maxProperties" in schema and count > schema["maxProperties"]:
        text = f"Too many: {count}: must have at most {schema['maxProperties']} items"
        yield Cause(path, "FieldValueTooMany", text)


def _list(schema: Schema, value: list[Any], old: list[Any], path: str) -> Iterator[Cause]:
    if len(value) < schema.get("minItems", 0):
        yield _invalid(path, len(value), f"should have at least {schema['minItems']} items")
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        yield Cause(path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema['maxItems']} items")
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            yield from _validate(items, item, old[index] if index < len(old) else None, f"{path}[{index}]")
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys and schema.get("x-kubernetes-list-type") == "map":
        yield from _unique(value, keys, path)


def _unique(value: list[Any], keys: list[str], path: str) -> Iterator[Cause]:
    seen: list[list[Any]] = []
    for index, item in enumerate(value):
        identity = [item.get(key) for key in keys]
        if identity in seen:
            said = {key: item.get(key) for key in keys}
            yield Cause(f"{path}[{index}]", "FieldValueDuplicate", f"Duplicate value: {said}")
        seen.append(identity)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))")


def _is_date_time(value: str) -> bool:
    """Whether the API server accepts a string as a `date-time`. It checks neither the offset nor the letter case."""
    day, _, clock = value.lower().partition("t")
    found = _CLOCK.fullmatch(clock)
    if found is None or not (found[1] <= "23" and found[2] <= "59" and found[3] <= "59"):
        return False
    try:
        return len(day) == len("2006-01-02") and bool(date.fromisoformat(day))
    except ValueError:
        return False


def _string(schema: Schema, value: str, path: str) -> Iterator[Cause]:
    if schema.get("format") == "date-time" and not _is_date_time(value):
        yield _invalid(path, value, f'must be of type date-time: "{value}"')
    if "pattern" in schema and not _compiled(schema["pattern"]).search(value):
        yield _invalid(path, value, f"should match '{schema['pattern']}'")
    if len(value) < schema.get("minLength", 0):
        yield _invalid(path, value, f"should be at least {schema['minLength']} chars long")
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        text = f"Too long: may not be more than {schema['maxLength']} bytes"
        yield Cause(path, "FieldValueTooLong", text)


def _number(schema: Schema, value: float, path: str) -> Iterator[Cause]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value <= low if schema.get("exclusiveMinimum") else value < low):
        word = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield _invalid(path, value, f"should be {word} {low}")
    if high is not None and (value >= high if schema.get("exclusiveMaximum") else value > high):
        word = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield _invalid(path, value, f"should be {word} {high}")
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield _invalid(path, value, f"should be a multiple of {schema['multipleOf']}")


def _combined(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    """`allOf`, `anyOf`, `oneOf` and `not`."""
    for part in schema.get("allOf") or ():
        yield from _validate(part, value, None, path)
    if "anyOf" in schema and not any(_passes(part, value) for part in schema["anyOf"]):
        yield _clash(path, f'"{path}" must validate at least one schema (anyOf)')
    if "oneOf" in schema:
        valid = sum(_passes(part, value) for part in schema["oneOf"])
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            yield _clash(path, f'"{path}" must validate one and only one schema (oneOf). {found}')
    if "not" in schema and _passes(schema["not"], value):
        yield _clash(path, f'"{path}" must not validate the schema (not)')


def _passes(schema: Schema, value: Any) -> bool:
    return next(_validate(schema, value, None, ""), None) is None


def _clash(path: str, text: str) -> Cause:
    return Cause(path or "<nil>", "FieldValueInvalid", f'Invalid value: "": {text}')


def _invalid(path: str, value: Any, text: str) -> Cause:
    return Cause(path, "FieldValueInvalid", f"Invalid value: {shown(value)}: {path} in body {text}")
