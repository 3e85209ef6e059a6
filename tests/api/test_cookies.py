"""The cookies of session affinity: derived, not drawn, so that nobody can disagree about them."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pyflagger.api import cookies
from pyflagger.api.canary import Canary
from pyflagger.api.cookies import Cookies

AFFINITY = {"cookieName": "stay", "primaryCookieName": "home"}


def canary(affinity: dict[str, Any] | None = AFFINITY, uid: str = "u1", **status: Any) -> Canary:
    """A Canary with this affinity in this state."""
    return Canary.model_validate(
        {
            "metadata": {"name": "web", "namespace": "test", "uid": uid},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "analysis": {"stepWeight": 10, "sessionAffinity": affinity},
            },
            "status": {"lastAppliedSpec": "v1:r2", **status},
        }
    )


@given(st.integers(1, 99))
def test_whoever_works_them_out_gets_the_same(weight: int) -> None:
    """The route is written before the status: both must name one cookie, also after a crash in between."""
    before = cookies.at(canary(), weight)
    after = cookies.at(canary(sessionAffinityCookie=before.canary), weight)
    assert before == after == cookies.at(canary(), weight)
    assert re.fullmatch(r"stay=[A-Za-z]{10}", before.canary) and re.fullmatch(r"home=[A-Za-z]{10}", before.primary)


def test_the_canary_cookie_lasts_for_a_release_and_the_primary_cookie_for_a_step() -> None:
    """Who met the canary stays with it; who did not is drawn again at the next weight."""
    ten, twenty = (cookies.at(canary(), weight) for weight in (10, 20))
    assert ten.canary == twenty.canary and ten.primary != twenty.primary


def test_another_release_or_another_canary_has_other_cookies() -> None:
    """An old cookie must not lead to a version that its bearer has never seen."""
    values = {
        cookies.at(found, 10).canary
        for found in (canary(), canary(lastAppliedSpec="v1:r3"), canary(uid="u2"), canary({"cookieName": "other"}))
    }
    assert len(values) == 4


def test_the_end_of_a_release_turns_the_cookie_into_the_previous_one() -> None:
    """It is to be deleted where it is met; a second look at the end loses nothing."""
    ended = cookies.at(canary(sessionAffinityCookie="stay=now", previousSessionAffinityCookie="stay=old"), 0)
    assert ended == Cookies(previous="stay=now")
    assert cookies.at(canary(previousSessionAffinityCookie="stay=now"), 0) == ended


def test_a_cookie_of_the_reference_is_kept() -> None:
    """A release that the reference began goes on with the cookie that visitors have."""
    assert cookies.at(canary(sessionAffinityCookie="stay=AbCdEfGhIj"), 30).canary == "stay=AbCdEfGhIj"
    renamed = cookies.at(canary({"cookieName": "stuck"}, sessionAffinityCookie="stay=AbCdEfGhIj"), 30)
    assert renamed.canary.startswith("stuck=")


def test_nobody_is_kept_at_home_once_the_canary_serves_everybody() -> None:
    """At 100 % a primary cookie would lead to a primary that is being replaced, or broken."""
    assert cookies.at(canary(), 100).primary == "" and cookies.at(canary({"cookieName": "stay"}), 10).primary == ""


def test_without_affinity_there_are_none() -> None:
    """And the status says nothing of cookies."""
    assert cookies.at(canary(None), 50) == Cookies() and cookies.changes(canary(None), 50) == {}
