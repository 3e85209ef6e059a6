"""The reconciler's ports on a real cluster: they connect `observe`, `evidence`, `act` and `process`.

`operator.run` builds them.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyflagger.api.canary import Phase
from pyflagger.api.facts import Problem, Route
from pyflagger.core.decision import Action, Decision
from pyflagger.core.situation import Need, Result
from pyflagger.kube.resources import CANARIES
from pyflagger.objects import Key
from pyflagger.operator.act.announcer import Announcer
from pyflagger.operator.act.executor import Executor
from pyflagger.operator.alerting.outbox import Outbox
from pyflagger.operator.evidence.gatherer import Gatherer
from pyflagger.operator.observe.situation import Observer, Seen
from pyflagger.operator.observe.store import Store
from pyflagger.operator.process.telemetry import Telemetry
from pyflagger.operator.spectator import Spectator
from pyflagger.operator.state import State

NEVER_RUN = frozenset({Phase.NEW, Phase.INITIALIZING, Phase.TERMINATING})
"""Phases without a run, in which there are no weights to expose as metrics."""


@dataclass(frozen=True, slots=True)
class ClusterPorts:
    """Implements `reconcile.ports.Ports`."""

    observer: Observer
    gatherer: Gatherer
    executor: Executor
    store: Store
    announcer: Announcer
    telemetry: Telemetry
    alerts: Outbox
    spectator: Spectator

    def observe(self, key: Key, state: State) -> Seen | None:
        """Observe the canary in the cache, expose its live weights as metrics, and send the alerts left in it."""
        seen = self.observer.observe(key, state)
        if seen is None:
            self.alerts.forget(key)
            self.executor.forget(key)
        else:
            self.alerts.restore(seen.compiled.canary)
        if seen and isinstance(seen.situation.route, Route) and seen.compiled.canary.status.phase not in NEVER_RUN:
            self.telemetry.route(seen.compiled.canary, seen.situation.route)
        return seen

    async def gather(self, seen: Seen, need: Need) -> Result:
        """Query the metric provider, the webhook or the API server."""
        return await self.gatherer.gather(seen.compiled, need)

    async def apply(self, seen: Seen, action: Action) -> int:
        """Write to the API server, or report."""
        return await self.executor.apply(seen, action)

    def applied(self, seen: Seen) -> None:
        """Send the alerts of the decision. Its status write has stored them."""
        self.alerts.send(seen.compiled.canary)

    def failed(self, key: Key, problem: Problem) -> None:
        """Report a failure as an Event, a metric and a log line."""
        compiled = self.observer.last_compiled(key)
        if compiled:
            self.telemetry.failed(compiled.target.name, key.namespace, problem.fault.value)
        self.announcer.failed(key, self.store.get(CANARIES.ref(*key)), problem)

    def judged(self, seen: Seen, seconds: float) -> None:
        """Record the duration of a round in a histogram."""
        self.telemetry.judged(seen.compiled.canary, seconds)

    def decided(self, key: Key, decision: Decision) -> None:
        """Pass the decision to the spectator, for the live view of a demo."""
        self.spectator.decided(key, decision)

    def late(self, seconds: float) -> None:
        """Record the lateness of a round in a histogram."""
        self.telemetry.lag(seconds)
