"""What was measured, as a table for people and for `docs/benchmarks.md`, each figure beside what it is held to."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.trial import Release, Rest, Restart

IDLE_MAX, REQUESTS_MAX, CPU_MS_MAX, LAG_P99_MS_MAX = 0.1, 25.0, 5.0, 250.0
MEMORY_MIB_MAX = {20: 65.0, 200: 75.0, 1000: 130.0}
OF_IDEAL_MAX = {20: 1.15, 1000: 1.25}
FIRST_STEP_SECONDS_MAX = 10.0
ASTRAY_MAX = 8


@dataclass(frozen=True)
class Figure:
    """One line: what, of how many canaries, how much, and the most it may be (None: only shown)."""

    what: str
    canaries: int
    value: float
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it is within what it is held to."""
        return self.most is None or self.value <= self.most

    def line(self) -> str:
        """A row of the table."""
        held = "" if self.most is None else f"≤ {self.most:g}" + ("" if self.holds else " **missed**")
        return f"| {self.what} | {self.canaries} | {self.value:.4g} | {held} |"


def rest(found: Rest) -> list[Figure]:
    """Figures of a fleet at rest."""
    count = found.canaries
    return [
        Figure("at rest: API requests a minute for each canary", count, found.a_minute, IDLE_MAX),
        Figure("at rest: CPU, ms a second", count, found.cpu_seconds / found.seconds * 1000),
        Figure("at rest: memory, MiB", count, found.memory_mib, MEMORY_MIB_MAX.get(count)),
        Figure("at rest: memory for each canary, KiB", count, found.memory_mib * 1024 / count),
    ]


def release(found: Release) -> list[Figure]:
    """Figures of a release of all at once."""
    count = found.canaries
    return [
        Figure("API requests a release", count, found.a_release, REQUESTS_MAX),
        Figure("CPU a canary-tick, ms", count, found.cpu_ms_a_tick, CPU_MS_MAX),
        Figure("memory after the releases, MiB", count, found.memory_mib, MEMORY_MIB_MAX.get(count)),
        Figure("memory at its peak, MiB", count, found.peak_mib),
        Figure("tick lag p50, ms", count, found.lag_p50_ms),
        Figure("tick lag p99, ms", count, found.lag_p99_ms, LAG_P99_MS_MAX if count == 1000 else None),
        Figure("step to step beyond the interval, p99, ms (audit log)", count, found.late_p99_ms),
        Figure("slowest release over its ideal", count, found.of_ideal, OF_IDEAL_MAX.get(count)),
        Figure("median release over its ideal", count, found.median_of_ideal),
        Figure("canaries that did not take each step once", count, len(found.crooked), 0),
    ]


def restart(found: Restart) -> list[Figure]:
    """Figures of a crash amid releases."""
    first = float("inf") if found.first_step is None else found.first_step
    count = found.canaries
    return [
        Figure("crash: new process to the first step, s", count, first, FIRST_STEP_SECONDS_MAX),
        Figure("crash: slowest release, s", count, found.released_after),
        Figure("crash: canaries restarted or stepped twice", count, len(found.crooked), 0),
    ]


def verbs(count: int, requests: Counter[str], per: float) -> str:
    """One line of what was asked, by verb and resource."""
    told = ", ".join(f"{kind} {number / per:.3g}" for kind, number in requests.most_common())
    return f"{count} canaries: {told or 'nothing'}"


def astray(found: Restart) -> list[str]:
    """The steps of some canaries that went wrong, with the answers; an error may be a dead client's."""
    lines = []
    for name in sorted(found.crooked)[:ASTRAY_MAX]:
        asked = [each for each in found.heard if each.canary == name and each.asked_weight is not None]
        lines.append(f"{name}: " + ", ".join(f"{each.asked_weight} % ({each.status})" for each in asked))
    return lines


def shares(found: Release) -> str:
    """One line of who had the machine while everything was released."""
    told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found.machine.items())
    return f"{found.canaries} canaries released: seconds of CPU of {told}"


def table(figures: Iterable[Figure], notes: Sequence[str]) -> str:
    """The whole fragment."""
    cpu = next((x.partition(": ")[2] for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), "")
    machine = f"{os.cpu_count()} × {cpu or platform.machine()}, Python {platform.python_version()}"
    rows = "\n".join(figure.line() for figure in figures)
    asked = "\n".join(f"- {note}" for note in notes)
    return f"### {machine}\n\n| figure | canaries | value | held to |\n|---|---|---|---|\n{rows}\n\n{asked}\n"
