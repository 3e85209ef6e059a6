"""Label and field selectors: turns texts into predicates.

Called by lists and watches. Callers pass the fields that a kind supports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyflagger.admission.errors import ApiError, bad_request
from pyflagger.objects import Obj

Predicate = Callable[[Obj], bool]
Test = Callable[[Mapping[str, str]], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_SET = re.compile(rf"^({_KEY})\s+(in|notin)\s*\(([^()]*)\)$")
_EQUAL = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)$")
_EXISTS = re.compile(rf"^(!?)\s*({_KEY})$")
_COMPARE = re.compile(rf"^({_KEY})\s*([<>])\s*(\d+)$")


def labels(text: str) -> Predicate:
    """A predicate on an object's labels. Raises ApiError (400) when the text is not a selector."""
    tests = [_requirement(part.strip(), text) for part in _split(text) if part.strip()]
    return lambda obj: _all(tests, obj["metadata"].get("labels") or {})


def matches(selector: Mapping[str, Any], have: Mapping[str, str]) -> bool:
    """Whether labels satisfy the `matchLabels` of a `LabelSelector`. Callers do not need `matchExpressions`."""
    return all(have.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())


def _all(tests: Iterable[Test], have: Mapping[str, str]) -> bool:
    return all(test(have) for test in tests)


def _split(text: str) -> list[str]:
    """Split at commas outside parentheses."""
    return re.split(r",(?![^(]*\))", text)


def _requirement(part: str, whole: str) -> Test:
    if found := _SET.match(part):
        key, values = found[1], {value.strip() for value in found[4].split(",")}
        return (
            (lambda have: have.get(key) in values) if found[3] == "in" else (lambda have: have.get(key) not in values)
        )
    if found := _EQUAL.match(part):
        key, value = found[1], found[4]
        return (lambda have: have.get(key) != value) if found[3] == "!=" else (lambda have: have.get(key) == value)
    if found := _COMPARE.match(part):
        return _compare(found[1], found[3], int(found[4]))
    if found := _EXISTS.match(part):
        key, negated = found[2], bool(found[1])
        return lambda have: (key in have) != negated
    raise bad_request(f"unable to parse requirement: found '{part}' in label selector {whole!r}")


def _compare(key: str, sign: str, bound: int) -> Test:
    def test(have: Mapping[str, str]) -> bool:
        value = have.get(key, "")
        return value.isdigit() and (int(value) > bound if sign == ">" else int(value) < bound)

    return test


def fields(text: str, known: Iterable[str], kind: str) -> Predicate:
    """A predicate on an object's fields. `known` lists the fields that the kind supports.

    Raises ApiError (400) for another field or a text that is not a selector.
    """
    allowed = {"metadata.name", "metadata.namespace", *known}
    tests: list[Predicate] = []
    for part in filter(None, text.split(",")):
        path, sign, value = _field(part)
        if path not in allowed:
            raise ApiError(400, "BadRequest", f'field label not supported: {path} for kind "{kind}"')
        tests.append(_field_test(tuple(path.split(".")), sign == "!=", value))
    return lambda obj: all(test(obj) for test in tests)


def _field(part: str) -> tuple[str, str, str]:
    for sign in ("!=", "==", "="):
        path, found, value = part.partition(sign)
        if found:
            return path.strip(), sign, re.sub(r"\\([\\,=])", r"\1", value.strip())
    raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")


def _field_test(path: tuple[str, ...], negated: bool, value: str) -> Predicate:
    return lambda obj: (_text(look(obj, path)) == value) != negated


def look(obj: Any, path: Iterable[str]) -> Any:
    """The value at a path, or None."""
    for key in path:
        if not isinstance(obj, Mapping):
            return None
        obj = obj.get(key)
    return obj


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
