"""Child processes watched from outside: what the kernel says of their CPU time and memory, and what they expose."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGTERM, Signals

import aiohttp

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
STOP_SECONDS_MAX = 20.0
ROOT = Path(__file__).resolve().parents[1]


class Watched:
    """A running child; what it says goes to the end of `log`."""

    def __init__(self, argv: Sequence[str], log: Path, environ: Mapping[str, str] = {}) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env={**os.environ, **environ}
            )
        self._folder = Path(f"/proc/{self._process.pid}")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def cpu_seconds(self) -> float:
        """CPU time so far, in user and kernel mode."""
        return cpu_seconds(self.pid)

    @property
    def memory_mib(self) -> float:
        """Resident memory now."""
        return self._memory("VmRSS:")

    @property
    def peak_mib(self) -> float:
        """The most resident memory so far."""
        return self._memory("VmHWM:")

    def stop(self, number: Signals = SIGTERM) -> None:
        """End it, and wait."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def _memory(self, name: str) -> float:
        lines = (self._folder / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def python(*words: str) -> list[str]:
    """This interpreter with these words."""
    return [sys.executable, *words]


async def scrape(url: str) -> dict[str, float]:
    """The series of a /metrics page by their full names."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        lines = [line.rpartition(" ") for line in (await answer.text()).splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


def quantile(before: Mapping[str, float], after: Mapping[str, float], name: str, wanted: float) -> float:
    """A quantile of what a histogram took in between two scrapes: linear within the bucket, as PromQL has it."""
    bounds = sorted(
        (float(key.partition('le="')[2].partition('"')[0]), count - before.get(key, 0.0))
        for key, count in after.items()
        if key.startswith(f"{name}_bucket")
    )
    rank, low, below = wanted * bounds[-1][1], 0.0, 0.0
    for bound, count in bounds:
        if count >= rank and count > below:
            return low if bound == float("inf") else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return 0.0
