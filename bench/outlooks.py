"""`python -m bench.outlooks [--runs 100000]`: what lint foresees, against releases played by the operator's own rules.

Sixty Canaries. Prints both probabilities of a rollback for each, and their largest difference. Exit status 1 if that is
more than a point. A hundred thousand releases of each take about 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from foresight.played import Case, foreseen, grid, played

POINT = 0.01
WORKERS = 2


def both(case: Case, runs: int) -> tuple[float, float]:
    """The probability that lint foretells, and the share of rollbacks."""
    return foreseen(case), played(case, runs)


def main(argv: Sequence[str]) -> int:
    """Print a line for each Canary, and the largest difference."""
    parser = argparse.ArgumentParser(prog="bench.outlooks")
    parser.add_argument("--runs", type=int, default=100_000)
    runs, worst = parser.parse_args(argv).runs, 0.0
    print(f"rolled back, foreseen and of {runs:,} played, in percent")
    with ProcessPoolExecutor(WORKERS) as pool:
        for number, (told, found) in enumerate(pool.map(partial(both, runs=runs), grid()), 1):
            worst = max(worst, abs(told - found))
            print(f"{number:>3} {100 * told:7.2f} {100 * found:7.2f} {100 * (found - told):+6.2f}", flush=True)
    print(f"largest difference: {100 * worst:.2f} points")
    return 0 if worst <= POINT else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
