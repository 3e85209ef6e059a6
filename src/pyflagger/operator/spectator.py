"""Follows what the operator asks and decides without taking part: the live view of a demo, and tests."""

from __future__ import annotations

from pyflagger.api.canary import Canary
from pyflagger.core.decision import Decision
from pyflagger.core.situation import Need, Result
from pyflagger.objects import Key


class Spectator:
    """Ignores everything; subclasses override what they follow."""

    def asked(self, canary: Canary, need: Need, result: Result) -> None:
        """A check was made."""

    def decided(self, key: Key, decision: Decision) -> None:
        """A decision was made."""
