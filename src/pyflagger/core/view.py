"""A situation as the phases read it: target, primary and route without their problems, and what follows from them.

Made by `decide`; decides nothing. What is built from it is in `clocks`, `actions` and `writing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyflagger.api import defaults
from pyflagger.api.canary import Analysis, Canary, CanaryStatus, HookType, Webhook
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, READY, Problem, Readiness, Route
from pyflagger.core import absent
from pyflagger.core.memory import Memory
from pyflagger.core.revision import checksum
from pyflagger.core.situation import Primary, Situation, Target

NO_TARGET = Target(revision="", configs=None, readiness=READY, at_zero=False, scalable=False)
"""Stands in for a target that does not exist, where only leaving it alone makes sense."""

KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class View:
    """One situation. `target`, `primary` and `route` are what the situation holds, without the problems."""

    situation: Situation
    target: Target
    primary: Primary | None
    route: Route

    @classmethod
    def of(cls, situation: Situation) -> View:
        """The view of a situation; what cannot be read counts as not there."""
        target, primary = situation.target, situation.primary
        return cls(
            situation=situation,
            target=NO_TARGET if isinstance(target, Problem) else target,
            primary=None if isinstance(primary, Problem) else primary,
            route=_route(situation),
        )

    @property
    def canary(self) -> Canary:
        """The Canary."""
        return self.situation.canary

    @property
    def status(self) -> CanaryStatus:
        """Its status as it was read."""
        return self.situation.canary.status

    @property
    def analysis(self) -> Analysis:
        """Its analysis; one without any check when the manifest has none."""
        return self.canary.spec.analysis or Analysis()

    @property
    def now(self) -> float:
        """The time of this decision."""
        return self.situation.now

    @property
    def memory(self) -> Memory:
        """What is remembered of the canary."""
        return self.situation.memory

    @property
    def kind(self) -> str:
        """The target's kind."""
        return self.canary.spec.target_ref.kind

    @property
    def skip(self) -> bool:
        """Whether the analysis is to be skipped."""
        return defaults.skip(self.canary)

    @property
    def strategy(self) -> str:
        """How this run advances: what cannot be had from the provider becomes blue/green, never all traffic at once."""
        wanted = defaults.strategy(self.canary)
        if self.virtual or (wanted == "ab-testing" and not self.situation.capabilities.ab):
            return "blue-green"
        return wanted

    @property
    def virtual(self) -> bool:
        """Whether the provider splits no traffic at all."""
        return self.situation.provider == KUBERNETES

    @property
    def leads(self) -> bool:
        """Whether a release leads visitors to the canary. Without a split only one does that drains the primary."""
        return not self.virtual or self.drains

    @property
    def iterations(self) -> int:
        """How many iterations a run by iterations has."""
        return self.analysis.iterations or defaults.KUBERNETES_ITERATIONS

    @property
    def matches(self) -> bool:
        """Whether the primary runs the target's template."""
        return self.primary is not None and self.primary.matches_target

    @property
    def primary_readiness(self) -> Readiness:
        """The primary's readiness; one that does not exist or runs nothing is not ready."""
        if self.primary is None:
            return Readiness(False, absent.primary_missing(self.canary), retriable=not self.primary_gone)
        if self.primary.at_zero:
            return Readiness(False, absent.primary_at_zero(self.canary), retriable=False)
        return self.primary.readiness

    @property
    def primary_gone(self) -> bool:
        """Whether no primary can get ready by itself: it was deleted or scaled to zero, or its pods all broke."""
        if self.primary is None:
            return self.situation.generated.primary_workload == "missing"
        return self.primary.at_zero or self.primary_broken

    @property
    def primary_broken(self) -> bool:
        """Whether the primary has had no available pod for longer than its deadline."""
        if self.primary is None or not self.primary.empty:
            return False
        return not self.primary.readiness.ready and not self.primary.readiness.retriable

    @property
    def target_asleep(self) -> bool:
        """Whether the target runs nothing."""
        return self.target.scalable and self.target.at_zero

    @property
    def canary_ready(self) -> bool:
        """Whether the target's pods can take traffic."""
        return self.target.readiness.ready and not self.target_asleep

    @property
    def exposed(self) -> bool:
        """Whether live traffic, or a copy of it, reaches the canary."""
        return self.route != ALL_PRIMARY

    @property
    def canary_carries_all(self) -> bool:
        """Whether the primary serves nobody. With match rules (A/B) full weight leaves the rest to the primary."""
        return self.route == ALL_CANARY and (self.strategy != "ab-testing" or self.rescued)

    @property
    def drains(self) -> bool:
        """Whether the primary may be without a pod while it rolls."""
        return self.primary is not None and self.primary.keeps == 0

    @property
    def rescued(self) -> bool:
        """Whether the canary is owed all traffic: before a copy that drains the primary, or after one that failed."""
        return self.status.canary_weight == 100

    @property
    def first_round(self) -> bool:
        """Whether nothing of this run has been judged yet, as the canary has seen no traffic."""
        return self.route.canary == 0 and self.status.iterations <= 0 and not self.route.mirrored

    def hooks(self, *kinds: HookType) -> tuple[tuple[int, Webhook], ...]:
        """The canary's hooks of some types with their index, in order."""
        return tuple((i, hook) for i, hook in enumerate(self.analysis.webhooks) if hook.type in kinds)

    @property
    def running(self) -> str:
        """The checksum of the revision last acted on."""
        return checksum(self.status.last_applied_spec, self.status.tracked_configs)

    @property
    def pending(self) -> str:
        """The checksum of the target as it is."""
        return checksum(self.target.revision, self.target.configs)

    def remembering(self, memory: Memory) -> View:
        """The view of a canary of which more is remembered."""
        return replace(self, situation=replace(self.situation, memory=memory))


def _route(situation: Situation) -> Route:
    """How traffic is split; all on the primary before there are routes.

    A provider that splits nothing may tell of virtual weights while a run iterates. Its one real split is all traffic
    on the canary after a failed promotion, which the status knows.
    """
    route, status = situation.route, situation.canary.status
    if not isinstance(route, Route):
        return ALL_PRIMARY
    if situation.provider == KUBERNETES and status.iterations > 0 and status.canary_weight < 100:
        return ALL_PRIMARY
    return route
