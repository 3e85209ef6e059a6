"""Sessions of browsers that logged in with a token. In memory only: a restart ends them all."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from pyflagger.clock import Clock

LIFE_SECONDS = 8 * 3600.0
IDLE_SECONDS = 3600.0
PER_USER = 20
"""Sessions of one user. One more ends the one that was unused for longest."""


@dataclass(slots=True)
class Session:
    """A session. Times are of the monotonic clock. `streams`: pages that are open."""

    token: str
    user: str
    ends: float
    used: float
    streams: int = 0


class Sessions:
    """The sessions by the digest of their ids, so that the time of a look-up tells nothing about an id."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._known = clock, dict[bytes, Session]()

    def begin(self, token: str, user: str, seconds: float = LIFE_SECONDS) -> str:
        """Begin a session, for some seconds at most. Returns its id."""
        self._tidy()
        mine = sorted((each.used, name) for name, each in self._known.items() if each.user == user)
        for _, name in mine[: max(0, len(mine) - PER_USER + 1)]:
            del self._known[name]
        made, now = secrets.token_urlsafe(32), self._clock.monotonic()
        self._known[_digest(made)] = Session(token, user, now + min(seconds, LIFE_SECONDS), now)
        return made

    def find(self, given: str) -> Session | None:
        """The session of an id, which is used now; None if there is none, or no more."""
        found = self._living(_digest(given))
        if found:
            found.used = self._clock.monotonic()
        return found

    def lives(self, session: Session) -> bool:
        """Whether a session goes on."""
        now = self._clock.monotonic()
        idle = not session.streams and now - session.used >= IDLE_SECONDS
        return now < session.ends and not idle and any(each is session for each in self._known.values())

    def end(self, session: Session) -> None:
        """End a session."""
        self._known = {name: each for name, each in self._known.items() if each is not session}

    def _living(self, name: bytes) -> Session | None:
        found = self._known.get(name)
        if found and not self.lives(found):
            self._known.pop(name)
            return None
        return found

    def _tidy(self) -> None:
        for name in [*self._known]:
            self._living(name)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
