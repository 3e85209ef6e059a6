"""Rules mean those whom they name, cookies those who bear them, and copies go beside what is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pytest

from e2e.planes.cast import NEW, OLD
from e2e.planes.conftest import AtOnce, ReleaseOf, shows
from e2e.planes.release import SHARE_POINTS_MAX, Release, settle
from e2e.visitors import Visitors

INSIDER = {"x-canary": "insider"}
TEAM, CHIEF = {**INSIDER, "x-team": "blue"}, {"x-canary": "chief-cook"}
COOKIE = {"Cookie": "tester=always"}
TESTERS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "gateway-ab": (TEAM, CHIEF),
    "contour-ab": (TEAM, CHIEF),
    "nginx-header": (INSIDER,),
    "nginx-cookie": (COOKIE,),
}
NO_TESTERS: Sequence[Mapping[str, str]] = (
    {},
    {"x-canary": "outsider", "Cookie": "tester=never"},
    {"x-team": "blue"},
    INSIDER,
    COOKIE,
)
"""But for those who are some app's."""


@pytest.mark.parametrize("name", shows("testers", ("gateway-testers", "contour-testers", "nginx-testers")))
def test_testers_beside_weights(name: str, at_once: AtOnce) -> None:
    """All of them meet the canary while others meet it by its weight; the old version again when it is taken back."""

    def play(release: Release) -> None:
        with release.visitors() as visitors:
            release.begin()
            release.step(20)
            assert set(release.count(headers=INSIDER)) == {NEW}
            release.share(20, {"x-canary": "outsider"})
            release.image(OLD)
            release.ended("Initialized")
            assert set(release.count(headers=INSIDER)) == {OLD}
        release.none_lost(visitors)

    at_once(play)


@pytest.mark.parametrize("name", shows("ab", TESTERS))
def test_testers_alone_meet_the_canary(name: str, at_once: AtOnce) -> None:
    """A/B: all who bear the mark, and nobody else; promoted with nobody lost."""

    def play(release: Release) -> None:
        meant = TESTERS[release.name]
        with release.visitors(meant[0]) as testers, release.visitors() as visitors:
            release.begin()
            release.iterated()
            for headers in meant:
                assert set(release.count(headers=headers)) == {NEW}
            for headers in NO_TESTERS:
                assert headers in meant or set(release.count(headers=headers)) == {OLD}, headers
            release.let()
            release.promoted()
        release.none_lost(testers, visitors)

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
    release.none_lost(visitors)


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
    release.none_lost(visitors)


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
    release.none_lost(visitors)


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
