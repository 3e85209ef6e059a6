"""Good releases are promoted with nobody lost, bad ones taken back, and rules mean those whom they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest
from _pytest.mark import ParameterSet

from e2e.place import Place
from e2e.planes.cast import BAD, CAST, LABELS, NEW, OLD, SLOW
from e2e.planes.conftest import AtOnce, ReleaseOf
from e2e.planes.release import SHARE_POINTS_MAX, Release, settle
from e2e.visitors import Visitors

WEIGHTS: Mapping[str, Sequence[int]] = {
    "traefik": range(10, 61, 10),
    "gateway": range(10, 51, 10),
    "contour": (10, 30),
    "nginx": (20,),
}
FAULTY = {"traefik-bad": BAD, "gateway-bad": BAD, "contour-bad": SLOW}
TESTERS = {
    "gateway-ab": {"x-canary": "insider"},
    "contour-ab": {"x-canary": "insider"},
    "nginx-header": {"x-canary": "insider"},
    "nginx-cookie": {"Cookie": "tester=always"},
}
OTHERS = {"x-canary": "outsider", "Cookie": "tester=never"}
BLUE_GREEN = ("traefik-blue", "gateway-blue", "contour-blue", "nginx-blue", "services-blue")


def shows(ability: str, names: Iterable[str]) -> list[ParameterSet]:
    """Apps as parameters, with what the test shows of their providers."""
    return [pytest.param(name, marks=pytest.mark.shows(CAST[name].way.provider, ability)) for name in names]


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
    """Promoted: at each weight its share of the visits, and no visit failed."""

    def play(release: Release) -> None:
        with release.visitors() as visitors:
            release.begin()
            for weight in WEIGHTS[release.name]:
                release.step(weight)
                release.share(weight)
            release.let()
            release.promoted()
        assert not visitors.failed

    at_once(play)


@pytest.mark.parametrize("name", shows("testers", ("gateway-testers", "contour-testers", "nginx-testers")))
def test_testers_beside_weights(name: str, at_once: AtOnce) -> None:
    """All of them meet the canary while others meet it by its weight; the old version again when it is taken back."""

    def play(release: Release) -> None:
        with release.visitors() as visitors:
            release.begin()
            release.step(20)
            assert set(release.count(headers=TESTERS["gateway-ab"])) == {NEW}
            release.share(20, OTHERS)
            release.image(OLD)
            release.ended("Initialized")
            assert set(release.count(headers=TESTERS["gateway-ab"])) == {OLD}
        assert not visitors.failed

    at_once(play)


@pytest.mark.parametrize("name", FAULTY)
def test_a_bad_release(name: str, at_once: AtOnce) -> None:
    """Taken back by what the proxy's own counters say: the old version alone answers, and well."""

    def play(release: Release) -> None:
        with release.visitors():
            release.begin(FAULTY[release.name])
            release.step(30)
            release.ended("Failed")
        assert set(release.count()) == {OLD}

    at_once(play)


@pytest.mark.parametrize("name", shows("ab", TESTERS))
def test_testers_alone_meet_the_canary(name: str, at_once: AtOnce) -> None:
    """A/B: all who bear the mark, and nobody else; promoted with nobody lost."""

    def play(release: Release) -> None:
        with release.visitors(TESTERS[release.name]) as testers, release.visitors() as visitors:
            release.begin()
            release.iterated()
            assert set(release.count(headers=TESTERS[release.name])) == {NEW}
            assert set(release.count(headers=OTHERS)) == set(release.count()) == {OLD}
            release.let()
            release.promoted()
        assert not testers.failed and not visitors.failed

    at_once(play)


@pytest.mark.parametrize("name", shows("blue_green", BLUE_GREEN))
def test_blue_green(name: str, at_once: AtOnce) -> None:
    """Nobody meets the new version before it is promoted, and everybody after."""

    def play(release: Release) -> None:
        with release.visitors() as visitors:
            release.begin()
            release.iterated()
            assert set(release.count()) == {OLD}
            release.let()
            release.promoted()
        assert not visitors.failed

    at_once(play)


