"""`flagger events`: the Events of a canary and of its objects, in one order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from pyflagger.api.durations import stamp
from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.listing import rendered
from pyflagger.cli.people import SETTINGS, Duration
from pyflagger.cli.single import about_one, key_of, missing, watched
from pyflagger.cli.text import Column, Screen, say, screen, table
from pyflagger.kube.client import NotFound
from pyflagger.kube.resources import EVENTS
from pyflagger.objects import Obj
from pyflagger.seeing import documents
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.model import EventView

if TYPE_CHECKING:
    from pyflagger.seeing.follow import Watched

COLUMNS = (Column("TIME"), Column("TYPE"), Column("OBJECT"), Column("REASON"), Column("MESSAGE", flexible=True))
TICK_SECONDS = 5.0


def cells(event: EventView) -> list[str]:
    """An Event as a row."""
    at = stamp(event.at) if event.at is not None else "-"
    times = f" ({event.times} times)" if event.times > 1 else ""
    return [at, event.type, event.object, event.reason, f"{event.text}{times}"]


def lines(events: Sequence[EventView], on: Screen) -> list[str]:
    """The table."""
    return ["  ".join(line).rstrip() for line in table(COLUMNS, [cells(each) for each in clean(tuple(events))], on)]


class Happening:
    """The Events of one canary, followed."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._told = set[EventView]()

    async def events(self, since: float) -> list[EventView] | None:
        """The Events that are not older than some seconds (0: all); None if the canary was deleted. Raises ApiError."""
        from pyflagger.seeing.follow import Selected
        from pyflagger.seeing.happened import Owns, event_of, in_order

        found = await self._watched.look()
        if found is None:
            return None
        owns = Owns(found)
        seen: list[Obj] = await self._watched.more(Selected(EVENTS, found.canary["metadata"]["namespace"]))
        begin = self._watched.now - since if since else 0.0
        return in_order(map(event_of, filter(owns, seen)), begin)

    async def go_on(self, since: float, tell: Callable[[EventView], Any]) -> None:
        """Tell each Event once, and again when it repeats, until the canary is deleted. Raises ApiError."""
        from pyflagger.seeing.happened import in_order

        begin = self._watched.now - since if since else 0.0
        while (found := await self.events(0.0)) is not None:
            for each in in_order(found, begin):
                if each not in self._told:
                    self._told.add(each)
                    tell(each)
            await self._watched.change(TICK_SECONDS)


@click.command("events", context_settings=SETTINGS)
@about_one
@click.option("-w", "--watch", is_flag=True, help="go on, and show each new Event")
@click.option("--since", type=Duration(), default="0", help="only the last, such as 10m; 0: all that there are")
@click.option("-o", "--output", type=click.Choice(("json", "yaml")), help="another form")
@on_cluster
async def command(
    cluster: Cluster, name: str, mesh_provider: str, color: str, watch: bool, since: float, output: str | None
) -> int:
    """Show the Events of the canary NAME, its workloads, ReplicaSets, pods and routes, the oldest first."""
    if watch and output:
        raise Wrong(f"--watch prints text: leave --output={output} out", 2)
    key, on = key_of(name, cluster.namespace), screen(color)
    found_by = watched(cluster, key, mesh_provider)
    try:
        await found_by.begin()
        if watch:
            await Happening(found_by).go_on(since, lambda each: say("  ".join(cells(clean(each))), on))
        else:
            show(await Happening(found_by).events(since) or [], on, output)
    except NotFound as error:
        raise missing(key, error) from error
    finally:
        await found_by.stop()
    return 0


def show(events: list[EventView], on: Screen, output: str | None) -> None:
    """Print Events."""
    if output:
        print(rendered(documents.document("EventList", {"items": events}), output))
    elif events:
        say("\n".join(lines(events, on)), on)
    else:
        print("No Events. Kubernetes keeps them for an hour.", file=sys.stderr)
