"""The fields of the three kinds, as the CRDs have them: path, type, default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pyflagger.api.crds import crds


class Field(NamedTuple):
    """One field."""

    kind: str
    path: str
    type: str
    meaning: str


def fields() -> Iterator[Field]:
    """Every field below `spec` and `status`."""
    for definition in crds():
        kind = definition["spec"]["names"]["kind"]
        root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        for part in ("spec", "status"):
            yield from _below(kind, part, root[part])


def _below(kind: str, path: str, schema: dict[str, Any]) -> Iterator[Field]:
    for name, inner in (schema.get("properties") or {}).items():
        here = f"{path}.{name}"
        words = inner.get("type") or "int or string"
        yield Field(kind, here, words, inner.get("description", ""))
        yield from _below(kind, here, inner)
        for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
            yield from _below(kind, here + suffix, inner.get(key) or {})


def table(kind: str, part: str) -> str:
    """The fields of one part of a kind as a Markdown table."""
    rows = [f"| `{f.path}` | {f.type} | {f.meaning} |" for f in fields() if f.kind == kind and f.path.startswith(part)]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])
