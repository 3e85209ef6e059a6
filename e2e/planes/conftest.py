"""The proxies, one namespace with all apps behind them, and one operator there, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from _pytest.mark import ParameterSet

from e2e.environment import Environment
from e2e.planes.apps import APPS_NAMESPACE, CAST, SHARED, objects, templates
from e2e.planes.fixtures import Figure, ReleaseOf, Visited, environment_with, releases, running
from e2e.planes.gates import Gates
from e2e.planes.proxies import Proxies
from e2e.planes.release import Release
from e2e.stage import Stage

Play = Callable[[Release], object]
AtOnce = Callable[[Play], None]
TOGETHER = 3
"""Releases that are played at the same time."""


@dataclass
class RunningReleases:
    """Releases under way and over."""

    pool: ThreadPoolExecutor
    futures: dict[str, dict[str, Future[None]]]


@pytest.fixture(scope="session")
def proxies(stage: Stage, figure: Figure) -> Iterator[Proxies]:
    """Traefik, and Contour with Envoy."""
    with running(Proxies(stage), "the proxies were", figure) as made:
        yield made


@pytest.fixture(scope="session")
def gates() -> Iterator[Gates]:
    """What holds the releases."""
    made = Gates()
    yield made
    made.close()


@pytest.fixture(scope="session")
def cast(stage: Stage, proxies: Proxies, gates: Gates) -> Iterator[Environment]:
    """All apps with their canaries."""
    apps = (obj for name in CAST for obj in objects(name, gates.url))
    flags = ("-ingress-class", "contour", "-include-label-prefix", SHARED)
    with environment_with(stage, APPS_NAMESPACE, (*templates(stage.urls["metrics"]), *apps), *flags) as env:
        yield env


@pytest.fixture
def release_of(cast: Environment, proxies: Proxies, gates: Gates, figure: Figure) -> ReleaseOf:
    """The release of an app, once the app is initialised."""
    urls = {"traefik": proxies.traefik, "envoy": proxies.envoy, "ingress": cast.stage.urls["ingress"]}

    def visited(name: str) -> Visited:
        way = CAST[name].way
        return Visited(urls[way.proxy], way.chance, proxies.admin if way.gateway else "")

    return releases(cast, visited, gates, figure)


@pytest.fixture(scope="session")
def plays() -> Iterator[RunningReleases]:
    """What is played at the same time, by the name of the test and of the app."""
    with ThreadPoolExecutor(TOGETHER) as pool:
        yield RunningReleases(pool, {})


@pytest.fixture
def at_once(request: pytest.FixtureRequest, plays: RunningReleases, release_of: ReleaseOf) -> AtOnce:
    """Plays a release of every app that this test is asked for, and answers for the one it is asked for now."""
    test, name = request.function.__name__, str(request.node.callspec.params["name"])

    def run(play: Play) -> None:
        if test not in plays.futures:
            items = (item for item in request.session.items if isinstance(item, pytest.Function))
            names = [str(item.callspec.params["name"]) for item in items if item.originalname == test]
            plays.futures[test] = {name: plays.pool.submit(_play, play, release_of, name) for name in names}
        plays.futures[test][name].result()

    return run


def _play(play: Play, release_of: ReleaseOf, name: str) -> None:
    play(release_of(name))


def shows(ability: str, names: Iterable[str]) -> list[ParameterSet]:
    """Apps as parameters, with what the test shows of their providers."""
    return [pytest.param(name, marks=pytest.mark.shows(CAST[name].way.provider, ability)) for name in names]
