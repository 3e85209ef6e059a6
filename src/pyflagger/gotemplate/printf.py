"""Go's `printf`: the verbs and flags that make sense for text, numbers and booleans.

A verb that does not fit its argument and missing or extra arguments are errors here. Go would print a note into the
query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from pyflagger.gotemplate.errors import Wrong
from pyflagger.gotemplate.values import Value, kind, shown

_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d*))?(.?)", re.DOTALL)
_WIDTH_MAX = 1000

_INTEGER = {"d": "d", "x": "x", "X": "X", "o": "o", "b": "b", "c": "c"}
_REAL = {"f": "f", "F": "f", "e": "e", "E": "E", "g": "g", "G": "G"}


def printf(arguments: Sequence[Value]) -> str:
    """The formatted text; the format comes first. Raises Wrong."""
    if not arguments or not isinstance(arguments[0], str):
        raise Wrong("printf needs a format as its first argument")
    left = iter(arguments[1:])
    text = _VERB.sub(lambda match: _verb(match, left), arguments[0])
    if next(left, left) is not left:
        raise Wrong(f"printf {arguments[0]!r} has more values than verbs")
    return text


def _verb(match: re.Match[str], left: Iterator[Value]) -> str:
    flags, width, precision, verb = match.groups()
    if verb == "%":
        return "%"
    try:
        value = next(left)
    except StopIteration:
        raise Wrong(f"printf has no value for {match[0]!r}") from None
    if int(width or 0) > _WIDTH_MAX or int(precision or 0) > _WIDTH_MAX:
        raise Wrong(f"printf {match[0]!r} is wider than {_WIDTH_MAX}")
    text = _plain(match[0], flags, precision, verb, value)
    if "-" in flags:
        return text.ljust(int(width or 0))
    return text.zfill(int(width or 0)) if "0" in flags and verb not in "sqvtc" else text.rjust(int(width or 0))


def _plain(spec: str, flags: str, precision: str | None, verb: str, value: Value) -> str:
    cut = None if precision is None else int(precision or 0)
    if verb == "v":
        return shown(value)
    if verb == "t" and isinstance(value, bool):
        return shown(value)
    if isinstance(value, str) and verb in tuple("sq"):
        return value[:cut] if verb == "s" else json.dumps(value[:cut], ensure_ascii=False)
    if isinstance(value, str) and verb in tuple("xX"):
        return value.encode().hex() if verb == "x" else value.encode().hex().upper()
    sign = "+" if "+" in flags else " " if " " in flags else ""
    if isinstance(value, int) and not isinstance(value, bool) and verb in _INTEGER:
        return _integer(value, sign, verb)
    if isinstance(value, float) and verb in _REAL:
        return _real(value, sign, cut, verb)
    raise Wrong(f"printf {spec!r} cannot show a {kind(value)}")


def _integer(value: int, sign: str, verb: str) -> str:
    try:
        return format(value, sign + _INTEGER[verb] if verb != "c" else "c")
    except (OverflowError, ValueError):
        raise Wrong(f"{value} is not a character") from None


def _real(value: float, sign: str, cut: int | None, verb: str) -> str:
    if verb in "gG" and cut is None:
        text = shown(value)
        return sign + text if sign and value >= 0 else text
    return format(value, f"{sign}.{6 if cut is None else cut}{_REAL[verb]}")
