"""`flagger get --watch`: the view of one canary, drawn anew after each change and each second.

In a pipe it is a line for each change, as `flagger wait` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from pyflagger.api.durations import stamp
from pyflagger.cli.cluster import Cluster, Wrong
from pyflagger.cli.explaining import text as explained
from pyflagger.cli.getting import text as whole
from pyflagger.cli.live import Display, terminal
from pyflagger.cli.single import Seen, key_of, missing, options_of, seen
from pyflagger.cli.text import Screen, say
from pyflagger.cli.waiting import ended
from pyflagger.kube.errors import ApiError, Forbidden, NotFound
from pyflagger.objects import Key
from pyflagger.seeing.cleaning import clean
from pyflagger.seeing.explain import explain
from pyflagger.seeing.follow import Watched
from pyflagger.seeing.model import CanaryView, StepView
from pyflagger.seeing.waiting import Asked, Ending, Status, Waiting, sight

SECOND = 1.0
EVENTS_SHOWN = 5
KEYS = {"q": "quit", "e": "explain", "p": "all pods", "?": "keys"}
MARKS = {"done": ("●", "*"), "now": ("◉", "@"), "next": ("○", "o")}


def steps(view: CanaryView, on: Screen) -> str:
    """The plan in a line, such as `● 25 % ── ◉ 50 % ┄┄ ○ promotion`."""
    taken, ahead = (" ── ", " ┄┄ ") if on.unicode else (" -- ", " .. ")
    text = ""
    for step in view.steps:
        text += (ahead if step.state == "next" else taken) if text else ""
        text += f"{_mark(step, on)} {step.what}"
    return text


def _mark(step: StepView, on: Screen) -> str:
    return MARKS[step.state][0 if on.unicode else 1]


def events(view: CanaryView) -> Iterator[str]:
    """The last Events."""
    for each in view.events[-EVENTS_SHOWN:]:
        at = stamp(each.at)[11:19] if each.at is not None else " " * 8
        yield f"{at}  {each.text}"


class Page:
    """What is drawn: the last look, and what the keys have chosen."""

    def __init__(self, pods: str) -> None:
        self.read: Seen | None = None
        self.trouble = ""
        self._pods, self._shown = pods, set[str]()

    def press(self, key: str) -> bool:
        """Take a key. Returns whether it quits."""
        self._shown ^= {key}
        return key == "q"

    def text(self, now: float, on: Screen) -> Iterator[str]:
        """The page."""
        if self.trouble:
            yield f"{self.trouble}; trying again"
        if self.read is None:
            return
        view = clean(self.read.view)
        if view.steps:
            yield from (steps(view, on), "")
        yield from whole(view, now, on, "all" if "p" in self._shown else self._pods)
        yield from ("", *events(view))
        if "e" in self._shown:
            yield ""
            yield from explained(clean(explain(self.read.look, self.read.view)), now, on, verbose=True)
        yield ""
        yield "  ".join(f"{key}: {what}" for key, what in KEYS.items()) if "?" in self._shown else "?: keys"


class Watch:
    """One canary on a display."""

    def __init__(self, cluster: Cluster, name: str, mesh_provider: str, pods: str) -> None:
        self._cluster, self._name, self._provider = cluster, name, mesh_provider
        self._key = key_of(name, cluster.namespace)
        self.watched = Watched(cluster.client, cluster.clock, self._key, options_of(mesh_provider))
        self.page = Page(pods)

    async def run(self, display: Display, on: Screen, asked: Asked | None) -> Ending | None:
        """Draw until a key quits (None), the canary is deleted, or the release that is asked for ends.

        Raises ApiError if the canary cannot be read at the start.
        """
        state = Waiting(asked or Asked())
        await self.watched.begin()
        try:
            while True:
                found = await self.watched.look()
                if found is None:
                    return Ending(Status.ERROR, f"canary {self._key} was deleted")
                await self._read()
                display.draw("\n".join(self.page.text(self.watched.now, on)))
                state, ending = state.step(sight(found), self.watched.now)
                if asked and ending:
                    return ending
                if await self._idle(display, on):
                    return None
        finally:
            await self.watched.stop()

    async def _idle(self, display: Display, on: Screen) -> bool:
        """Draw each second until something changes. Returns whether a key quits."""
        changed = False
        while not changed:
            changed = await self.watched.change(SECOND)
            if any(self.page.press(key) for key in display.pressed()):
                return True
            self.page.trouble = self.watched.trouble
            display.draw("\n".join(self.page.text(self.watched.now, on)))
        return False

    async def _read(self) -> None:
        """Read everything. If the API server is away, the page keeps what it has."""
        try:
            self.page.read = await seen(self._cluster, self._name, self._provider)
            self.page.trouble = ""
        except NotFound:
            raise
        except ApiError as error:
            self.page.trouble = str(error)
        if self.page.read is not None:
            with suppress(Forbidden):
                await self.watched.pods(self.page.read.look)


async def watched(cluster: Cluster, name: str, mesh_provider: str, on: Screen, pods: str, *, until_done: bool) -> int:
    """The whole command. Returns the exit status. Raises ApiError and Wrong."""
    key = key_of(name, cluster.namespace)
    try:
        if on.width is None:
            ending: Ending | None = await _in_a_pipe(cluster, key, mesh_provider, on, until_done=until_done)
        else:
            ending = await _on_a_terminal(cluster, name, mesh_provider, on, pods, until_done=until_done)
    except NotFound as error:
        raise missing(key, error) from error
    if ending is None:
        return 0
    if ending.status is Status.ERROR:
        raise Wrong(ending.text)
    say(f"{key}  {ending.text}", on)
    return ending.status


async def _in_a_pipe(cluster: Cluster, key: Key, mesh_provider: str, on: Screen, *, until_done: bool) -> Ending:
    def tell(now: float, line: str) -> None:
        say(f"{stamp(now)}  {key}  {line}", on)

    return await ended(cluster, key, Asked(), mesh_provider, tell, stays=not until_done)


async def _on_a_terminal(
    cluster: Cluster, name: str, mesh_provider: str, on: Screen, pods: str, *, until_done: bool
) -> Ending | None:
    watch = Watch(cluster, name, mesh_provider, pods)
    with terminal(watch.watched.wake) as display:
        ending = await watch.run(display, on, Asked() if until_done else None)
    say("\n".join(watch.page.text(watch.watched.now, on)), on)
    return ending
