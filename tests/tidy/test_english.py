"""Plain English: the rules in docs/contributing/style, over what people read.

The rules are in Vale's format, so an editor with Vale shows them while you write. Vale's package on PyPI downloads its
program when it first runs, which a build without that network cannot do, so this runs the part of it that we use.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "docs" / "contributing" / "style").glob("*.yml"))
PAGES = ("*.md", "docs/**/*.md", "charts/*/README.md", "examples/**/*.md", "kustomize/**/*.md")
"""Generated pages are read as well: their texts are ours, in `tests/docs` and in the code."""

CODE = ("src/pyflagger/**/*.py", "src/pyflagger_sandbox/**/*.py")

FENCED = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def prose() -> Iterator[tuple[str, str]]:
    """Where each text is, and the text, without code."""
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            text = FENCED.sub(lambda code: "\n" * code[0].count("\n"), page.read_text())
            for number, line in enumerate(text.splitlines(), 1):
                yield f"{page.relative_to(ROOT)}:{number}", line
    for pattern in CODE:
        for path in sorted(ROOT.glob(pattern)):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", FENCED.sub("", " ".join(node.value.split()))


def compiled(rule: dict[str, object]) -> re.Pattern[str]:
    """One expression for all tokens of a rule."""
    tokens = rule["tokens"]
    assert isinstance(tokens, list)
    flags = re.IGNORECASE if rule.get("ignorecase") else 0
    return re.compile(r"\b(?:" + "|".join(tokens) + r")\b", flags)


def found(rule: dict[str, object]) -> Iterator[str]:
    """Where a rule is broken, and by what."""
    pattern = compiled(rule)
    for where, text in prose():
        for match in pattern.finditer(text):
            yield f"{where}: {match[0]}"


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_what_people_read_is_plain(path: Path) -> None:
    """No page and no text of the product has a phrase that a rule names."""
    assert not list(found(yaml.safe_load(path.read_text())))
