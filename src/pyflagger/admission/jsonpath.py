"""The JSON paths of printed columns: `.status.conditions[?(@.type=="Ready")].status` and simpler.

Pure. Supports only what definitions use: names, quoted names, indices, `[*]`, and a filter by equality.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"""\.(?P<name>(?:[^.\[\]\\]|\\.)+)
      | \[\?\(@\.(?P<key>[\w.\-]+)\s*==\s*["'](?P<value>[^"']*)["']\)\]
      | \[(?P<index>-?\d+)\]
      | \[['"](?P<quoted>[^'"]+)['"]\]
      | (?P<all>\[\*\])""",
    re.VERBOSE,
)


@lru_cache(maxsize=1024)
def compiled(path: str) -> Callable[[Any], list[Any]]:
    """A function from an object to the values at `path`. An invalid path finds nothing."""
    text = path if path.startswith((".", "[")) else f".{path}"
    steps, place = [], 0
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None:
            return lambda value: []
        steps.append(found.groupdict())
        place = found.end()

    def find(value: Any) -> list[Any]:
        values = [value]
        for step in steps:
            values = [found for item in values for found in _step(step, item)]
        return [item for item in values if item is not None]

    return find


def _step(step: dict[str, str | None], value: Any) -> Iterator[Any]:
    name = step["quoted"] or (step["name"] or "").replace("\\.", ".")
    if name:
        if isinstance(value, dict) and name in value:
            yield value[name]
    elif not isinstance(value, list):
        return
    elif step["index"] is not None:
        index = int(step["index"])
        yield from value[index : index + 1 or None]
    elif step["key"] is not None:
        yield from (item for item in value if isinstance(item, dict) and str(item.get(step["key"])) == step["value"])
    else:
        yield from value
