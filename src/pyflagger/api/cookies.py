"""The cookies of session affinity, and their values at each point of a release.

The values are derived from the canary and the revision, not random. Every caller computes the same values, also after a
crash, so the routes and the status always agree. `core` stores them in the status, and `routing` writes them into
rules. The reference's documentation describes the feature under "Session Affinity".
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
    """Each cookie as `name=value`, or empty.

    `canary` keeps a visitor on the canary during the release. `primary` keeps a visitor on the primary for one
    interval. `previous` belongs to the last release: the routes delete it when a visitor sends it.
    """

    canary: str = ""
    primary: str = ""
    previous: str = ""


def at(canary: Canary, weight: int) -> Cookies:
    """The cookies while the canary has this weight, in percent.

    Each weight has a new primary cookie, so visitors of the primary may reach the canary at the next weight. At weight
    0 there are no cookies, and the current one becomes the previous one. At weight 100 there is no primary cookie.
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
    """The status fields to change when the canary gets this weight. Empty without session affinity."""
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
