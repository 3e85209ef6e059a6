"""The interface that the reconciler uses, so that tests can run its loop without a cluster.

`operator.ports` implements it for a real cluster.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from pyflagger.api.facts import Problem
from pyflagger.core.decision import Action, Decision
from pyflagger.core.situation import Need, Result, Situation
from pyflagger.objects import Key
from pyflagger.operator.state import State


class Observed(Protocol):
    """The result of `observe`: the situation, and the data that `apply` needs to carry out a decision."""

    @property
    def situation(self) -> Situation:
        """The facts for the decision."""


Seen = TypeVar("Seen", bound=Observed)


class Ports(Protocol[Seen]):
    """The ports of the reconciler. Only `gather` and `apply` wait."""

    def observe(self, key: Key, state: State) -> Seen | None:
        """The current state of the canary. None if it is deleted. Raises NotYet while the cache is not filled."""

    async def gather(self, seen: Seen, need: Need) -> Result:
        """Gather one piece of evidence."""

    async def apply(self, seen: Seen, action: Action) -> int:
        """Carry out an action. Returns the number of writes. Raises kube.client.ApiError or Moved."""

    def applied(self, seen: Seen) -> None:
        """All actions of a decision are carried out."""

    def failed(self, key: Key, problem: Problem) -> None:
        """Report a failed reconciliation, which is retried."""

    def judged(self, seen: Seen, seconds: float) -> None:
        """Report the duration of a round."""

    def decided(self, key: Key, decision: Decision) -> None:
        """Report a decision."""

    def late(self, seconds: float) -> None:
        """Report how late a round was."""
