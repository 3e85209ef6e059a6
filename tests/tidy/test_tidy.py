"""The house rules, held by walking the tree: sizes, banned calls with what to use instead, docstrings, docs."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# Calls that belong to one place. Each with what to use instead.
BANNED = {
    "time.time": "Clock.now",
    "time.monotonic": "Clock.monotonic",
    "time.sleep": "Clock.sleep",
    "asyncio.sleep": "Clock.sleep",
    "datetime.now": "Clock.now",
    "datetime.utcnow": "Clock.now",
    "random.random": "Clock.jitter",
    "random.uniform": "Clock.jitter",
    "uuid.uuid4": "Clock.unique",
    "print": "a writer that is handed in, or the log",
}
HOME = {"clock.py"}
MAY_PRINT = {"cli"}

# Tables and parsers that read better whole: file or function, by name, with the reason.
LONG_FUNCTIONS: dict[str, str] = {"admission/builtin.py:_core": "a table of kinds"}
LONG_FILES: dict[str, str] = {}

TEST_RATIO_MIN = 0.6
"""Raise it when it can be raised, never lower it."""


def lines(files: Iterable[Path]) -> int:
    """How many lines files have together."""
    return sum(len(path.read_text().splitlines()) for path in files)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file with its length in lines, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            doc = first.end_lineno - first.lineno + 1 if isinstance(first, ast.Expr) and ast.get_docstring(node) else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - doc


def name(path: Path) -> str:
    """The path of a source file, below the package where that is the product's."""
    return path.relative_to(ROOT / "src").as_posix().removeprefix("pyflagger/")


def dotted(node: ast.AST) -> str:
    """`a.b` for an attribute of a plain name, `a` for a name, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""


def only_protocols(path: Path) -> bool:
    """Whether a module defines nothing but protocols."""
    defined = [
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    bases = [[ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else [] for node in defined]
    return bool(defined) and all(any(base.partition("[")[0] == "Protocol" for base in each) for each in bases)


def test_no_function_is_over_sixty_lines() -> None:
    """A function fits on a screen."""
    long = [
        f"{name(path)}:{function} {length}"
        for path in SOURCE
        for function, length in functions(path)
        if length > 60 and f"{name(path)}:{function}" not in LONG_FUNCTIONS
    ]
    assert not long


def test_most_functions_are_short() -> None:
    """Nineteen functions in twenty have at most twenty lines."""
    lengths = sorted(length for path in SOURCE for _, length in functions(path))
    assert lengths[int(len(lengths) * 0.95)] <= 20


def test_files_stay_small() -> None:
    """No file over five hundred lines, and the middle one about a hundred and fifty."""
    sizes = {name(path): len(path.read_text().splitlines()) for path in SOURCE}
    assert not {file: size for file, size in sizes.items() if size > 500 and file not in LONG_FILES}
    assert statistics.median(size for file, size in sizes.items() if not file.endswith("__init__.py")) <= 220


def test_banned_calls_stay_in_their_room() -> None:
    """Time, chance and output come from what a test can own."""
    found = []
    for path in SOURCE:
        if path.name in HOME:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            call = dotted(node.func) if isinstance(node, ast.Call) else ""
            if call == "print" and name(path).startswith(tuple(MAY_PRINT)):
                continue
            if call in BANNED:
                found.append(f"{name(path)}:{node.lineno} {call}: use {BANNED[call]}")
    assert not found


def test_tests_do_not_sleep() -> None:
    """A test that waits by the clock is slow today and flaky tomorrow."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and dotted(node.func) == "time.sleep"
    ]
    assert not found


def test_modules_say_their_job() -> None:
    """Each module opens with a docstring."""
    silent = [
        name(path) for path in SOURCE if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_tests_say_what_they_show() -> None:
    """Each test has a docstring."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent


def test_each_module_of_the_operator_has_its_tests() -> None:
    """In a file of its name. Modules that hold only protocols have nothing to test."""
    operator = [path for path in SOURCE if name(path).startswith("operator/") and path.stem != "__init__"]
    tested = {path.stem.removeprefix("test_") for path in TESTS if path.parent == ROOT / "tests" / "operator"}
    assert not [name(path) for path in operator if path.stem not in tested and not only_protocols(path)]


def test_no_commented_out_code() -> None:
    """History is what the repository is for."""
    code = re.compile(r"^\s*#\s*(def |class |import |from \S+ import |return |if .*:$|for .*:$|\w+\(.*\)$|\w+ = )")
    found = [
        f"{name(path)}:{number}"
        for path in SOURCE
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if code.match(line)
    ]
    assert not found


def test_lines_of_test_to_lines_of_source_only_rise() -> None:
    """The floor goes up with each piece of work until it is 1: docs/decisions/0006. Stories written as data count."""
    tests = lines((*TESTS, *(ROOT / "tests").rglob("*.yaml")))
    assert tests >= lines(SOURCE) * TEST_RATIO_MIN


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_no_leftovers(word: str) -> None:
    """What is left to do belongs in the tracker."""
    assert not [name(path) for path in SOURCE if re.search(rf"\b{word}\b", path.read_text())]


def test_every_command_line_flag_is_documented() -> None:
    """A flag that no page names does not exist for users."""
    from pyflagger.operator.options import FLAGS

    text = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    assert not [flag.name for flag in FLAGS if f"`-{flag.name}`" not in text]
