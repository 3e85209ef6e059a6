"""One trial: so many canaries brought up, left in peace, released at once, and released again with a crash in between.

Called by `bench.__main__` for each size. What it measures it takes from outside: from the audit log, from the kernel,
from its own watch; only the lag of a tick is the operator's own word.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from signal import SIGKILL
from statistics import median

from bench.environment import Environment, place
from bench.fleet import Fleet, Late
from bench.nodes import REPLACED, pods, workloads
from bench.process import ROOT, Watched, cpu_seconds, python, quantile, scrape
from bench.witness import Request, Witness, bill, crooked, first_step, gaps
from pyflagger.clock import SystemClock
from pyflagger_sandbox.network.ingress import free_port
from stage.fleet import IDEAL_SECONDS, INTERVAL, STEPS

TICKS = len(STEPS) + 1
"""Rounds of a release: the first step, one a step after it; the last one ends in the promotion."""

PODS_MAX = 200
"""Up to so many canaries pods are played one by one; more of them leave two cores nothing for the operator."""

REST_SECONDS = 45.0
CREATED_SECONDS_MAX, RELEASED_SECONDS_MAX = 900.0, 150.0
TAIL_SECONDS = 5.0
"""For what is written after the last phase has changed: events, and pods that go."""

CRASH_AFTER = 1.5 * INTERVAL
LAG = "flagger_canary_tick_lag_seconds"


@dataclass(frozen=True)
class Rest:
    """A fleet at rest. `requests` by verb and resource in `seconds`."""

    canaries: int
    seconds: float
    requests: Counter[str]
    cpu_seconds: float
    memory_mib: float

    @property
    def a_minute(self) -> float:
        """Requests a minute for each canary."""
        return self.requests.total() / self.canaries / self.seconds * 60


@dataclass(frozen=True)
class Release:
    """A fleet released at once. Milliseconds of lag; `seconds`: of each release."""

    canaries: int
    requests: Counter[str]
    cpu_seconds: float
    memory_mib: float
    peak_mib: float
    lag_p50_ms: float
    lag_p99_ms: float
    late_p99_ms: float
    seconds: Sequence[float]
    crooked: Mapping[str, Sequence[int]]
    machine: Mapping[str, float]
    """CPU seconds of each process meanwhile."""

    @property
    def a_release(self) -> float:
        """Requests a release."""
        return self.requests.total() / self.canaries

    @property
    def cpu_ms_a_tick(self) -> float:
        """Milliseconds of CPU for each round of a canary, all else that a release takes in it."""
        return self.cpu_seconds / (self.canaries * TICKS) * 1000

    @property
    def of_ideal(self) -> float:
        """The slowest release over its ideal."""
        return max(self.seconds) / IDEAL_SECONDS

    @property
    def median_of_ideal(self) -> float:
        """The release in the middle over its ideal."""
        return median(self.seconds) / IDEAL_SECONDS


@dataclass(frozen=True)
class Restart:
    """A crash amid releases. `first_step`: seconds from the new process's start; `crooked`: whose steps went wrong."""

    canaries: int
    first_step: float | None
    released_after: float
    crooked: Mapping[str, Sequence[int]]
    heard: Sequence[Request]


