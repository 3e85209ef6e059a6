"""`python -m bench [COUNT…]`: releases of so many canaries at once, and what each cost the operator. Prints a table.

The operator is `flagger run` as a process of its own over real HTTP; the figures beside it are those of a bare loop
that does only the I/O of a tick, measured in the same run on the same server.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import dataclass, fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.stand import Stand, Watched, python, scrape, stand
from stage.fleet import IDEAL_SECONDS, STEPS, Fleet

TICKS = len(STEPS) + 1
"""Judging rounds of a release: the first step, one a step after it, and the one that ends in the promotion."""

COUNTS = (20, 200)
REST_SECONDS = 30.0


@dataclass(frozen=True)
class Row:
    """The figures for one number of canaries. Milliseconds, MiB, requests, seconds; `ratio` to the bare I/O."""

    canaries: int
    requests_a_release: float
    reads: int
    requests_at_rest: int
    released_after: float
    of_ideal: float
    cpu_ms_a_tick: float
    bare_io_ms_a_tick: float
    ratio: float
    lag_p99_ms: float
    memory_mib: float


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def operator(place: Stand, port: int) -> Watched:
    """`flagger run` against the stand."""
    return await python(
        *("-m", "pyflagger", "run", f"-master={place.api}", f"-metrics-server={place.metrics}"),
        *("-mesh-provider=nginx", "-log-level=info", f"-port={port}"),
    )


def quantile(series: dict[str, float], name: str, wanted: float) -> float:
    """The upper bound of the bucket that holds a quantile of a histogram."""
    buckets = sorted(
        (float(key.partition('le="')[2].partition('"')[0]), count)
        for key, count in series.items()
        if key.startswith(f"{name}_bucket")
    )
    total = buckets[-1][1]
    return next(bound for bound, count in buckets if count >= wanted * total)


async def measure(count: int) -> Row:
    """One number of canaries, on a stand of its own."""
    async with stand() as place:
        port = free_port()
        watched = await operator(place, port)
        try:
            fleet = Fleet(count, place.stage)
            await fleet.begin()
            await asyncio.sleep(REST_SECONDS)
            at_rest = sum(n for (verb, _), n in fleet.asked().items() if verb != "watch")
            before = watched.cpu_seconds
            bill = await fleet.release()
            spent, memory = watched.cpu_seconds - before, watched.memory_mib
            series = await scrape(f"http://127.0.0.1:{port}/metrics")
        finally:
            await watched.stop()
        floor = float(await (await python("-m", "bench.floor", place.api, place.metrics, str(count))).end())
    tick, last = spent / (count * TICKS) * 1000, max(bill.seconds.values())
    return Row(
        canaries=count,
        requests_a_release=bill.a_release,
        reads=bill.reads.total(),
        requests_at_rest=at_rest,
        released_after=last,
        of_ideal=last / IDEAL_SECONDS,
        cpu_ms_a_tick=tick,
        bare_io_ms_a_tick=floor,
        ratio=tick / floor,
        lag_p99_ms=quantile(series, "flagger_canary_tick_lag_seconds", 0.99) * 1000,
        memory_mib=memory,
    )


async def main(counts: tuple[int, ...]) -> None:
    """Measure and print, a row for each figure."""
    rows = [await measure(count) for count in counts]
    for field in fields(Row):
        values = "".join(f"{getattr(row, field.name):>12.4g}" for row in rows)
        sys.stdout.write(f"{field.name.replace('_', ' '):<22}{values}\n")


if __name__ == "__main__":
    asyncio.run(main(tuple(map(int, sys.argv[1:])) or COUNTS))