@pytest.mark.shows("gatewayapi:v1", "affinity")
def test_a_visitor_stays_with_a_version(release_of: ReleaseOf) -> None:
    """Session affinity: who has a version's cookie meets that version only; afterwards the cookie is taken away."""
    release = release_of("gateway-sticky")
    with release.visitors() as visitors:
        release.begin()
        release.step(20)
        release.share(20)
        for version, status in ((NEW, "sessionAffinityCookie"), (OLD, "primarySessionAffinityCookie")):
            cookie = release.status[status]
            given = {text.partition(";")[0] for text in release.cookies(version)}
            assert given == {cookie}
            assert set(release.count(headers={"Cookie": f"a=b; {cookie}"})) == {version}
        release.let()
        release.promoted()
        previous = release.status["previousSessionAffinityCookie"]
        assert [text for text in release.cookies(NEW, previous) if text.startswith(f"{previous}; Max-Age=-1;")]
    assert not visitors.failed


@pytest.mark.shows("gatewayapi:v1", "mirror_steps")
def test_copies_beside_weights(release_of: ReleaseOf) -> None:
    """A mirror first: the old version answers everybody, the canary gets a copy of each request; then its share."""
    release = release_of("mirror")
    with release.visitors() as visitors:
        release.begin()
        release.let()
        release.until(lambda: mirrored(release))
        settle()
        assert copied(release, visitors, lambda: old_only(release)) >= 100 - SHARE_POINTS_MAX
        release.step(20)
        assert not mirrored(release)
        assert abs(copied(release, visitors, lambda: release.share(20)) - 20) <= SHARE_POINTS_MAX
        release.let()
        release.promoted()
    assert not visitors.failed


@pytest.mark.shows("gatewayapi:v1", "mirror")
def test_copies_of_blue_green(release_of: ReleaseOf) -> None:
    """The canary gets copies all the while, and answers nobody before it is approved."""
    release = release_of("mirror-blue")
    with release.visitors() as visitors:
        release.begin()
        release.iterated()
        assert copied(release, visitors, lambda: old_only(release)) >= 100 - SHARE_POINTS_MAX
        release.let()
        release.promoted()
    assert not visitors.failed


def mirrored(release: Release) -> bool:
    """Whether the route says so."""
    rules = release.place.get("httproute", release.name)["spec"]["rules"]
    return any(one["type"] == "RequestMirror" for rule in rules for one in rule.get("filters", ()))


def old_only(release: Release) -> Counter[str]:
    """Visits that only the old version answers."""
    seen = release.count()
    assert set(seen) == {OLD}
    return seen


def copied(release: Release, visitors: Visitors, count: Callable[[], Counter[str]]) -> float:
    """Percent of all visits, while some are counted, that the canary's pods saw."""
    before, came = release.copies(), visitors.count().total()
    seen = count().total() + visitors.count().total() - came
    return 100 * (release.copies() - before) / seen


def test_a_gateway_that_does_not_accept(cast: Place, release_of: ReleaseOf) -> None:
    """Bad input: named, with the data plane's own reason; nothing is split meanwhile; all goes on once it accepts."""
    release = release_of("gateway-closed")
    release.begin()
    release.let()
    release.until(lambda: "NoMatchingListenerHostname" in cast.said(release.name))
    assert release.status["canaryWeight"] == 0
    open_to_all = '[{"op": "remove", "path": "/spec/listeners/0/hostname"}]'
    cast.kubectl("-n", "gateways", "patch", "gateway", "closed", "--type=json", "-p", open_to_all)
    release.until(lambda: release.status.get("canaryWeight") == 20)
    settle()
    release.share(20)
    release.let()
    release.promoted()


ROUTES = {"traefik": "traefikservice", "gateway": "httproute", "contour": "httpproxy"}


@pytest.mark.parametrize("name", ROUTES)
def test_what_the_route_bears(name: str, cast: Place) -> None:
    """Labels and annotations of `spec.service.apex`; with Contour the class that the operator was told."""
    route = cast.get(ROUTES[name], name)
    for field, asked in LABELS.items():
        assert asked.items() <= route["metadata"][field].items()
    assert route["spec"].get("ingressClassName") == ("contour" if name == "contour" else None)
