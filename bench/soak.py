"""`python -m bench.soak`: ten thousand releases on virtual time, and what has grown by them.

The tests' stage with the embedded API server in one process: 50 canaries released 200 times. Prints sizes as it goes;
exit status 1 when series or objects of the operator have grown since everything had settled.
"""

from __future__ import annotations

import sys
from pathlib import Path

import looptime

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from pyflagger import logs
from stage.soak import grown, soak

CANARIES, ROUNDS = 50, 200


async def main() -> int:
    """Soak, print, judge."""
    sizes = []
    print("releases  series  objects of the operator  memory of operator and cluster, MiB")
    async for size in soak(CANARIES, ROUNDS):
        sizes.append(size)
        if len(sizes) % 10 == 0 or len(sizes) == 1:
            print(f"{size.releases:8}{size.series:8}{size.objects:25}{size.memory_mib:39.1f}", flush=True)
    found = grown(sizes)
    print(found or "flat")
    return 1 if found else 0


if __name__ == "__main__":
    logs.configure("error", "json")
    loop = looptime.new_event_loop(start=0)
    sys.exit(loop.run_until_complete(main()))
