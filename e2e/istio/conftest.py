"""The mesh, one namespace with all apps behind its gateway, and one operator there, for all tests of this folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from e2e.istio.cast import CAST, PLACE, objects
from e2e.istio.mesh import Mesh
from e2e.place import Place
from e2e.planes.conftest import ReleaseOf, at_once, gates, plays
from e2e.planes.gates import Gates
from e2e.planes.release import Release
from e2e.stage import Stage

__all__ = ["at_once", "gates", "plays"]


@pytest.fixture(scope="session")
def mesh(stage: Stage, figure: Callable[[str], None]) -> Iterator[Mesh]:
    """Istio and its gateway."""
    made, began = Mesh(stage), time.monotonic()
    try:
        made.start()
        figure(f"Istio and its gateway were ready after {time.monotonic() - began:.1f} s")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def meshed(stage: Stage, mesh: Mesh, gates: Gates) -> Iterator[Place]:
    """All apps with their canaries."""
    place = Place(stage, PLACE)
    try:
        place.operator("-min-interval", "1s", "-mesh-provider", "istio")
        place.apply(*(obj for name in CAST for obj in objects(name, gates.url)))
        yield place
    finally:
        place.close()


@pytest.fixture
def release_of(meshed: Place, mesh: Mesh, gates: Gates, figure: Callable[[str], None]) -> ReleaseOf:
    """The release of an app, once the app is initialised."""

    def made(name: str) -> Release:
        meshed.wait(name, "Initialized", 120)
        return Release(name, meshed, mesh.raw if CAST[name].raw else mesh.url, gates, figure, chance=True)

    return made
