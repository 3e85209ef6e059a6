"""What holds for every test: logs are written as the operator writes them, and show when a test fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import strategies

from pyflagger.operator import logs


@pytest.fixture(autouse=True)
def as_the_operator_logs() -> Iterator[None]:
    """JSON lines on standard error; unconfigured, structlog draws a picture of every local variable of a traceback."""
    before = structlog.get_config()
    logs.configure("info", "json", sys.stderr)
    structlog.configure(cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True, scope="session")
def patterns_are_loaded() -> None:
    """CPython 3.11 cannot parse a module deep in an example ("AST constructor recursion depth mismatch").

    Hypothesis loads its reader of regular expressions when the first one is drawn, so one is asked for here.
    """
    strategies.from_regex("a").validate()
