"""`flagger loadtester`: the load-tester service."""

from __future__ import annotations

from collections.abc import Sequence

from pyflagger.loadtester import main as serve


def main(argv: Sequence[str]) -> int:
    """Serve until stopped."""
    return serve(argv)
