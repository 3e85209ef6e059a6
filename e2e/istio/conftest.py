"""The mesh, one namespace with all apps behind its gateway, and one operator there, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.environment import Environment
from e2e.istio.apps import APPS_NAMESPACE, CAST, objects
from e2e.istio.mesh import Mesh
from e2e.planes.conftest import at_once, gates, plays
from e2e.planes.fixtures import Figure, ReleaseOf, Visited, environment_with, releases, running
from e2e.planes.gates import Gates
from e2e.stage import Stage

__all__ = ["at_once", "gates", "plays"]


@pytest.fixture(scope="session")
def mesh(stage: Stage, figure: Figure) -> Iterator[Mesh]:
    """Istio and its gateway."""
    with running(Mesh(stage), "Istio and its gateway were", figure) as made:
        yield made


@pytest.fixture(scope="session")
def meshed(stage: Stage, mesh: Mesh, gates: Gates) -> Iterator[Environment]:
    """All apps with their canaries."""
    apps = (obj for name in CAST for obj in objects(name, gates.url))
    with environment_with(stage, APPS_NAMESPACE, apps, "-mesh-provider", "istio") as env:
        yield env


@pytest.fixture
def release_of(meshed: Environment, mesh: Mesh, gates: Gates, figure: Figure) -> ReleaseOf:
    """The release of an app, once the app is initialised."""
    return releases(meshed, lambda name: Visited(mesh.raw if CAST[name].raw else mesh.url, chance=True), gates, figure)
