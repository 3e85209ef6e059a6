"""The part of JSONPath that leads to values: names, indexes and wildcards. It takes time in proportion to the document.

`$.data[0]['error rate']`, `{$.items[*].value}`. Filters, slices and `..` are not part of it: their cost depends on the
document, which the server at the other end writes.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

Step: TypeAlias = str | int | None
"""A name, an index (negative from the end), or None for all."""

_STEP = re.compile(
    r"""\.(?P<name>[\w-]+) | \.(?P<all>\*) | \[\s*(?:(?P<index>-?\d{1,9}) | (?P<every>\*)
    | '(?P<single>(?:[^'\\]|\\.)*)' | "(?P<double>(?:[^"\\]|\\.)*)")\s*\]""",
    re.VERBOSE,
)


def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path. Raises ValueError with a text for the user."""
    path = text.strip()
    if path.startswith("{") and path.endswith("}"):
        path = path[1:-1].strip()
    if not path.startswith("$"):
        raise ValueError(f"{text.strip()[:100]!r} does not begin with $")
    steps, at = [], 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"{path[:100]!r} is not a path of names, indexes and * at {path[at : at + 20]!r}")
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def find(document: Any, steps: tuple[Step, ...]) -> list[Any]:
    """The values that a path leads to, in the order of the document."""
    found = [document]
    for step in steps:
        found = [value for each in found for value in _inside(each, step)]
    return found


def _step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return int(found["index"])
    for name in ("name", "single", "double"):
        if found[name] is not None:
            return re.sub(r"\\(.)", r"\1", found[name])
    return None


def _inside(value: Any, step: Step) -> list[Any]:
    if step is None:
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if isinstance(step, str):
        return [value[step]] if isinstance(value, dict) and step in value else []
    return [value[step]] if isinstance(value, list) and -len(value) <= step < len(value) else []
