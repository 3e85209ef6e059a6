"""Rules mean those whom they name, cookies those who bear them, and copies go beside what is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from e2e.planes import scenarios
from e2e.planes.conftest import AtOnce, shows
from e2e.planes.release import Release

INSIDER = {"x-canary": "insider"}
TEAM, CHIEF = {**INSIDER, "x-team": "blue"}, {"x-canary": "chief-cook"}
COOKIE = {"Cookie": "tester=always"}
TESTERS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "gateway-ab": (TEAM, CHIEF),
    "contour-ab": (TEAM, CHIEF),
    "nginx-header": (INSIDER,),
    "nginx-cookie": (COOKIE,),
}
SHOWN = {"gateway-sticky": "affinity", "mirror": "mirror_steps", "mirror-blue": "mirror"}
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
    at_once(lambda release: scenarios.testers_beside_weights(release, INSIDER, {"x-canary": "outsider"}))


@pytest.mark.parametrize("name", shows("ab", TESTERS))
def test_testers_alone_meet_the_canary(name: str, at_once: AtOnce) -> None:
    """A/B: all who bear the mark, and nobody else; promoted with nobody lost."""

    def play(release: Release) -> None:
        meant = TESTERS[release.name]
        scenarios.testers_alone(release, meant, (headers for headers in NO_TESTERS if headers not in meant))

    at_once(play)


@pytest.mark.parametrize("name", [case for name, ability in SHOWN.items() for case in shows(ability, (name,))])
def test_cookies_and_copies(name: str, at_once: AtOnce) -> None:
    """Who has a version's cookie meets that version only; the canary gets copies and answers nobody, or its share."""
    at_once(lambda release: PLAYS[release.name](release))


def mirrored(release: Release) -> bool:
    """Whether the route says so."""
    rules = release.env.get("httproute", release.name)["spec"]["rules"]
    return any(one["type"] == "RequestMirror" for rule in rules for one in rule.get("filters", ()))


PLAYS: Mapping[str, Callable[[Release], object]] = {
    "gateway-sticky": lambda release: scenarios.sticky(release, 20),
    "mirror": lambda release: scenarios.copies_beside_weights(release, lambda: mirrored(release)),
    "mirror-blue": scenarios.copies_of_blue_green,
}
