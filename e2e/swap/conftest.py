"""Swaps that are played at the same time: they mostly wait for intervals, by wall time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from e2e.environment import Environment
from e2e.planes.fixtures import running
from e2e.planes.proxies import Proxies
from e2e.stage import Stage

pytest.register_assert_rewrite("e2e.swap.scenarios")

from e2e.swap.scenarios import SCENARIOS, Scene  # noqa: E402

TOGETHER = 4
"""Swaps at the same time."""


@pytest.fixture(scope="session")
def proxies(stage: Stage, figure: Callable[[str], None]) -> Iterator[Proxies]:
    """Traefik for its own kinds and the Gateway API."""
    with running(Proxies(stage), "the proxies were", figure) as made:
        yield made


@pytest.fixture(scope="session")
def swaps(
    request: pytest.FixtureRequest, stage: Stage, proxies: Proxies, figure: Callable[[str], None]
) -> Iterator[Mapping[str, Future[None]]]:
    """Each swap that this run asks for, by its name, under way."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    names = [str(item.callspec.params["name"]) for item in items if item.originalname == "test_a_swap"]
    with ThreadPoolExecutor(TOGETHER) as pool:
        yield {name: pool.submit(_play, name, stage, proxies, figure) for name in names}


def _play(name: str, stage: Stage, proxies: Proxies, figure: Callable[[str], None]) -> None:
    env = Environment(stage, f"swap-{name}")
    try:
        SCENARIOS[name](Scene(env, proxies.traefik, lambda line: figure(f"{name}: {line}")))
    finally:
        env.close()
