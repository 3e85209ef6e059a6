"""Flagger's own binary and ours take turns over the same canaries, in every phase of a release.

No release starts anew, no weight jumps, no pod restarts, no visit fails. Run by `make e2e-swap`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

import pytest

from e2e.swap.scenarios import SCENARIOS

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_swap(swaps: Mapping[str, Future[None]], name: str) -> None:
    """One swap to its end; several are played at the same time."""
    swaps[name].result()
