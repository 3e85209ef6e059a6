"""What holds for every test: logs are written as the operator writes them, garbage is collected between tests alone,
and virtual time does not wait."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import hypothesis
import pytest
import structlog

from pyflagger import logs

hypothesis.settings.register_profile(
    "loaded", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("loaded")
"""A machine that does other work as well is slow now and then: no example fails for the time that it took."""


GARBAGE_MAX = 100_000
"""Objects that are left before the next collection."""


@pytest.fixture(autouse=True)
def as_the_operator_logs() -> Iterator[None]:
    """JSON lines on standard error; unconfigured, structlog draws a picture of every local variable of a traceback."""
    before = structlog.get_config()
    logs.configure("info", "json", sys.stderr)
    structlog.configure(cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True, scope="session")
def no_collection_within_a_test() -> Iterator[None]:
    """CPython 3.11 breaks off a parse ("AST constructor recursion depth mismatch") when another one runs within it.

    That happens when a collection destroys a task: asyncio logs its traceback, and drawing that parses lines.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def collected_afterwards() -> Iterator[None]:
    """Collect what a test left, once it is much."""
    yield
    if gc.get_count()[0] > GARBAGE_MAX:
        gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Virtual time moves as soon as nothing is ready: by default 42 idle turns come before each of its moves."""
    for item in items:
        if item.get_closest_marker("looptime"):
            item.add_marker(pytest.mark.looptime(noop_cycles=0))
