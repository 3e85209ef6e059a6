"""The cookies of session affinity: whom they mark, and their values at each moment of a release.

Values are derived from the canary and the revision, not drawn: whoever computes them again, after a crash or in another
room, gets the same, so the routes and the status cannot disagree. Called by `core`, which keeps them in the status, and
by `routing`, which writes them into rules. The reference's documentation, "Session Affinity", says what they are for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from pyflagger.api.canary import Canary

LETTERS = 10
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Cookies:
    """`name=value` each, empty when there is none.

    `canary` keeps a visitor on the canary for the release, `primary` on the primary for one interval; `previous` is the
    last release's, which is to be deleted where it is still met.
    """

    canary: str = ""
    primary: str = ""
    previous: str = ""


def at(canary: Canary, weight: int) -> Cookies:
    """The cookies while the canary has this weight, in percent.

    A new primary cookie at each weight lets those who stayed be drawn again. None at weight 0, where the current cookie
    becomes the previous one; no primary cookie once nobody is to stay there.
    """
    analysis, status = canary.spec.analysis, canary.status
    affinity = analysis.session_affinity if analysis else None
    if affinity is None:
        return Cookies()
    if weight == 0:
        return Cookies(previous=status.session_affinity_cookie or status.previous_session_affinity_cookie)
    held, revision = status.session_affinity_cookie, status.last_applied_spec
    known = held if held.startswith(f"{affinity.cookie_name}=") else ""
    stays = affinity.primary_cookie_name and weight < 100
    return Cookies(
        canary=known or f"{affinity.cookie_name}={_value(canary, revision)}",
        primary=f"{affinity.primary_cookie_name}={_value(canary, revision, str(weight))}" if stays else "",
        previous=status.previous_session_affinity_cookie,
    )


def changes(canary: Canary, weight: int) -> dict[str, Any]:
    """The changes of a status that says the canary has this weight; none without session affinity."""
    if canary.spec.analysis is None or canary.spec.analysis.session_affinity is None:
        return {}
    found = at(canary, weight)
    return {
        "session_affinity_cookie": found.canary,
        "primary_session_affinity_cookie": found.primary,
        "previous_session_affinity_cookie": found.previous,
    }


def _value(canary: Canary, *parts: str) -> str:
    digest = hashlib.sha256("\n".join((canary.metadata.uid, *parts)).encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:LETTERS])
