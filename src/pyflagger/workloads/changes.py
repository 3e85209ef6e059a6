"""What differs between two pod templates, as paths without values: `containers[podinfod].env[LOG]`.

Used by `operator.act` for the record of a release.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflagger.workloads.revision import pruned

IGNORED = frozenset({"metadata.annotations.flagger-id"})
"""Paths that only flagger writes."""


def changed_paths(old: Any, new: Any) -> tuple[str, ...]:
    """The paths of a pod template that differ, in order. Those of the pod spec do not begin with `spec`."""
    paths = (path.removeprefix("spec.") for path in _differing(pruned(old), pruned(new), ""))
    return tuple(dict.fromkeys(path for path in paths if path not in IGNORED))


def _differing(old: Any, new: Any, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differing(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif _named(old) and _named(new):
        before, after = ({each["name"]: each for each in items} for items in (old, new))
        for name in dict.fromkeys((*after, *before)):
            yield from _differing(before.get(name), after.get(name), f"{path}[{name}]")
    else:
        yield path


def _named(value: Any) -> bool:
    """Whether the items of a list have names that tell them apart."""
    if not isinstance(value, list):
        return False
    names = [each.get("name") if isinstance(each, dict) else None for each in value]
    return all(isinstance(name, str) for name in names) and len({*names}) == len(names)
