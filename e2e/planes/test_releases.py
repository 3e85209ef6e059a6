"""Good releases are promoted with nobody lost, bad ones taken back; everybody else goes on as before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from e2e.environment import Environment, until
from e2e.history import History
from e2e.planes import scenarios
from e2e.planes.apps import ADMIN, BAD, CAST, NEW, OLD, SLOW
from e2e.planes.conftest import AtOnce, shows
from e2e.planes.fixtures import ReleaseOf
from e2e.planes.release import Release, settle
from pyflagger.objects import Obj, part

WEIGHTS: Mapping[str, Sequence[int]] = {
    "traefik": range(10, 61, 10),
    "gateway": range(10, 51, 10),
    "contour": (10, 30),
    "gateway-beta": (20, 40),
    "nginx": (20,),
    "traefik-adopted": (20, 100),
    "gateway-adopted": (20, 100),
    "contour-adopted": (20, 100),
}
FAULTY = {"traefik-bad": BAD, "gateway-bad": BAD, "contour-bad": SLOW}
BLUE_GREEN = ("traefik-blue", "contour-blue", "nginx-blue")
PREFIX = "nginx.ingress.kubernetes.io"


@pytest.fixture(scope="module")
def ingresses(cast: Environment) -> History:
    """What becomes of all Ingresses."""
    return History(cast, "ingresses")


def adopts(name: str) -> bool:
    """Whether the route is the user's own."""
    return "routeRef" in CAST[name].spec


@pytest.mark.parametrize(
    "name",
    [
        *shows("weights", (name for name in WEIGHTS if not adopts(name))),
        *shows("adopt", (name for name in WEIGHTS if adopts(name))),
    ],
)
def test_a_good_release(name: str, at_once: AtOnce) -> None:
    """Promoted: at each weight its share of the visits, none failed; a mirror that the proxy would break on is left."""

    def play(release: Release) -> None:
        scenarios.good(release, WEIGHTS[release.name])
        told = "does not support traffic mirroring" in release.env.said(release.name)
        assert told == bool(CAST[release.name].analysis.get("mirror"))

    at_once(play)


@pytest.mark.parametrize("name", ["contour-drained", "gateway-drained"])
def test_a_primary_that_loses_all_pods_at_the_promotion(name: str, at_once: AtOnce) -> None:
    """Its strategy is Recreate: the canary serves everybody meanwhile, and no visit fails on Envoy."""

    def play(release: Release) -> None:
        with release.visitors() as visitors:
            release.begin()
            release.step(20)
            release.let()
            release.promoted()
        release.none_lost(visitors)
        assert "may leave it without pods" in release.env.said(release.name)

    at_once(play)


@pytest.mark.parametrize("name", shows("ports", ("traefik-ports", "gateway-ports", "nginx-ports")))
def test_further_ports(name: str, at_once: AtOnce) -> None:
    """Each port of the Service has the weight."""

    def play(release: Release) -> None:
        further = release.at_port(ADMIN)
        with release.visitors() as visitors, further.visitors() as others:
            release.begin()
            release.step(20)
            release.share(20)
            further.share(20)
            release.let()
            release.promoted()
            further.promoted()
        release.none_lost(visitors, others)

    at_once(play)


@pytest.mark.parametrize("name", FAULTY)
def test_a_bad_release(name: str, at_once: AtOnce) -> None:
    """Taken back by what the proxy's own counters say: the old version alone answers, and well."""
    at_once(lambda release: scenarios.bad(release, FAULTY[release.name]))


def test_a_life(cast: Environment, release_of: ReleaseOf, ingresses: History) -> None:
    """Bad, back to what is promoted, bad again, good at last: each told apart, the primary touched by the last only.

    The Ingress beside the user's is marked as a canary's at any time, so ingress-nginx's admission would let both be,
    and the user may apply his own again.
    """
    release, besides = release_of("nginx-life"), "nginx-life-canary"
    with release.visitors():
        for _ in range(2):
            release.begin(BAD)
            release.step(20)
            release.ended("Failed")
            release.image(OLD)
            settle()
            assert release.status["phase"] == "Failed" and set(release.count()) == {OLD}
        release.begin()
        release.step(20)
        release.share(20)
        release.let()
        release.promoted()
    assert ingresses.of(besides, marked) == [("true", weight) for weight in ("0", "20", "0", "20", "0", "20", "0")]
    before = cast.get("ingress", besides)
    cast.apply(*CAST[release.name].way.theirs(release.name))
    settle()
    assert cast.get("ingress", besides) == before and set(release.count()) == {NEW}
    assert ingresses.of(release.name, marked) == [(None, None)]


def marked(ingress: Obj) -> tuple[str | None, str | None]:
    """What ingress-nginx knows a canary's Ingress by; without it, it refuses a second one of the same host and path."""
    annotations = part(ingress["metadata"], "annotations")
    return annotations.get(f"{PREFIX}/canary"), annotations.get(f"{PREFIX}/canary-weight")


@pytest.mark.parametrize("name", shows("blue_green", BLUE_GREEN))
def test_blue_green(name: str, at_once: AtOnce) -> None:
    """Nobody meets the new version before it is promoted, and everybody after."""
    at_once(scenarios.blue_green)


@pytest.mark.shows("nginx", "revert")
def test_a_canary_is_deleted(cast: Environment, release_of: ReleaseOf, ingresses: History) -> None:
    """With `revertOnDeletion` the target serves again, what it served before, and nobody is lost on the way."""
    release = release_of("nginx-reverted")
    with release.visitors() as visitors:
        until(visitors.count)
        cast.kubectl("delete", "canary", release.name, "--timeout=60s")
        assert cast.get("deployment", release.name)["status"]["readyReplicas"] == 1
        settle()
        assert set(release.count()) == {OLD}
        assert f"{release.name}-canary" not in cast.kubectl("get", "ingresses", "-o", "name")
        assert {mark for mark, _ in ingresses.of(f"{release.name}-canary", marked)} == {"true"}
    release.none_lost(visitors)
