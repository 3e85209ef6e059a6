"""The fenced blocks of a page, with what the page says of them.

A comment right before a block gives the reason why a test leaves it out: `<!-- not run: REASON -->` for commands,
`<!-- not linted: REASON -->` for YAML. `<!-- run by: TEST -->` names the test that runs the commands on a real control
plane. Readers of the page do not see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCED = re.compile(
    r"(?:<!-- (?P<mark>not run|not linted|run by): (?P<why>[^>]+?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `title` is the name of its file, if it has one; `why` is the reason to leave it out.

    `by` is the file of the test of `e2e/` that runs it, if one does.
    """

    page: str
    line: int
    language: str
    title: str
    text: str
    why: str
    by: str = ""

    @property
    def place(self) -> str:
        """Page and line of its first line."""
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page that have a language."""
    text = page.read_text()
    name = str(page.relative_to(ROOT))
    for found in FENCED.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        lines = (line.removeprefix(found["indent"]) for line in found["text"].splitlines(keepends=True))
        said = {"by" if found["mark"] == "run by" else "why": found["why"] or ""}
        yield Block(name, line, found["language"], found["title"] or "", "".join(lines), **{"why": "", **said})


def pages() -> list[Path]:
    """Every page of the documentation."""
    return [ROOT / "README.md", *sorted(ROOT.glob("charts/*/README.md")), *sorted(ROOT.glob("docs/**/*.md"))]


def guides() -> list[Path]:
    """The pages that readers follow command by command."""
    return [*sorted(ROOT.glob("docs/tutorials/*.md")), *sorted(ROOT.glob("docs/how-to/*.md"))]