class Trial:
    """One size on one place. Phases are called in order; each may be left out."""

    def __init__(self, where: Environment, fleet: Fleet) -> None:
        self._place, self._fleet, self._clock = where, fleet, SystemClock()
        self._witness = Witness(where.plane.audit)
        self._start()

    def _start(self) -> None:
        self._port = free_port()
        self.operator: Watched = self._place.operator(self._port)

    @property
    def canaries(self) -> int:
        """How many there are."""
        return len(self._fleet.names)

    async def create(self) -> float:
        """Bring the fleet up; seconds. Raises Late."""
        began = self._clock.monotonic()
        await self._fleet.create(CREATED_SECONDS_MAX)
        return self._clock.monotonic() - began

    async def rest(self, seconds: float = REST_SECONDS) -> Rest:
        """Leave the fleet in peace."""
        await asyncio.sleep(TAIL_SECONDS)
        self._witness.hear()
        before = self.operator.cpu_seconds
        await asyncio.sleep(seconds)
        requests, spent = bill(self._witness.hear()), self.operator.cpu_seconds - before
        return Rest(self.canaries, seconds, requests, spent, self.operator.memory_mib)

    async def release(self, version: str) -> Release:
        """Release everything at once. Raises Late."""
        self._witness.hear()
        lag, spent = await self._scrape(), self._cpu()
        took = await self._released(await self._fleet.release(version))
        await asyncio.sleep(TAIL_SECONDS)
        machine = {name: seconds - spent[name] for name, seconds in self._cpu().items()}
        heard, after = self._witness.hear(), await self._scrape()
        late = sorted(gap - INTERVAL for gap in gaps(heard)) or [float("nan")]
        return Release(
            canaries=self.canaries,
            requests=bill(heard),
            cpu_seconds=machine["operator"],
            memory_mib=self.operator.memory_mib,
            peak_mib=self.operator.peak_mib,
            lag_p50_ms=quantile(lag, after, LAG, 0.5) * 1000,
            lag_p99_ms=quantile(lag, after, LAG, 0.99) * 1000,
            late_p99_ms=late[int(len(late) * 0.99)] * 1000,
            seconds=took,
            crooked=crooked(heard, STEPS),
            machine=machine,
        )

    async def crash(self, version: str) -> Restart:
        """Release everything, kill the operator in the middle, and start another one. Raises Late."""
        self._witness.hear()
        asked = await self._fleet.release(version)
        await asyncio.sleep(CRASH_AFTER)
        before = self._witness.hear()
        self.operator.stop(SIGKILL)
        began = self._clock.now()
        self._start()
        took = await self._released(asked)
        await asyncio.sleep(TAIL_SECONDS)
        heard = self._witness.hear()
        old = {each.token for each in before}
        first = first_step((each for each in heard if each.token not in old), began)
        return Restart(self.canaries, first, max(took), crooked([*before, *heard], STEPS), [*before, *heard])

    async def bare_io(self) -> float:
        """Milliseconds of CPU that the bare I/O of a tick takes on this place, the operator at rest."""
        where = self._place
        words = (where.plane.url, where.metrics, str(self.canaries), str(where.plane.authority))
        child = await asyncio.create_subprocess_exec(*python("-m", "bench.floor", *words), cwd=ROOT, stdout=PIPE)
        out, _ = await child.communicate()
        return float(out)

    def log(self) -> str:
        """The end of what the operator said."""
        return (self._place.folder / "operator.log").read_text(errors="replace")[-2000:]

    async def _released(self, asked: Mapping[str, float]) -> list[float]:
        done = await self._fleet.until(asked, "Succeeded", RELEASED_SECONDS_MAX)
        return [done[name] - asked[name] for name in asked]

    def _cpu(self) -> dict[str, float]:
        pids = {"operator": self.operator.pid, **self._place.pids()}
        return {name: cpu_seconds(pid) for name, pid in pids.items()}

    async def _scrape(self) -> dict[str, float]:
        return await scrape(f"http://127.0.0.1:{self._port}/metrics")


@asynccontextmanager
async def trial(count: int) -> AsyncIterator[Trial]:
    """A trial of a size while the block runs, on a control plane of its own."""
    played = count <= PODS_MAX
    async with place(() if played else REPLACED) as where:
        clock = SystemClock()
        nodes = (pods if played else workloads)(where.client, clock)
        fleet = Fleet(where.client, clock, count)
        await nodes.start()
        await fleet.start()
        made = Trial(where, fleet)
        try:
            yield made
        except Late:
            print(made.log(), flush=True)
            raise
        finally:
            made.operator.stop()
            await fleet.stop()
            await nodes.stop()
