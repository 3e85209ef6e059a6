"""Which phases each function of `core` may write, found in its source: it follows every function that one names.

A function that another one names may be called by it, wherever the name stands. So this finds all that can happen, and
perhaps more, but never less. A phase that is written has to stand in the call as `Phase.NAME`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pyflagger.core
from pyflagger.api.canary import Phase

CORE = Path(pyflagger.core.__file__).parent
ROOM = "pyflagger.core"
WRITE = "write"
"""The function that writes a status; the phase that follows is its argument after the view."""

Known = dict[str, ast.AST]
"""What a module defines at its top, by name."""


@cache
def module(name: str) -> tuple[Known, dict[str, tuple[str, str]]]:
    """The definitions of a module of `core`, and where its imported names come from: module and name."""
    tree = ast.parse((CORE / f"{name}.py").read_text())
    defined: Known = {}
    imported: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(ROOM):
            source = node.module.removeprefix(ROOM).removeprefix(".")
            for alias in node.names:
                imported[alias.asname or alias.name] = (source, alias.name) if source else (alias.name, "")
    return defined, imported


def named(where: str, node: ast.AST) -> Iterator[tuple[str, str]]:
    """The definitions that some code names, as module and name."""
    defined, imported = module(where)
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            source, name = imported.get(each.value.id, ("", "?"))
            if name == "" and each.attr in module(source)[0]:
                yield source, each.attr
        elif isinstance(each, ast.Name):
            if each.id in defined:
                yield where, each.id
            elif each.id in imported and imported[each.id][1] in module(imported[each.id][0])[0]:
                yield imported[each.id]


def phase_of(node: ast.expr) -> set[Phase]:
    """The phases that an argument may be; none for None."""
    if isinstance(node, ast.IfExp):
        return phase_of(node.body) | phase_of(node.orelse)
    if isinstance(node, ast.Constant) and node.value is None:
        return set()
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Phase":
        return {Phase[node.attr]}
    raise AssertionError(f"line {node.lineno}: which phase is {ast.unparse(node)}? Write it as Phase.NAME")


def written(node: ast.AST) -> set[Phase]:
    """The phases that some code writes itself."""
    found: set[Phase] = set()
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) == WRITE:
            given = [arg for arg in call.args if not (isinstance(arg, ast.Name) and arg.id in ("view", "v"))]
            given += [word.value for word in call.keywords if word.arg == "to"]
            found |= set().union(*map(phase_of, given))
    return found


def moves(rule: Callable[..., Any]) -> set[Phase]:
    """Every phase that a rule can write, by itself or by what it calls."""
    return set().union(*(written(module(where)[0][name]) for where, name in reached(rule)))


def reached(rule: Callable[..., Any]) -> set[tuple[str, str]]:
    """A rule and every definition that it can use, as module and name."""
    seen: set[tuple[str, str]] = set()
    todo = [(rule.__module__.removeprefix(f"{ROOM}."), rule.__name__)]
    while todo:
        at = todo.pop()
        if at in seen or at[1] in (WRITE, "View"):
            continue
        seen.add(at)
        todo += named(at[0], module(at[0])[0][at[1]])
    return seen
