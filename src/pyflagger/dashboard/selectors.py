"""Label selectors of the documents, in the syntax of `kubectl -l`. Pure.

`a=b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`, `a` and `!a`, joined by commas: all must hold. As in Kubernetes, `!=`
and `notin` hold for objects without the label, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pyflagger.dashboard.forms import wrong

Labels: TypeAlias = Mapping[str, str]
Test: TypeAlias = Callable[[Labels], bool]

KEY = r"([A-Za-z0-9](?:[-A-Za-z0-9_./]{0,315}[A-Za-z0-9])?)"
VALUE = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
PARTS = re.compile(r"(?:\([^()]*\)|[^,()])+")
ONE = re.compile(rf"{KEY}\s*(==?|!=)\s*({VALUE})?")
SET = re.compile(rf"{KEY}\s+(in|notin)\s*\(([^()]*)\)")
NAME = re.compile(rf"(!?)\s*{KEY}")


def selector(text: str) -> Test:
    """Whether labels match a selector. An empty one matches all. Raises Refused."""
    text = text.strip()
    parts = PARTS.findall(text)
    if ",".join(parts) != text:
        raise _refusal(text)
    tests = [_test(part.strip()) for part in parts]
    return lambda labels: all(test(labels) for test in tests)


def _test(part: str) -> Test:
    """One requirement."""
    if found := ONE.fullmatch(part):
        key, sign, value = found.groups()
        return _among(key, {value or ""}, within=sign != "!=")
    if found := SET.fullmatch(part):
        key, word, listed = found.groups()
        values = {each.strip() for each in listed.split(",")}
        if all(re.fullmatch(f"(?:{VALUE})?", each) for each in values):
            return _among(key, values, within=word == "in")
    elif found := NAME.fullmatch(part):
        sign, key = found.groups()
        return lambda labels: (key in labels) == (not sign)
    raise _refusal(part)


def _among(key: str, values: set[str], *, within: bool) -> Test:
    """Whether a label has one of some values, or none of them."""
    return lambda labels: (key in labels and labels[key] in values) == within


def _refusal(text: str) -> Exception:
    return wrong(f"selector={text[:60]} is no label selector such as team=shop,tier!=test")
