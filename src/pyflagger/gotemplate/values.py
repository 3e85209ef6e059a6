"""Values of a template: their truth, their kind, and how Go prints them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool | Mapping[str, str] | None


def kind(value: Value) -> str:
    """What Go would call the type."""
    if value is None:
        return "nil"
    if isinstance(value, Mapping):
        return "map"
    return {"str": "string", "int": "int", "float": "float64", "bool": "bool"}[type(value).__name__]


def shown(value: Value) -> str:
    """As `{{ value }}` prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{value[key]}' for key in sorted(value))}]"
    return str(value)


def float_text(value: float) -> str:
    """The shortest form, with an exponent below 1e-4 and from 1e21 on."""
    if not math.isfinite(value):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    size = abs(value)
    if size and (size < 1e-4 or size >= 1e21):
        mantissa, exponent = repr(value).split("e") if "e" in repr(value) else f"{value:e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}"
    return str(int(value)) if value.is_integer() else repr(value)
