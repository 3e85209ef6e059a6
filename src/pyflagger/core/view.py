"""The phases' view of a situation: target, primary and route without problems, and derived facts.

`decide` creates it. It decides nothing. `clocks`, `actions` and `writing` use it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyflagger.api import defaults
from pyflagger.api.canary import Analysis, Canary, CanaryStatus, HookType, Webhook
from pyflagger.api.defaults import SEEN_SETTLE_SECONDS
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, READY, Problem, Readiness, Route, settled
from pyflagger.core import absent
from pyflagger.core.memory import Memory
from pyflagger.core.revision import checksum
from pyflagger.core.situation import Primary, ReadRecord, Recorded, Situation, Target

NO_TARGET = Target(revision="", configs=None, readiness=READY, at_zero=False, scalable=False)
"""The placeholder for a target that does not exist. Rules leave it alone."""

KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class View:
    """One situation. `target`, `primary` and `route` are those of the situation, without problems."""

    situation: Situation
    target: Target
    primary: Primary | None
    route: Route

    @classmethod
    def of(cls, situation: Situation) -> View:
        """The view of a situation. An object that flagger cannot read counts as missing."""
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
        """The status, as read."""
        return self.situation.canary.status

    @property
    def analysis(self) -> Analysis:
        """The analysis; an analysis without checks if the manifest has none."""
        return self.canary.spec.analysis or Analysis()

    @property
    def now(self) -> float:
        """The time of this decision."""
        return self.situation.now

    @property
    def memory(self) -> Memory:
        """The canary's memory."""
        return self.situation.memory

    @property
    def kind(self) -> str:
        """The target's kind."""
        return self.canary.spec.target_ref.kind

    @property
    def skip(self) -> bool:
        """Whether to skip the analysis."""
        return defaults.skip(self.canary)

    @property
    def full(self) -> bool:
        """Whether a person asked to promote this revision without further analysis."""
        asked = self.status.promote
        return asked is not None and asked.full and asked.revision == self.pending

    @property
    def strategy(self) -> str:
        """The strategy of this run: blue/green if the provider does not support the wanted one."""
        wanted = defaults.strategy(self.canary)
        if self.virtual or (wanted == "ab-testing" and not self.situation.capabilities.ab):
            return "blue-green"
        return wanted

    @property
    def virtual(self) -> bool:
        """Whether the provider cannot split traffic."""
        return self.situation.provider == KUBERNETES

    @property
    def leads(self) -> bool:
        """Whether a release sends visitors to the canary. Without a split, only one that drains the primary does."""
        return not self.virtual or self.drains

    @property
    def iterations(self) -> int:
        """The number of iterations of a run."""
        return self.analysis.iterations or defaults.KUBERNETES_ITERATIONS

    @property
    def matches(self) -> bool:
        """Whether the primary runs the target's template."""
        return self.primary is not None and self.primary.matches_target

    @property
    def primary_readiness(self) -> Readiness:
        """The primary's readiness. A primary that is missing or at zero is not ready.

        A primary that had no available pods gets traffic only once proxies know its new pods. A plain Service changes
        its endpoints in one step and needs no pause. The status of a primary that drains may never show that it had no
        pods; `promotion.settled` waits for that one.
        """
        if self.primary is None:
            return Readiness(False, absent.primary_missing(self.canary), retriable=not self.primary_gone)
        if self.primary.at_zero:
            return Readiness(False, absent.primary_at_zero(self.canary), retriable=False)
        if self.primary.readiness.ready and self.canary_carries_all and not (self.drains or self.virtual):
            return settled(self.primary.serving_since, self.now, absent.primary_new(self.canary))
        return self.primary.readiness

    @property
    def primary_gone(self) -> bool:
        """Whether the primary cannot get ready by itself: it is missing or at zero, or all of its pods are broken."""
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
        """Whether the target is at zero."""
        return self.target.scalable and self.target.at_zero

    @property
    def canary_readiness(self) -> Readiness:
        """The target's readiness. The pause for proxies ends by the API's time or by flagger's own, whichever is first:
        the API truncates its times to seconds."""
        readiness, known = self.target.readiness, self.memory.available
        if not readiness.settling or known is None:
            return readiness
        same = (known.revision, known.settled) == (self.target.revision, readiness.look_again)
        return READY if same and self.now >= known.seen + SEEN_SETTLE_SECONDS else readiness

    @property
    def canary_ready(self) -> bool:
        """Whether the target's pods can take traffic."""
        return self.canary_readiness.ready and not self.target_asleep

    @property
    def exposed(self) -> bool:
        """Whether live traffic, or a copy of it, reaches the canary."""
        return self.route != ALL_PRIMARY

    @property
    def canary_carries_all(self) -> bool:
        """Whether the primary gets no traffic. With match rules (A/B), it gets the rest even at full weight."""
        return self.route == ALL_CANARY and (self.strategy != "ab-testing" or self.rescued)

    @property
    def drains(self) -> bool:
        """Whether the primary may be without pods while it rolls."""
        return self.primary is not None and self.primary.keeps == 0

    @property
    def rescued(self) -> bool:
        """Whether the canary must get all traffic: before a copy that drains the primary, or after a failed one."""
        return self.status.canary_weight == 100

    @property
    def first_round(self) -> bool:
        """Whether this is the first round of the run: the canary had no traffic yet."""
        return self.route.canary == 0 and self.status.iterations <= 0 and not self.route.mirrored

    def hooks(self, *kinds: HookType) -> tuple[tuple[int, Webhook], ...]:
        """The canary's hooks of these types with their index, in order."""
        return tuple((i, hook) for i, hook in enumerate(self.analysis.webhooks) if hook.type in kinds)

    @property
    def running(self) -> str:
        """The checksum of the revision last acted on."""
        return checksum(self.status.last_applied_spec, self.status.tracked_configs)

    @property
    def pending(self) -> str:
        """The checksum of the current target."""
        return checksum(self.target.revision, self.target.configs)

    def recorded(self, number: int) -> Recorded | None:
        """The record of a release, once flagger has read it."""
        found = self.situation.evidence.get(ReadRecord(number))
        return found if isinstance(found, Recorded) else None

    def remembering(self, memory: Memory) -> View:
        """The view with another memory."""
        return replace(self, situation=replace(self.situation, memory=memory))

    def having(self, status: CanaryStatus) -> View:
        """The view with another status."""
        canary = self.canary.model_copy(update={"status": status})
        return replace(self, situation=replace(self.situation, canary=canary))


def _route(situation: Situation) -> Route:
    """The split; all on the primary before routes exist.

    A provider that cannot split may report virtual weights while a run iterates. Its only real split is all traffic on
    the canary after a failed promotion, which the status records.
    """
    route, status = situation.route, situation.canary.status
    if not isinstance(route, Route):
        return ALL_PRIMARY
    if situation.provider == KUBERNETES and status.iterations > 0 and status.canary_weight < 100:
        return ALL_PRIMARY
    return route
