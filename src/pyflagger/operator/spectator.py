"""Observe the operator's checks and decisions without changing them, for the live view of a demo and for tests."""

from __future__ import annotations

from pyflagger.api.canary import Canary
from pyflagger.core.decision import Decision
from pyflagger.core.situation import Need, Result
from pyflagger.objects import Key


class Spectator:
    """A spectator that ignores everything. Subclasses override the methods that they need."""

    def asking(self, canary: Canary, need: Need) -> None:
        """The operator begins a check."""

    def asked(self, canary: Canary, need: Need, result: Result) -> None:
        """The operator ran a check."""

    def decided(self, key: Key, decision: Decision) -> None:
        """The operator made a decision."""
