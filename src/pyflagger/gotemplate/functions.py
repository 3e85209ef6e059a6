"""The functions that every Go template has. `and` and `or` stop early, so the evaluator has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import quote_plus

from pyflagger.gotemplate.errors import Wrong
from pyflagger.gotemplate.printf import printf
from pyflagger.gotemplate.values import Value, kind, shown

Implementation: TypeAlias = Callable[[Sequence[Value]], Value]

_HTML = str.maketrans({"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JS = str.maketrans(
    {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    | {chr(code): f"\\u{code:04X}" for code in range(0x20)}
)


def _count(arguments: Sequence[Value], name: str, low: int, high: int | None = None) -> None:
    if len(arguments) < low or (high is not None and len(arguments) > high):
        raise Wrong(f"wrong number of arguments for {name}: {len(arguments)}")


def _sprint(arguments: Sequence[Value]) -> str:
    text = ""
    for at, value in enumerate(arguments):
        if at and not isinstance(value, str) and not isinstance(arguments[at - 1], str):
            text += " "
        text += shown(value)
    return text


def _escaped(table: dict[int, str]) -> Implementation:
    return lambda arguments: _sprint(arguments).translate(table)


def _index(arguments: Sequence[Value]) -> Value:
    _count(arguments, "index", 1)
    value = arguments[0]
    for key in arguments[1:]:
        if isinstance(value, Mapping) and isinstance(key, str):
            value = value.get(key, "")
        elif isinstance(value, str) and _is_integer(key):
            value = value.encode()[_position(key, len(value.encode()) - 1)]
        else:
            raise Wrong(f"cannot index a {kind(value)} with a {kind(key)}")
    return value


def _is_integer(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _position(value: Value, last: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(f"a position must be an int, not a {kind(value)}")
    if not 0 <= value <= last:
        raise Wrong(f"position {value} is out of range")
    return value


def _slice(arguments: Sequence[Value]) -> str:
    _count(arguments, "slice", 1, 3)
    text = arguments[0]
    if not isinstance(text, str):
        raise Wrong(f"cannot slice a {kind(text)}")
    raw = text.encode()
    ends = [_position(value, len(raw)) for value in arguments[1:]]
    start, stop = (*ends, *(0, len(raw))[len(ends) :])
    if start > stop:
        raise Wrong(f"slice from {start} to {stop}")
    return raw[start:stop].decode("utf-8", "replace")


def _len(arguments: Sequence[Value]) -> int:
    _count(arguments, "len", 1, 1)
    value = arguments[0]
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping):
        return len(value)
    raise Wrong(f"len of a {kind(value)}")


def _same(left: Value, right: Value) -> bool:
    if isinstance(left, Mapping) or isinstance(right, Mapping):
        raise Wrong("maps cannot be compared")
    if left is None or right is None:
        return left is right
    if kind(left) != kind(right):
        raise Wrong(f"incompatible types for comparison: {kind(left)} and {kind(right)}")
    return left == right


def _eq(arguments: Sequence[Value]) -> bool:
    _count(arguments, "eq", 2)
    return any(_same(arguments[0], other) for other in arguments[1:])


def _ne(arguments: Sequence[Value]) -> bool:
    _count(arguments, "ne", 2, 2)
    return not _same(*arguments)


def _ordered(name: str, accepts: Callable[[int], bool]) -> Implementation:
    def compare(arguments: Sequence[Value]) -> bool:
        _count(arguments, name, 2, 2)
        left, right = arguments
        if kind(left) != kind(right) or kind(left) not in ("string", "int", "float64"):
            raise Wrong(f"incompatible types for comparison: {kind(left)} and {kind(right)}")
        return accepts((left > right) - (left < right))  # type: ignore[operator]

    return compare


def _not(arguments: Sequence[Value]) -> bool:
    _count(arguments, "not", 1, 1)
    return not arguments[0]


def _call(arguments: Sequence[Value]) -> Value:
    raise Wrong("call: there is no function to call")


FUNCTIONS: Mapping[str, Implementation] = {
    "print": _sprint,
    "printf": printf,
    "println": lambda arguments: " ".join(shown(value) for value in arguments) + "\n",
    "html": _escaped(_HTML),
    "js": _escaped(_JS),
    "urlquery": lambda arguments: quote_plus(_sprint(arguments), safe=""),
    "index": _index,
    "slice": _slice,
    "len": _len,
    "eq": _eq,
    "ne": _ne,
    "lt": _ordered("lt", lambda order: order < 0),
    "le": _ordered("le", lambda order: order <= 0),
    "gt": _ordered("gt", lambda order: order > 0),
    "ge": _ordered("ge", lambda order: order >= 0),
    "not": _not,
    "call": _call,
}

EARLY = frozenset({"and", "or"})
"""Functions that look at their arguments one at a time."""
