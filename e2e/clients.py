"""What clients written in Go do on a cluster (`clientgo`), how each speaks, and what it must count.

Played on the sandbox by `tests/walkthrough` and on the real control plane by `e2e/test_client_go.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RUN_SECONDS_MAX = 90
TOLD = {"added": 20, "updated": 100, "deleted": 13, "resynced": True}
"""Twenty ConfigMaps are made, each is changed five times, and all but every third are deleted."""

CHECKS: Mapping[str, Mapping[str, Any]] = {
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
WAYS: Mapping[str, Mapping[str, str]] = {
    "json": {},
    "protobuf": {"CONTENT": "protobuf"},
    "lists by watching": {"CONTENT": "protobuf", "KUBE_FEATURE_WatchListClient": "true"},
}
INFORMING = ("informers", "dynamic", "metadata")
ASKED: Sequence[tuple[str, str]] = [
    *((check, "protobuf") for check in CHECKS),
    *((check, way) for check in INFORMING for way in ("json", "lists by watching")),
    *((check, "json") for check in ("typed", "conflicts")),
]
"""Check and way of speaking."""


def namespace_of(check: str, way: str) -> str:
    """The namespace of one run; whoever runs it makes it before."""
    return f"go-{check}-{way.replace(' ', '-')}"


def counted(binary: Path, check: str, way: str, environ: Mapping[str, str]) -> Mapping[str, Any] | str:
    """What a client counted, or the end of what it printed when it found fault. `environ` names the cluster."""
    done = subprocess.run(
        [str(binary), check, namespace_of(check, way)],
        env={**os.environ, **environ, **WAYS[way]},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )
    found: Mapping[str, Any] | str = done.stderr[-2000:] if done.returncode else json.loads(done.stdout)
    return found
