"""The server, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from conformance.server import Server, server


@pytest.fixture
async def api() -> AsyncIterator[Server]:
    """A server with a namespace of its own."""
    async with server() as found:
        yield found
