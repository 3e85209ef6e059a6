"""Clients written in Go on the sandbox: informers, typed updates, elections, as controllers of a cluster use them.

The client is a Go module of its own, `e2e/clientgo`. Building it needs Go, which the other tests do not: without Go
these are skipped here, and still run in the tier with a real control plane, which cannot be had without Go:
`e2e/test_client_go.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.clients import ASKED, CHECKS, counted, namespace_of
from e2e.parts import NoPart, client_go

from walkthrough.sandboxed import Sandbox, sandbox

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def binary() -> Path:
    """The client, built once for its sources."""
    try:
        return client_go()
    except NoPart as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def place(binary: Path) -> Iterator[Sandbox]:
    """A sandbox without an operator."""
    with sandbox("--no-operator") as running:
        yield running


@pytest.mark.parametrize(("check", "way"), ASKED)
def test_a_client_in_go(place: Sandbox, binary: Path, check: str, way: str) -> None:
    """Nothing is lost, doubled or out of order; errors are of the kind that callers tell apart by."""
    place.kubectl("create", "namespace", namespace_of(check, way))
    assert counted(binary, check, way, place.environ) == CHECKS[check]
