"""Clients written in Go on the sandbox: informers, typed updates, elections, as controllers of a cluster use them.

The client is a Go module of its own, `e2e/clientgo`. Building it needs Go, which the other tests do not: without Go
these are skipped here, and still run in the tier with a real control plane, which cannot be had without Go.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.parts import NoPart, client_go

from walkthrough.sandboxed import Sandbox, sandbox

pytestmark = pytest.mark.real

TOLD = {"added": 20, "updated": 100, "deleted": 13, "resynced": True}
"""Twenty ConfigMaps are made, each is changed five times, and all but every third are deleted."""

CHECKS: dict[str, dict[str, Any]] = {
    "informers": TOLD | {"listed": 7},
    "dynamic": TOLD,
    "metadata": TOLD,
    "conflicts": {"counted": "80", "refused": True},
    "typed": {"scaled": 1, "secret": "v", "left": 0},
    "apply": {"refused": True, "replicas": 2},
    "discovery": {"major": "1", "groups": True, "canaries": "canaries", "schema": True},
    "election": {"leaders": 2, "different": True, "transitions": True},
    "events": {"events": 1, "count": 3},
    "logs": {"logged": True},
    "canaries": {
        "phase": "Initialized",
        "generation": 2,
        "listed": 1,
        "stale refused": True,
        "nonsense refused": True,
    },
}
WAYS = {
    "json": {},
    "protobuf": {"CONTENT": "protobuf"},
    "lists by watching": {"CONTENT": "protobuf", "KUBE_FEATURE_WatchListClient": "true"},
}
INFORMING = ("informers", "dynamic", "metadata")
ASKED = [
    *((check, "protobuf") for check in CHECKS),
    *((check, way) for check in INFORMING for way in ("json", "lists by watching")),
    *((check, "json") for check in ("typed", "conflicts")),
]


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
    namespace = f"go-{check}-{way.replace(' ', '-')}"
    place.kubectl("create", "namespace", namespace)
    done = subprocess.run(
        [str(binary), check, namespace],
        env={**os.environ, **place.environ, **WAYS[way]},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == CHECKS[check]
