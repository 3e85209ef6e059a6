"""Go's literals as they are written in a template, as Python values."""

from __future__ import annotations

import re

from pyflagger.gotemplate.errors import INTEGER_MAX, Wrong

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_SIMPLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip


def unquote(text: str) -> str:
    """The value of a quoted string, quotes included in `text`. Raises Wrong."""
    return _ESCAPE.sub(_unescape, text[1:-1])


def _unescape(match: re.Match[str]) -> str:
    short, wide, full, octal, simple = match.groups()
    if simple is not None:
        if simple not in _SIMPLE:
            raise Wrong(f"unknown escape \\{simple}")
        return _SIMPLE[simple]
    number = int(octal, 8) if octal else int(short or wide or full, 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise Wrong("an escape is not a character")
    return chr(number)


def character(text: str) -> int:
    """The code of a quoted character. Raises Wrong."""
    value = unquote(text)
    if len(value) != 1:
        raise Wrong(f"{text} is not one character")
    return ord(value)


def number(text: str) -> int | float:
    """A number. Raises Wrong."""
    try:
        if not re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]+|0|[1-9]\d*)", text):
            return float(text)
        value = int(text, 0)
        if not -INTEGER_MAX <= value < INTEGER_MAX:
            raise ValueError
        return value
    except ValueError:
        raise Wrong(f"{text[:40]} is not a usable number") from None
