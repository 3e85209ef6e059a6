"""Visitors: steady requests through the ingress, with counts of the versions that answer.

Started by `play`. It knows only two things of the cluster: the ingress's address and the canary's weight.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from itertools import cycle

import aiohttp

from pyflagger.cli.demo.scenario import Visitors
from pyflagger.clock import Clock
from pyflagger_sandbox.podinfo.handlers import SERVED_BY

PACE_SECONDS = 0.02
TIMEOUT_SECONDS = 10.0
SETTLE_SECONDS = 1.0
"""Seconds in which the ingress may still apply a changed weight. Requests in this time count for no weight."""


@dataclass(slots=True)
class Count:
    """Counts of requests: all, failed (no answer or a status other than 200), answered by the canary's pods."""

    total: int = 0
    failed: int = 0
    canary: int = 0
    strayed: int = 0
    """Requests with a cookie of the canary that another version answered."""

    def add(self, failed: bool, canary: bool, strayed: bool = False) -> None:
        """Count a request."""
        self.total += 1
        self.failed += failed
        self.canary += canary
        self.strayed += strayed

    @property
    def share(self) -> float:
        """Percent of requests that the canary answered."""
        return round(100 * self.canary / self.total, 1) if self.total else 0.0

    def document(self) -> dict[str, int]:
        """The counts as JSON."""
        return {"total": self.total, "failed": self.failed, "canary": self.canary}


@dataclass(slots=True, eq=False)
class Tally:
    """Counts: all, by group of visitors, and by settled weight. Compared by identity."""

    all: Count = field(default_factory=Count)
    groups: dict[str, Count] = field(default_factory=dict)
    weights: dict[int, Count] = field(default_factory=dict)

    def add(self, group: str, weight: int | None, failed: bool, canary: bool, strayed: bool = False) -> None:
        """Count a request. `weight` is None while it is not settled."""
        self.all.add(failed, canary, strayed)
        self.groups.setdefault(group, Count()).add(failed, canary, strayed)
        if weight is not None:
            self.weights.setdefault(weight, Count()).add(failed, canary)


@dataclass(slots=True)
class Person:
    """A visitor with cookies. `marks`: the cookies that came with an answer of the canary, by name."""

    jar: dict[str, str] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)

    @property
    def headers(self) -> dict[str, str]:
        """The Cookie header."""
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())} if self.jar else {}

    def take(self, cookies: SimpleCookie, canary: bool) -> None:
        """Store the cookies that an answer sets, and drop those that it deletes."""
        for name, morsel in cookies.items():
            self.jar.pop(name, None)
            self.marks.discard(name)
            if not morsel["max-age"].startswith(("-", "0")):
                self.jar[name] = morsel.value
                self.marks |= {name} if canary else set()


class Crowd:
    """Visitors that send requests at a steady rate, answered or not."""

    def __init__(
        self, url: str, host: str, target: str, groups: Sequence[Visitors], clock: Clock, weight: Callable[[], int]
    ) -> None:
        self._url, self._host, self._target = url, host, target
        self._groups, self._clock, self._weight = groups, clock, weight
        self._last, self._since = 0, float("-inf")
        self._people = {group.name: cycle([Person() for _ in range(group.people or 1)]) for group in groups}
        self._under_way: set[asyncio.Task[None]] = set()
        self.tallies: list[Tally] = []

    def count(self) -> Tally:
        """Start a tally, next to those that are running."""
        tally = Tally()
        self.tallies.append(tally)
        return tally

    def done(self, tally: Tally) -> None:
        """Stop a tally."""
        self.tallies.remove(tally)

    async def run(self) -> None:
        """Send requests until cancelled."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            due = [self._clock.monotonic()] * len(self._groups)
            while True:
                now = self._clock.monotonic()
                for at, group in enumerate(self._groups):
                    while due[at] <= now:
                        due[at] += 1 / group.rate
                        self._send(session, group)
                await self._clock.sleep(PACE_SECONDS)

    async def finish(self) -> None:
        """Wait for outstanding answers."""
        await asyncio.gather(*self._under_way)

    def _send(self, session: aiohttp.ClientSession, group: Visitors) -> None:
        task = asyncio.get_running_loop().create_task(self._visit(session, group, self._settled(), tuple(self.tallies)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _settled(self) -> int | None:
        """The current weight; None if it changed a moment ago."""
        weight, now = self._weight(), self._clock.monotonic()
        if weight != self._last:
            self._last, self._since = weight, now
        return weight if now - self._since >= SETTLE_SECONDS else None

    async def _visit(
        self, session: aiohttp.ClientSession, group: Visitors, weight: int | None, tallies: Iterable[Tally]
    ) -> None:
        failed, canary, strayed = True, False, False
        person = next(self._people[group.name])
        marked, headers = bool(person.marks), {**group.headers, **person.headers, "Host": self._host}
        try:
            async with session.get(self._url, headers=headers) as answer:
                await answer.read()
                failed = answer.status != 200
                canary = self._is_canary(answer.headers.get(SERVED_BY, ""))
                if group.people:
                    strayed = marked and not canary and bool(weight) and self._settled() == weight
                    person.take(answer.cookies, canary)
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        for tally in tallies:
            tally.add(group.name, weight, failed, canary, strayed)

    def _is_canary(self, pod: str) -> bool:
        return bool(pod) and not pod.startswith(f"{self._target}-primary-")
