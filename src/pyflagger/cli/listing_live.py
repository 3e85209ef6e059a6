"""`flagger list --watch`: the table on a terminal, drawn anew; in a pipe, a line for each change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pyflagger.api.durations import stamp
from pyflagger.cli.cluster import Cluster
from pyflagger.cli.listing import Choice, progress, shown
from pyflagger.cli.live import Display, terminal
from pyflagger.cli.text import Screen, say
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Key
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.follow import Follower, Selected
from pyflagger.seeing.model import FleetRow
from pyflagger.seeing.read import Reader

SECOND, TICK_SECONDS = 1.0, 5.0


class Lines:
    """Prints a line for each change."""

    def __init__(self, tell: Callable[[str], Any]) -> None:
        self._tell, self._known = tell, dict[Key, str]()

    def show(self, rows: list[FleetRow], now: float) -> None:
        """Say what differs from the rows before."""
        found = {Key(each.namespace, each.name): progress(clean(each)) for each in rows}
        for key, line in found.items():
            if self._known.get(key) != line:
                self._tell(f"{stamp(now)}  {key}  {line}")
        for key in self._known.keys() - found.keys():
            self._tell(f"{stamp(now)}  {key}  gone")
        self._known = found


class Fleet:
    """The canaries of a choice, followed."""

    def __init__(self, cluster: Cluster, chosen: Choice) -> None:
        self._cluster, self._chosen = cluster, chosen
        self._what = Selected(CANARIES, chosen.namespace, labels=chosen.selector)
        self._ahead = 0.0
        self.follower = Follower(cluster.client, cluster.clock)

    @property
    def now(self) -> float:
        """The server's time."""
        return self._cluster.clock.now() + self._ahead

    async def begin(self) -> None:
        """Read the canaries and follow them. Raises ApiError."""
        reader = Reader(self._cluster.client, self._cluster.clock)
        first = await reader.list(CANARIES, self._chosen.namespace, self._chosen.selector, most=1)
        self._ahead = first.now - self._cluster.clock.now()
        await self.follower.follow(self._what)

    def rows(self) -> list[FleetRow]:
        """The rows as they are now."""
        return self._chosen.rows(self.follower.objects(self._what), self.now)

    @property
    def trouble(self) -> str:
        """What is wrong with the connection."""
        return self.follower.trouble(self._what)

    async def lines(self, tell: Callable[[str], Any]) -> None:
        """Print each change until cancelled."""
        printed, trouble = Lines(tell), ""
        while True:
            printed.show(self.rows(), self.now)
            await self.follower.change(TICK_SECONDS)
            if self.trouble != trouble:
                trouble = self.trouble
                print(f"{trouble}; trying again" if trouble else "the API server answers again", file=sys.stderr)

    async def drawn(self, display: Display, on: Screen, *, wide: bool) -> None:
        """Draw until the key `q`."""
        while "q" not in display.pressed():
            head = f"{self.trouble}; trying again\n" if self.trouble else ""
            display.draw(head + shown(self.rows(), self.now, on, self._chosen, wide=wide))
            await self.follower.change(SECOND)


async def watched(cluster: Cluster, chosen: Choice, on: Screen, *, wide: bool) -> int:
    """The whole command. Raises ApiError."""
    fleet = Fleet(cluster, chosen)
    await fleet.begin()
    try:
        if on.width is None:
            await fleet.lines(lambda line: say(line, on))
        else:
            with terminal(fleet.follower.changed.set) as display:
                await fleet.drawn(display, on, wide=wide)
    finally:
        await fleet.follower.stop()
    return 0
