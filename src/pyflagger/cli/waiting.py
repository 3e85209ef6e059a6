"""`flagger wait`: waits until a release has ended. Its exit status tells CI how."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from pyflagger.api.durations import show, stamp
from pyflagger.cli.cluster import Cluster, Wrong, on_cluster
from pyflagger.cli.completing import names
from pyflagger.cli.listing import progress
from pyflagger.cli.people import SETTINGS, Duration
from pyflagger.cli.single import key_of, missing, provider_option, seen, watched
from pyflagger.cli.text import say, screen
from pyflagger.kube.client import NotFound
from pyflagger.kube.errors import Forbidden
from pyflagger.kube.resources import UnknownKind, resource_of
from pyflagger.objects import Key
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.fleet import row
from pyflagger.seeing.waiting import Asked, Ending, Goal, Status, Waiting, sight

if TYPE_CHECKING:
    from pyflagger.seeing.look import Look

TICK_SECONDS = 5.0
"""How long a look lasts without a change: an operator that stops writing is noticed by time alone."""

Tell = Callable[[float, str], None]
"""Called with the server's time and a line for each change."""


async def ended(
    cluster: Cluster, key: Key, asked: Asked, mesh_provider: str, tell: Tell, *, stays: bool = False
) -> Ending:
    """Wait for the end. With `stays`, only the end of the canary ends it.

    Raises ApiError if the canary cannot be read, but not while the API server is away. Raises Wrong if the target
    cannot be read.
    """
    found_by = watched(cluster, key, mesh_provider)
    state, said, trouble = Waiting(asked), "", ""
    await found_by.begin()
    try:
        while True:
            found = await found_by.look()
            if found is None:
                return Ending(Status.ERROR, f"canary {key} was deleted")
            if not stays and asked.goal is not Goal.IDLE:
                _may_read(found)
            state, ending = state.step(sight(found), found_by.now)
            line = progress(clean(row(found.canary, found_by.now)))
            line = f"the target does not have the image {state.late} yet; {line}" if state.late else line
            if line != said:
                tell(found_by.now, line)
                said = line
            if ending and not stays:
                return ending
            await found_by.change(TICK_SECONDS)
            if found_by.trouble != trouble:
                trouble = found_by.trouble
                tell(found_by.now, f"{trouble}; trying again" if trouble else "the API server answers again")
    finally:
        await found_by.stop()


def _may_read(found: Look) -> None:
    """Raises Wrong if the person may not read the target: its revision names the release to wait for."""
    target = found.compiled.target
    try:
        resource = resource_of(target)
    except UnknownKind:
        return
    refusal = found.cache.refusal(resource)
    if isinstance(refusal, Forbidden):
        right = f"get {resource.full_name} in namespace {target.namespace}"
        text = refusal.problem.text.rstrip(". ")
        raise Wrong(f"cannot see the revision of the target: {text}. Ask for the right to {right}")


async def in_time(cluster: Cluster, key: Key, asked: Asked, mesh_provider: str, tell: Tell, limit: float) -> Ending:
    """The end, or that the time is over. `limit` in seconds; 0: none. Raises ApiError."""
    try:
        async with asyncio.timeout(limit or None):
            return await ended(cluster, key, asked, mesh_provider, tell)
    except TimeoutError:
        return Ending(Status.TIMEOUT, f"the release has not ended within {show(limit)}")


async def why(cluster: Cluster, name: str, mesh_provider: str) -> str:
    """Why the canary stands, in a line. Raises ApiError."""
    from pyflagger.seeing.explain import explain

    read = await seen(cluster, name, mesh_provider)
    found = explain(read.look, read.view)
    words = [found.headline, *(f"{each.text.rstrip('. ')}. {each.todo}".rstrip() for each in found.causes[:1])]
    return " ".join(words)


@click.command("wait", context_settings=SETTINGS)
@click.argument("name", shell_complete=names)
@click.option("--for", "goal", type=click.Choice(list(map(str, Goal))), default="promoted", help="what to wait for")
@click.option("--for-image", "image", default="", show_default=False, help="first wait until the target has this image")
@click.option("--for-revision", "revision", default="current", help="hash of a revision; current: that of the target")
@click.option("--timeout", type=Duration(), default="0", help="limit, such as 10m; 0: none")
@click.option("--quiet", is_flag=True, help="print no progress")
@click.option("--explain", "explained", is_flag=True, help="print last why the release stands")
@provider_option
@on_cluster
async def command(
    cluster: Cluster,
    name: str,
    goal: str,
    image: str,
    revision: str,
    timeout: float,
    quiet: bool,
    explained: bool,
    mesh_provider: str,
) -> int:
    """Wait until the release of the canary NAME has ended.

    Exit status: 0 promoted; 3 rolled back; 4 not in time; 6 another revision took its place, or it was cancelled.
    """
    key, on = key_of(name, cluster.namespace), screen()
    asked = Asked(Goal(goal), image, "" if revision == "current" else revision)

    def tell(now: float, line: str) -> None:
        if not quiet:
            say(f"{stamp(now)}  {key}  {line}", on)

    try:
        ending = await in_time(cluster, key, asked, mesh_provider, tell, timeout)
    except NotFound as error:
        raise missing(key, error) from error
    if ending.status is Status.ERROR:
        raise Wrong(ending.text)
    tell(cluster.clock.now(), ending.text)
    if explained:
        say(clean(await why(cluster, name, mesh_provider)), on)
    return ending.status
