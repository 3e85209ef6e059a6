"""`python -m bench [COUNT…] [--idle COUNT] [--out FILE]`: the operator measured on a real control plane.

For each count: canaries brought up, left in peace, released at once; with 1000 of them, released once more with a crash
in between. `--idle`: so many that are only left in peace. Prints figures as they come and writes a table, a fragment of
`docs/benchmarks.md`, after each size; every phase is bounded. Exit status 1 when a
figure is worse than what it is held to.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import uvloop
from e2e.parts import NoPart

from bench import report
from bench.report import Figure
from bench.trial import trial

COUNTS = (20, 200, 1000)
CRASH_FROM = 1000
IDLE, IDLE_SECONDS = 5000, 60.0
SECONDS_MAX = 20.0 * 60
"""For everything: what has not been measured by then is left out, and said to be."""


class Figures(list[Figure]):
    """What was measured so far, printed as it comes: a run that is stopped has told what it knew."""

    def tell(self, *figures: Figure) -> None:
        """Add some."""
        self.extend(figures)
        print("\n".join(figure.line() for figure in figures), flush=True)


async def released(count: int, figures: Figures, notes: list[str]) -> None:
    """All phases for one size; figures so far stay when a later phase fails. Raises Late."""
    async with trial(count) as made:
        figures.tell(Figure("brought up in, s", count, await made.create()))
        rest = await made.rest()
        figures.tell(*report.rest(rest))
        done = await made.release("2")
        figures.tell(*report.release(done))
        notes += ["a release of " + report.verbs(count, done.requests, count), report.shares(done)]
        if count >= CRASH_FROM:
            crashed = await made.crash("3")
            figures.tell(*report.restart(crashed))
            notes += report.astray(crashed)
        made.operator.stop()
        figures.tell(Figure("CPU of the bare I/O of a tick, ms", count, await made.bare_io()))


async def idle(count: int, figures: Figures, notes: list[str]) -> None:
    """A large fleet left in peace. Raises Late."""
    async with trial(count) as made:
        figures.tell(Figure("brought up in, s", count, await made.create()))
        rest = await made.rest(IDLE_SECONDS)
        figures.tell(*report.rest(rest))
        notes.append(f"{IDLE_SECONDS:g} s of rest of " + report.verbs(count, rest.requests, 1))


async def main(counts: Sequence[int], at_rest: int, out: Path | None) -> bool:
    """Measure, print, and write what is known after each size; whether everything holds.

    SIGTERM ends it and every child of it.
    """
    this, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert this is not None
    loop.add_signal_handler(SIGTERM, this.cancel)
    figures, notes, end = Figures(), list[str](), loop.time() + SECONDS_MAX
    for count, measure in [*((each, released) for each in counts), *([(at_rest, idle)] if at_rest else [])]:
        told = len(notes)
        try:
            async with asyncio.timeout_at(end):
                await measure(count, figures, notes)
        except TimeoutError:
            notes.append(f"{count} canaries: **not measured to the end within {SECONDS_MAX / 60:g} minutes**")
        except Exception as error:
            notes.append(f"{count} canaries: **{type(error).__name__}: {error}**")
        print("\n".join(notes[told:]), flush=True)
        _write(out, report.table(figures, notes))
    return all(figure.holds for figure in figures) and not any("**" in note for note in notes)


def _write(out: Path | None, text: str) -> None:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("counts", nargs="*", type=int, default=COUNTS)
    reader.add_argument("--idle", type=int, default=IDLE)
    reader.add_argument("--out", type=Path)
    asked = reader.parse_args()
    try:
        holds = uvloop.run(main(asked.counts, asked.idle, asked.out))
    except NoPart as missing:
        sys.exit(f"bench: {missing}")
    except asyncio.CancelledError:
        sys.exit("bench: stopped")
    sys.exit(0 if holds else 1)
