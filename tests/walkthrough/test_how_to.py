"""The how-to pages that a sandbox can play, followed command by command on a sandbox each."""

from __future__ import annotations

from pathlib import Path

import pytest

from walkthrough.guided import follow
from walkthrough.test_tutorials import HOW_TO

pytestmark = pytest.mark.real


@pytest.mark.parametrize("page", HOW_TO)
def test_a_page(page: str, tmp_path: Path) -> None:
    """Nothing fails, nothing warns, and each output that the page shows appears."""
    follow(page, tmp_path)
