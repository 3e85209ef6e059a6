"""`python -m bench [COUNT…] [--idle COUNT] [--out FILE]`: the operator measured on a real control plane.

For each count: canaries brought up, left in peace, released at once; with 1000 of them, released once more with a crash
in between. `--idle`: so many that are only left in peace. Prints a table and writes it as a fragment of
`docs/benchmarks.md`; every phase is bounded. Exit status 1 when a figure is worse than what it is held to.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e.parts import NoPart

from bench import report
from bench.fleet import Late
from bench.report import Figure
from bench.trial import trial

COUNTS = (20, 200, 1000)
CRASH_FROM = 1000
IDLE, IDLE_SECONDS = 5000, 120.0


async def released(count: int, figures: list[Figure], notes: list[str]) -> None:
    """All phases for one size; figures so far stay when a later phase fails. Raises Late."""
    async with trial(count) as made:
        figures.append(Figure("brought up in, s", count, await made.create()))
        rest = await made.rest()
        figures += report.rest(rest)
        done = await made.release("2")
        figures += report.release(done)
        notes.append("a release of " + report.verbs(count, done.requests, count))
        if count >= CRASH_FROM:
            figures += report.restart(await made.crash("3"))
        made.operator.stop()
        figures.append(Figure("CPU of the bare I/O of a tick, ms", count, await made.bare_io()))


async def idle(count: int, figures: list[Figure], notes: list[str]) -> None:
    """A large fleet left in peace. Raises Late."""
    async with trial(count) as made:
        figures.append(Figure("brought up in, s", count, await made.create()))
        rest = await made.rest(IDLE_SECONDS)
        figures += report.rest(rest)
        notes.append(f"{IDLE_SECONDS:g} s of rest of " + report.verbs(count, rest.requests, 1))


async def main(counts: Sequence[int], at_rest: int) -> tuple[str, bool]:
    """Measure and print; the table, and whether everything holds."""
    figures: list[Figure] = []
    notes: list[str] = []
    for count, measure in [*((each, released) for each in counts), *([(at_rest, idle)] if at_rest else [])]:
        known = len(figures)
        try:
            await measure(count, figures, notes)
        except (Late, AssertionError, OSError) as error:
            notes.append(f"{count} canaries: **{error}**")
        print("\n".join(figure.line() for figure in figures[known:]), flush=True)
    failed = any("**" in note for note in notes)
    return report.table(figures, notes), all(figure.holds for figure in figures) and not failed


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("counts", nargs="*", type=int, default=COUNTS)
    reader.add_argument("--idle", type=int, default=IDLE)
    reader.add_argument("--out", type=Path)
    asked = reader.parse_args()
    try:
        text, holds = asyncio.run(main(asked.counts, asked.idle))
    except NoPart as missing:
        sys.exit(f"bench: {missing}")
    print(text)
    if asked.out is not None:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text)
    sys.exit(0 if holds else 1)
