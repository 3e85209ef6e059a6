"""The fields that the source gives to log lines, and the table of them in the docs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from docs.tables import table
from pyflagger.logs import FIELDS

ROOT = Path(__file__).resolve().parents[2]
METHODS = frozenset({"debug", "info", "warning", "error", "exception"})
WRITER = re.compile(r"\b_?log(ger)?\b|\blog(ger)?\(\)")
"""What a call is made on, or the name of the method itself, when it writes a log line."""

TABLE = re.compile(r"\| field \| type \| in which lines \|\n(\|.*\n?)+")


def fields() -> str:
    """The table of the docs."""
    return table(
        ["field", "type", "in which lines"], [[f"`{name}`", kind, text] for name, (kind, text) in FIELDS.items()]
    )


def given() -> Iterator[tuple[str, str]]:
    """Each keyword of each call that writes a log line: its place, and its name."""
    for path in sorted((ROOT / "src" / "pyflagger").rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and writes(node):
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                for word in node.keywords:
                    yield from ((place, name) for name in ([word.arg] if word.arg else spread(tree, word.value)))


def spread(tree: ast.Module, value: ast.expr) -> list[str]:
    """The keys of `**name`, from the literal that is assigned to the name. Raises ValueError without one."""
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)]
    for node in assigned:
        if ast.unparse(node.targets[0]) == ast.unparse(value) and isinstance(node.value, ast.Dict):
            return [str(ast.literal_eval(key)) for key in node.value.keys if key]
    raise ValueError(f"cannot tell which fields **{ast.unparse(value)} gives to a log line: assign a literal to it")


def writes(call: ast.Call) -> bool:
    """Whether a call writes a log line, or makes a function that does."""
    text = ast.unparse(call.func)
    if text == "partial" and call.args:
        text = ast.unparse(call.args[0])
    owner, _, method = text.rpartition(".")
    return (
        (method in METHODS and bool(WRITER.search(owner)))
        or text.startswith("getattr(self._log")
        or text in ("tell", "log")
    )
