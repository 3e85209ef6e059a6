"""Parses the paths of the API.

`/api/v1/namespaces/test/pods/a/status` names a group, a version, a scope, a resource, an object and a subresource.
"""

from __future__ import annotations

from dataclasses import dataclass

_OF_NAMESPACES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Route:
    """The parts of a resource path. Missing parts are empty strings."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse(path: str) -> Route | None:
    """The route of a resource path; None for other paths."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in _OF_NAMESPACES):
        return _tail(group, version, rest[1], rest[2:])
    return _tail(group, version, "", rest)


def _tail(group: str, version: str, namespace: str, rest: list[str]) -> Route | None:
    if len(rest) > 3:
        return None
    plural, name, subresource = [*rest, "", ""][:3]
    return Route(group, version, plural, namespace, name, subresource)
