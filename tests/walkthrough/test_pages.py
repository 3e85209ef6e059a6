"""The tutorials and how-to pages that run on a sandbox, played command by command on one each."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from docs.blocks import ROOT, blocks, guides
from walkthrough.guided import Reader

pytestmark = pytest.mark.real


def plays(page: Path) -> bool:
    """Whether the page starts a sandbox."""
    return any("flagger sandbox" in block.text for block in blocks(page) if block.language == "sh" and not block.why)


@pytest.mark.parametrize("page", [page for page in guides() if plays(page)], ids=lambda page: page.stem)
def test_a_page(page: Path, tmp_path: Path) -> None:
    """Nothing fails, nothing warns, and each output that the page shows appears."""
    with ExitStack() as apart:
        Reader(tmp_path, apart).follow(page)


def test_the_pages_of_the_strategies_are_among_them() -> None:
    """A page that the test above does not see would look as if it passed."""
    played = {page.relative_to(ROOT / "docs").as_posix() for page in guides() if plays(page)}
    assert {f"tutorials/{name}.md" for name in ("first-release", "ab-testing", "blue-green", "gates")} <= played
