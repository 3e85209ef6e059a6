"""The picture of the rooms on the page of the architecture: what imports what, read from the source.

Written by `make docs`; a test holds the page to it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "pyflagger"
PICTURE = re.compile(r"```mermaid\nflowchart TD\n.*?```\n", re.DOTALL)
OPERATOR = ("reconcile", "act", "evidence", "observe")
"""`run` and `ports` join all of them, so arrows from these would tell nothing."""

ROOMS: Mapping[str, str] = {
    **{f"pyflagger.operator.{room}": f"operator/{room}" for room in OPERATOR},
    **{f"pyflagger.{room}": room for room in ("kube", "core", "workloads", "routing", "metrics", "api")},
}
"""Modules of a release by prefix, with the name in the picture. `api` is below all rooms: no arrow leads to it."""


def room(module: str) -> str | None:
    """The room of a module; None for what the picture leaves out."""
    found = (name for prefix, name in ROOMS.items() if module == prefix or module.startswith(f"{prefix}."))
    return next(found, None)


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports by `from … import`, as this project does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def module(path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def arrows() -> list[tuple[str, str]]:
    """Which room imports which, each once."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        own = room(module(path))
        others = {room(name) for name in imported(path)} - {None, own, "api"}
        found |= {(own, other) for other in others if own and other}
    return sorted(found)


def node(name: str) -> str:
    """A room as Mermaid names and shows it."""
    return f"{name.replace('/', '_')}[{name}]"


def picture() -> str:
    """A flowchart for Mermaid."""
    shown = "".join(
        f"    {one.replace('/', '_')}[{one}] --> {other.replace('/', '_')}[{other}]\n" for one, other in arrows()
    )
    return f"```mermaid\nflowchart TD\n{shown}```\n"
