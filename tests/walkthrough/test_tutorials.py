"""The tutorials about strategies, followed command by command on a sandbox each.

Those about providers and the how-to pages are in files of their own, so that two workers can share the time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.blocks import ROOT, guides
from walkthrough.guided import follow, plays

pytestmark = pytest.mark.real

STRATEGIES = (
    *("tutorials/first-release.md", "tutorials/ab-testing.md", "tutorials/blue-green.md", "tutorials/gates.md"),
    "tutorials/steering.md",
)
PROVIDERS = (
    *("tutorials/traefik.md", "tutorials/gateway-api.md", "tutorials/linkerd.md"),
    "tutorials/session-affinity.md",
)
HOW_TO = (
    *("how-to/why-is-it-stuck.md", "how-to/pause.md", "how-to/steer.md", "how-to/uninstall.md"),
    *("how-to/hpa.md", "how-to/keda.md"),
)


@pytest.mark.parametrize("page", STRATEGIES)
def test_a_tutorial(page: str, tmp_path: Path) -> None:
    """Nothing fails, nothing warns, and each output that the page shows appears."""
    follow(page, tmp_path)


def test_every_page_with_a_sandbox_is_followed() -> None:
    """A page that no file names would look as if it passed."""
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in guides() if plays(page)}
    assert pages == {*STRATEGIES, *PROVIDERS, *HOW_TO}
