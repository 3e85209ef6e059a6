"""Istio's control plane, built once from its Go module by `python -m e2e.istio.parts`.

Called before the tests enter their network. It takes many minutes, so it is no part of `make e2e`; what was built is
kept by version, as the other parts are.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from e2e.definitions import folder
from e2e.parts import NoPart, envoy, installed

ISTIO = "v0.0.0-20260827124520-eed52ebb66ad"
"""Istio 1.31; its module has no tags."""

MODULE = f"istio.io/istio@{ISTIO}"


def pilot() -> Path:
    """pilot-discovery. Raises NoPart."""
    package = f"istio.io/istio/pilot/cmd/pilot-discovery@{ISTIO}"
    return installed(f"istio-{ISTIO}", "-ldflags=-s -w", package) / "pilot-discovery"


def main() -> int:
    """Have everything there."""
    began = time.monotonic()
    try:
        pilot(), folder(MODULE), envoy()
    except NoPart as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 1
    print(f"e2e: Istio is there after {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
