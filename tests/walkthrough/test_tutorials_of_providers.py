"""The tutorials about providers that the sandbox has, followed command by command on a sandbox each."""

from __future__ import annotations

from pathlib import Path

import pytest

from walkthrough.guided import follow
from walkthrough.test_tutorials import PROVIDERS

pytestmark = pytest.mark.real


@pytest.mark.parametrize("page", PROVIDERS)
def test_a_tutorial(page: str, tmp_path: Path) -> None:
    """Nothing fails, nothing warns, and each output that the page shows appears."""
    follow(page, tmp_path)
