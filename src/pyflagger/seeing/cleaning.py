"""Views without control characters that others wrote. Used by the command line and the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

BIDIRECTIONAL = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
CONTROLS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *BIDIRECTIONAL), "?")
CONTROLS |= dict.fromkeys(map(ord, "\t\n\r"), " ")


def clean(value: Any) -> Any:
    """A view without what texts of others could do to a terminal.

    Newlines and tabs become spaces. Other control characters, the introducers of escape sequences among them, and marks
    that reverse the direction of writing become `?`. Views are walked whole, so that no text is forgotten.
    """
    if isinstance(value, str):
        return value if value.isprintable() or isinstance(value, Enum) else value.translate(CONTROLS)
    if isinstance(value, Mapping):
        return {clean(key): clean(each) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: clean(getattr(value, each.name)) for each in fields(value)})
    if isinstance(value, tuple):
        parts = [clean(each) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return [clean(each) for each in value] if isinstance(value, list) else value
