"""Flagger itself, built once from its Go module by `python -m e2e.swap.parts`.

Called before the tests enter their network. It takes minutes, so it is no part of `make e2e`; what was built is kept by
version, as the other parts are.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from e2e.parts import NoPart, installed

FLAGGER = "v1.44.0"


def reference() -> Path:
    """The binary of Flagger's operator. Raises NoPart."""
    package = f"github.com/fluxcd/flagger/cmd/flagger@{FLAGGER}"
    return installed(f"flagger-{FLAGGER}", "-ldflags=-s -w", package) / "flagger"


def main() -> int:
    """Have it there."""
    began = time.monotonic()
    try:
        reference()
    except NoPart as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 1
    print(f"e2e: Flagger is there after {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
