"""Decoding: reduces a JSON object to the fields of its built-in kind.

Drops unknown fields and nulls, rejects wrong types, and writes quantities in their canonical form. Skips values that
are identical (`is`) to those of the old object, because they were decoded before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from pyflagger.admission import schema
from pyflagger.admission.errors import ApiError, bad_request
from pyflagger.admission.schema import Type

_GO_TYPES = {"double": "float64", "boolean": "bool", "time": "Time", "quantity": "Quantity"}
_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL = re.compile(r"^([+-]?[0-9.]+)([numkMGTPE]?)$")


class Decoder:
    """One decoding. It collects problems in `unknown` and `wrong`."""

    def __init__(self, kind: str, version: str) -> None:
        self._kind, self._version = kind, version
        self.unknown: list[str] = []

    def model(self, name: str, value: Any, old: Any, path: str) -> Any:
        """An object of a named type."""
        if value is old:
            return value
        self._check(isinstance(value, dict), value, path, _go(Type("model", model=name)))
        known, was = schema.fields(name), old if isinstance(old, dict) else {}
        decoded = {}
        for key, item in value.items():
            at = f"{path}.{key}" if path else key
            field = known.get(key)
            if field is None:
                self.unknown.append(at)
            elif item is not None:
                decoded[key] = self.value(field.type, item, was.get(key), at)
        return decoded

    def value(self, type: Type, value: Any, old: Any, path: str) -> Any:
        """A value of any type."""
        if value is old:
            return value
        match type.kind:
            case "model":
                return self.model(type.model, value, old, path)
            case "list" | "map":
                return self._container(type, value, old, path)
            case "object":
                return value
        self._check(_SCALARS[type.kind](value), value, path, _go(type))
        return quantity(value) if type.kind == "quantity" else value

    def _container(self, type: Type, value: Any, old: Any, path: str) -> Any:
        inner = type.inner
        assert inner is not None
        if type.kind == "list":
            self._check(isinstance(value, list), value, path, _go(type))
            was = old if isinstance(old, list) else []
            return [
                self.value(inner, item, was[at] if at < len(was) else None, f"{path}[{at}]")
                for at, item in enumerate(value)
            ]
        self._check(isinstance(value, dict), value, path, _go(type))
        before = old if isinstance(old, dict) else {}
        return {
            key: self.value(inner, item, before.get(key), f"{path}.{key}")
            for key, item in value.items()
            if item is not None
        }

    def _check(self, fits: bool, value: Any, path: str, wanted: str) -> None:
        if not fits:
            raise self._unfit(value, path, wanted)

    def _unfit(self, value: Any, path: str, wanted: str) -> ApiError:
        text = f'{self._kind} in version "{self._version}" cannot be handled as a {self._kind}: json: '
        return bad_request(
            f"{text}cannot unmarshal {_json_type(value)} into Go struct field {self._kind}.{path} of type {wanted}"
        )


def _go(type: Type) -> str:
    """The API server's name of a type: `[]v1.Container`, `map[string]string`, `int32`."""
    if type.inner is not None:
        return f"{'[]' if type.kind == 'list' else 'map[string]'}{_go(type.inner)}"
    return ".".join(type.model.split(".")[-2:]) or _GO_TYPES.get(type.kind, type.kind)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SCALARS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "time": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "int32": lambda value: _number(value) and value == int(value),
    "int64": lambda value: _number(value) and value == int(value),
    "double": _number,
    "int-or-string": lambda value: isinstance(value, str) or _number(value),
    "quantity": lambda value: isinstance(value, str) or _number(value),
}


def _json_type(value: Any) -> str:
    names = {bool: "bool", str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def quantity(value: Any) -> str:
    """A decimal quantity in its canonical form: `1000m` is `1`, `0.5` is `500m`. Returns others unchanged."""
    found = _DECIMAL.match(str(value))
    try:
        number = Decimal(found[1]).scaleb(_SUFFIXES[found[2]]) if found else None
    except InvalidOperation:
        number = None
    if number is None:
        return str(value)
    if not number:
        return "0"
    exponents = [power for power in _SUFFIXES.values() if number.scaleb(-power) == int(number.scaleb(-power))]
    power = max(exponents, default=-9)
    suffix = next(text for text, exponent in _SUFFIXES.items() if exponent == power)
    return f"{int(number.scaleb(-power))}{suffix}"
