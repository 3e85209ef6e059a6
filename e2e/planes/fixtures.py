"""What every folder of releases on real proxies stands on: proxies that run, and one namespace with all of its apps.

Its fixtures say which proxies and which apps; `tests` there get a `Release` of an app by its name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from e2e.environment import Environment
from e2e.planes.gates import Gates
from e2e.planes.release import Release
from e2e.stage import Stage, manifests
from pyflagger.objects import Obj

INITIALIZED_SECONDS_MAX = 120.0

ReleaseOf = Callable[[str], Release]
Figure = Callable[[str], None]


class Runs(Protocol):
    """Proxies with all that they need, as child processes of the run."""

    def start(self) -> None:
        """Until they answer."""

    def stop(self) -> None:
        """All of them."""


Proxies = TypeVar("Proxies", bound=Runs)


@contextmanager
def running(proxies: Proxies, what: str, figure: Figure) -> Iterator[Proxies]:
    """The proxies while the block runs."""
    began = time.monotonic()
    try:
        proxies.start()
        figure(f"{what} ready after {time.monotonic() - began:.1f} s")
        yield proxies
    finally:
        proxies.stop()


@contextmanager
def environment_with(stage: Stage, namespace: str, objects: Iterable[Obj], *flags: str) -> Iterator[Environment]:
    """A namespace with a load tester, an operator of its own, and these objects."""
    env = Environment(stage, namespace)
    try:
        env.operator("-min-interval", "1s", *flags)
        env.apply(*manifests("tester"), *objects)
        yield env
    finally:
        env.close()


@dataclass(frozen=True)
class Visited:
    """How visitors get to an app. `chance`: the proxy draws lots for each request; `further`: where those of a further
    port go, unless they go to a host of its own."""

    url: str
    chance: bool
    further: str = ""


def releases(env: Environment, way: Callable[[str], Visited], gates: Gates, figure: Figure) -> ReleaseOf:
    """The release of an app, once the app is initialised."""

    def made(name: str) -> Release:
        env.wait(name, "Initialized", INITIALIZED_SECONDS_MAX)
        by = way(name)
        return Release(name, env, by.url, gates, figure, chance=by.chance, further=by.further)

    return made
