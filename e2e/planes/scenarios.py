"""The stories of releases that are the same on any proxy; a test says whose they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from e2e.planes.apps import NEW, OLD
from e2e.planes.release import SHARE_POINTS_MAX, VISITS_MIN, Release, enough, settle
from e2e.visitors import Visitors

Headers = Mapping[str, str]


def good(release: Release, weights: Iterable[int]) -> None:
    """Promoted: at each weight its share of the visits, and no visit failed."""
    with release.visitors() as visitors:
        release.begin()
        for weight in weights:
            release.step(weight)
            release.share(weight)
        release.let()
        release.promoted()
    release.none_lost(visitors)


def bad(release: Release, tag: str) -> None:
    """Taken back by what the proxy's own counters say: the old version alone answers, and well."""
    with release.visitors():
        release.begin(tag)
        release.step(30)
        release.ended("Failed")
    assert set(release.count()) == {OLD}


def blue_green(release: Release, look: Callable[[], object] = bool) -> None:
    """Nobody meets the new version before it is promoted, and everybody after; `look` before that is let."""
    with release.visitors() as visitors:
        release.begin()
        release.iterated()
        assert set(release.count()) == {OLD}
        look()
        release.let()
        release.promoted()
    release.none_lost(visitors)


def testers_alone(release: Release, meant: Iterable[Headers], others: Iterable[Headers]) -> None:
    """All who bear a mark meet the canary, and nobody else; promoted with nobody lost."""
    meant = list(meant)
    with release.visitors(meant[0]) as testers, release.visitors() as visitors:
        release.begin()
        release.iterated()
        for headers in meant:
            assert set(release.count(headers=headers)) == {NEW}, headers
        for headers in others:
            assert set(release.count(headers=headers)) == {OLD}, headers
        release.let()
        release.promoted()
    release.none_lost(testers, visitors)


def testers_beside_weights(release: Release, meant: Headers, others: Headers) -> None:
    """All of them meet the canary while others meet it by its weight; the old version again when it is taken back."""
    with release.visitors() as visitors:
        release.begin()
        release.step(20)
        assert set(release.count(headers=meant)) == {NEW}
        release.share(20, others)
        release.image(OLD)
        release.ended("Initialized")
        assert set(release.count(headers=meant)) == {OLD}
    release.none_lost(visitors)


def sticky(release: Release, weight: int) -> None:
    """Who has a version's cookie meets that version only; afterwards the cookie is taken away."""
    with release.visitors() as visitors:
        release.begin()
        release.step(weight)
        release.share(weight)
        for version, status in ((NEW, "sessionAffinityCookie"), (OLD, "primarySessionAffinityCookie")):
            cookie = release.status[status]
            assert {text.partition(";")[0] for text in release.cookies(version)} == {cookie}
            assert set(release.count(headers={"Cookie": f"a=b; {cookie}"})) == {version}
        release.let()
        release.promoted()
        previous = release.status["previousSessionAffinityCookie"]
        assert [text for text in release.cookies(NEW, previous) if text.startswith(f"{previous}; Max-Age=-1;")]
    release.none_lost(visitors)


def copies_beside_weights(release: Release, mirrored: Callable[[], bool]) -> None:
    """A mirror first: the old version answers everybody, the canary gets a copy of each request; then its share."""
    with release.visitors() as visitors:
        release.begin()
        release.let()
        release.until(mirrored)
        settle()
        assert copied(release, visitors, lambda: old_only(release, VISITS_MIN)) >= 100 - SHARE_POINTS_MAX
        release.step(20)
        assert not mirrored()
        assert abs(copied(release, visitors, lambda: release.share(20)) - 20) <= SHARE_POINTS_MAX
        release.let()
        release.promoted()
    release.none_lost(visitors)


def copies_of_blue_green(release: Release, share: int = 100) -> float:
    """The canary gets a share of copies (given back) all the while, and answers nobody before it is approved."""
    with release.visitors() as visitors:
        release.begin()
        release.iterated()
        seen = copied(release, visitors, lambda: old_only(release, enough(share)))
        assert abs(seen - share) <= SHARE_POINTS_MAX
        release.let()
        release.promoted()
    release.none_lost(visitors)
    return seen


def old_only(release: Release, visits: int) -> Counter[str]:
    """Visits that only the old version answers."""
    seen = release.count(visits)
    assert set(seen) == {OLD}
    return seen


def copied(release: Release, visitors: Visitors, count: Callable[[], Counter[str]]) -> float:
    """Percent of all visits, while hundreds are counted, that the canary's pods saw: some copies come later."""
    before, came = release.copies(), visitors.count().total()
    seen = count().total() + visitors.count().total() - came
    return 100 * (release.copies() - before) / seen
