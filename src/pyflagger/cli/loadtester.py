"""`flagger loadtester`: the load-tester service."""

from __future__ import annotations

from collections.abc import Sequence

from pyflagger.loadtester import main as serve
from pyflagger.operator.process.http import AiohttpHttp


def main(argv: Sequence[str]) -> int:
    """Serve until stopped. Tests on other servers go through the operator's HTTP client, with its limits."""
    return serve(argv, AiohttpHttp)
