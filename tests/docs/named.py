"""Tests that pages name: whether they are there."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def absent(tests: Iterable[str]) -> list[str]:
    """Of `file` and `file::function`, from the root, those that are not there."""
    split = [(test, *test.partition("::")[::2]) for test in tests]
    return [test for test, file, name in split if not (ROOT / file).exists() or (name and name not in _functions(file))]


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.walk(ast.parse((ROOT / file).read_text()))
    return frozenset(node.name for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
