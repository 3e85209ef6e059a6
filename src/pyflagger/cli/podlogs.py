"""`flagger logs`: the logs of the pods of both versions, with role and pod before each line. New pods are followed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.people import SETTINGS, Duration
from pyflagger.cli.single import about_one, key_of, missing, watched
from pyflagger.cli.text import say, screen
from pyflagger.kube.client import ApiError, NotFound
from pyflagger.kube.errors import error_of
from pyflagger.kube.protocol import ApiRequest, TransportError
from pyflagger.kube.resources import PODS
from pyflagger.objects import Obj, part
from pyflagger.seeing import raw
from pyflagger.seeing.cleaning import clean

if TYPE_CHECKING:
    from pyflagger.seeing.follow import Watched

TICK_SECONDS = 5.0
PAUSE_SECONDS = 1.0
STARTED = ("running", "terminated")


class Asked(NamedTuple):
    """Which lines. `since` in seconds, 0: all. `tail`: lines of each container, None: all."""

    role: str = ""
    container: str = ""
    since: float = 0.0
    tail: int | None = None
    previous: bool = False
    follow: bool = False


class Log(NamedTuple):
    """The log of one run of a container."""

    role: str
    namespace: str
    pod: str
    container: str
    run: int
    alone: bool

    @property
    def head(self) -> str:
        """What stands before each line."""
        return f"{self.role} {self.pod}" + ("" if self.alone else f" {self.container}")


def logs(role: str, pod: Obj, asked: Asked) -> Iterator[Log]:
    """The logs of a pod that exist: of containers that have started."""
    meta = pod["metadata"]
    statuses = {raw.text(each, "name"): each for each in raw.items(part(pod, "status"), "containerStatuses")}
    for name, status in statuses.items():
        begun = any(part(status, "state").get(state) for state in STARTED) or raw.number(status, "restartCount")
        if begun and asked.container in ("", name):
            alone = len(statuses) == 1
            yield Log(role, meta["namespace"], meta["name"], name, raw.number(status, "restartCount"), alone)


class Reading:
    """Reads logs and tells their lines. `tell` takes a line of a log, `warn` what could not be read."""

    def __init__(self, cluster: Cluster, asked: Asked, tell: Callable[[str], Any], warn: Callable[[str], Any]) -> None:
        self._cluster, self._asked, self._tell, self._warn = cluster, asked, tell, warn

    async def once(self, log: Log) -> bool:
        """Tell what there is. Returns whether it could be read."""
        try:
            request = self._request(log, {})
            answer = await self._cluster.client.once(request)
            if answer.status >= 400:
                raise error_of("get", request.path, answer.status, answer.body)
        except (ApiError, TransportError) as error:
            self._warn(f"{log.head}: {error}")
            return False
        for line in answer.body.decode(errors="replace").splitlines():
            self._tell(f"{log.head}  {line}")
        return True

    async def follow(self, log: Log) -> None:
        """Tell each line until the container ends. After a broken connection it goes on where it was."""
        clock, more = self._cluster.clock, dict[str, str]()
        last = clock.monotonic()
        while True:
            try:
                async for line in self._lines(self._request(log, {"follow": "true", **more})):
                    last = clock.monotonic()
                    self._tell(f"{log.head}  {line}")
                return
            except ApiError as error:
                self._warn(f"{log.head}: {error}")
                return
            except TransportError as error:
                self._warn(f"{log.head}: {error}; trying again")
                await clock.sleep(PAUSE_SECONDS)
                more = {"sinceSeconds": str(ceil(clock.monotonic() - last))}

    async def _lines(self, request: ApiRequest) -> AsyncIterator[str]:
        async with self._cluster.client.transport.stream(request) as stream:
            if stream.status >= 400:
                raise error_of("get", request.path, stream.status, stream.body)
            async for line in stream.lines:
                yield line.decode(errors="replace").rstrip("\n")

    def _request(self, log: Log, more: dict[str, str]) -> ApiRequest:
        asked = self._asked
        query = {"container": log.container}
        query |= {"sinceSeconds": str(max(1, ceil(asked.since)))} if asked.since else {}
        query |= {"tailLines": str(asked.tail)} if asked.tail is not None else {}
        query |= {"previous": "true"} if asked.previous else {}
        if "sinceSeconds" in more:
            query.pop("tailLines", None)
        return ApiRequest("GET", PODS.path(log.namespace, log.pod, "log"), query | more)


async def found_logs(watched: Watched, asked: Asked) -> list[Log] | None:
    """The logs that there are now; None if the canary was deleted. Raises ApiError."""
    found = await watched.look()
    if found is None:
        return None
    pods = await watched.pods(found)
    chosen = {role: each for role, each in pods.items() if asked.role in ("", role)}
    return [log for role, each in chosen.items() for pod in each for log in logs(role, pod, asked)]


async def follow_all(watched: Watched, reading: Reading, asked: Asked) -> None:
    """Follow every log, those of new pods and of restarted containers too, until the canary is deleted."""
    tasks = dict[Log, asyncio.Task[None]]()
    try:
        while (found := await found_logs(watched, asked)) is not None:
            for log in found:
                if log not in tasks:
                    tasks[log] = asyncio.create_task(reading.follow(log))
            await watched.change(TICK_SECONDS)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


@click.command("logs", context_settings=SETTINGS)
@about_one
@click.option("-f", "--follow", is_flag=True, help="go on, also with new pods")
@click.option("--role", type=click.Choice(("primary", "canary")), help="the pods of one version")
@click.option("-c", "--container", default="", show_default=False, help="one container; default: all", metavar="NAME")
@click.option("--since", type=Duration(), default="0", help="only the last, such as 10m; 0: all")
@click.option("--tail", type=click.IntRange(min=-1), default=-1, help="lines of each container; -1: all")
@click.option("-p", "--previous", is_flag=True, help="of the run before the last restart")
@on_cluster
async def command(
    cluster: Cluster,
    name: str,
    mesh_provider: str,
    color: str,
    follow: bool,
    role: str | None,
    container: str,
    since: float,
    tail: int,
    previous: bool,
) -> int:
    """Show the logs of the pods of the canary NAME, with role and pod before each line."""
    asked = Asked(role or "", container, since, None if tail < 0 else tail, previous, follow)
    key, on = key_of(name, cluster.namespace), screen(color)
    found_by = watched(cluster, key, mesh_provider)
    reading = Reading(
        cluster, asked, lambda line: say(line, on), lambda text: print(clean(text), file=sys.stderr, flush=True)
    )
    try:
        await found_by.begin()
        if follow:
            await follow_all(found_by, reading, asked)
            return 0
        found = await found_logs(found_by, asked) or []
        if not found:
            raise Wrong(f"no pod of canary {key} has a log that fits")
        return 0 if all([await reading.once(log) for log in found]) else 1
    except NotFound as error:
        raise missing(key, error) from error
    finally:
        await found_by.stop()
