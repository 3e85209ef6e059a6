"""What the reconciler needs of the world around it, so that its loop can be tested without a cluster.

Called by `reconcile.reconciler`. `operator.ports` implements it on a real cluster.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from pyflagger.api.facts import Problem
from pyflagger.core.decision import Action, Decision
from pyflagger.core.situation import Need, Result, Situation
from pyflagger.objects import Key
from pyflagger.operator.state import State


class Observed(Protocol):
    """What `observe` returns: the situation, and whatever `apply` needs to carry a decision out."""

    @property
    def situation(self) -> Situation:
        """The facts."""


Seen = TypeVar("Seen", bound=Observed)


class Ports(Protocol[Seen]):
    """One canary's world. `observe` and the notifications never wait."""

    def observe(self, key: Key, state: State) -> Seen | None:
        """The canary as it is now; None when it is gone. Raises NotYet while the cache is being filled."""

    async def gather(self, seen: Seen, need: Need) -> Result:
        """Find out one thing."""

    async def apply(self, seen: Seen, action: Action) -> int:
        """Carry an action out; returns the number of writes to the cluster. Raises kube.client.ApiError or Moved."""

    def failed(self, key: Key, problem: Problem) -> None:
        """A reconciliation failed and is retried."""

    def judged(self, seen: Seen, seconds: float) -> None:
        """A round of checks took this long."""

    def decided(self, key: Key, decision: Decision) -> None:
        """A decision was made."""

    def late(self, seconds: float) -> None:
        """A round was judged this long after it was due."""
