"""A situation as the phases read it: the target and route known, clocks compared, texts said once.

Made by `decide` after it has made sure that nothing blocks the canary. The only module that knows how a Situation is
turned into what the phases ask for; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pyflagger.api import cookies, defaults
from pyflagger.api.canary import Analysis, Canary, CanaryStatus, HookType, Phase, Webhook
from pyflagger.api.durations import microsecond
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, READY, Problem, Readiness, Route
from pyflagger.core import absent, reasons
from pyflagger.core.conditions import (
    HALTED,
    SCALING_DOWN,
    WAITING,
    Rollback,
    Waits,
    enter,
    explain,
    roll_back,
    stand,
)
from pyflagger.core.decision import (
    Action,
    Decision,
    PauseAutoscaler,
    Reason,
    Say,
    ScaleTarget,
    SetRoute,
    WriteStatus,
)
from pyflagger.core.memory import AT_WRITE, DUE, Memory, Subject, Time, Told
from pyflagger.core.revision import checksum
from pyflagger.core.situation import Primary, Situation, Target

NO_TARGET = Target(revision="", configs=None, readiness=READY, at_zero=False, scalable=False)
"""Stands in for a target that does not exist, where only leaving it alone makes sense."""

KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class Case:
    """One situation. `target`, `primary` and `route` are what the situation holds, without the problems."""

    situation: Situation
    target: Target
    primary: Primary | None
    route: Route

    @classmethod
    def of(cls, situation: Situation) -> Case:
        """The case of a situation; what cannot be read counts as not there."""
        target, primary = situation.target, situation.primary
        return cls(
            situation=situation,
            target=NO_TARGET if isinstance(target, Problem) else target,
            primary=None if isinstance(primary, Problem) else primary,
            route=_route(situation),
        )

    # What is there --------------------------------------------------------------------------------------------------

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

    # Clocks ---------------------------------------------------------------------------------------------------------

    @property
    def last_tick(self) -> float | None:
        """When the last judging round ended; None when nobody knows and something may have been stepped.

        One that is still to come was written by a clock that was ahead of ours: it says nothing.
        """
        both = (self.status.last_tick_time, self.memory.tick)
        known = [tick for tick in both if tick is not None and tick <= self.now]
        if known:
            return max(known)
        fresh = self.status.phase is Phase.PROGRESSING and self.first_round and not self.status.failed_checks
        return DUE if fresh else None

    @property
    def due(self) -> float:
        """When the next judging round may begin."""
        last = self.last_tick
        return self.now if last is None else last + self.situation.interval

    def tick(self, **changes: Any) -> dict[str, Any]:
        """The changes of a status that a judging round makes."""
        return {**changes, "last_tick_time": microsecond(self.now)}

    # Hooks and checksums --------------------------------------------------------------------------------------------

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

    # Actions --------------------------------------------------------------------------------------------------------

    def say(self, reason: Reason, *, warn: bool = False, phase: Phase | None = None, checksum: str = "") -> Say:
        """An event; it tells of the current phase and the revision last acted on unless told otherwise."""
        of = self.status.phase if phase is None else phase
        return Say("Warning" if warn else "Normal", reason, of.value, checksum or self.running)

    def once(
        self,
        reason: Reason,
        *,
        warn: bool = False,
        phase: Phase | None = None,
        checksum: str = "",
        item: str = "",
        route: Route | None = None,
    ) -> tuple[Say, ...]:
        """An event, unless it was what was told last of this phase and revision, and of this `route` if one is given.

        Of one reason several `item`s may stand at the same time.
        """
        said = self.say(reason, warn=warn, phase=phase, checksum=checksum)
        told = Told(reason.text, said.phase, said.checksum, route, Time(self.now))
        return self._unless_told(said, {Subject(reason.code, item): told})

    def announce(self, reason: Reason, of: str, *items: str, warn: bool = True) -> tuple[Say, ...]:
        """An event about a lasting matter, unless it was told, whatever is released meanwhile: the matter as a whole by
        its text, or each of its `items` by itself."""
        subjects = {Subject(of, item): Told(item, time=Time(self.now)) for item in items}
        told = subjects or {Subject(of): Told(reason.text, time=Time(self.now))}
        return self._unless_told(self.say(reason, warn=warn), told)

    def _unless_told(self, said: Say, told: Mapping[Subject, Told]) -> tuple[Say, ...]:
        """The one place where repetition is prevented."""
        news = any(self.memory.told.get(subject) != each for subject, each in told.items())
        return (replace(said, told=tuple(told.items())),) if news else ()

    def remembering(self, memory: Memory) -> Case:
        """The case of a canary of which more is remembered."""
        return replace(self, situation=replace(self.situation, memory=memory))

    def clean_slate(self, tick: Time = DUE) -> Memory:
        """A memory without everything that belongs to a run."""
        return self.memory.new_run(tick, reasons.LASTING)

    def route_to(self, route: Route) -> tuple[Action, ...]:
        """Split traffic so, unless it is."""
        return () if self.route == route else (SetRoute(route),)

    def sleep(self, reason: Reason, *, led: bool = True) -> Decision | None:
        """Scale the target to zero, as far as it is not; the one way to do so.

        Proxies hear of a route a moment after its object has it: as long the pods serve on. When visitors left them
        nobody knows after a restart: they did just now. `led` is false where none were, unless memory knows better.
        """
        actions = self._put_to_sleep()
        if not actions:
            return None
        left = self.memory.left
        if left is None and led:
            return self.act(reason, memory=replace(self.memory, left=AT_WRITE))
        unheard = None if left is None else self.until_heard(left, reason)
        return unheard or self.act(reason, *actions)

    @property
    def awake(self) -> bool:
        """Whether the target runs pods, or its autoscaler may start them."""
        return bool(self._put_to_sleep())

    def _put_to_sleep(self) -> tuple[Action, ...]:
        """Its autoscaler first."""
        pause: tuple[Action, ...] = ()
        if self.situation.generated.target_autoscaler_paused is False:
            pause = (PauseAutoscaler(True),)
        scale: tuple[Action, ...] = (ScaleTarget(None),) if self.target.scalable and not self.target.at_zero else ()
        return pause + scale

    def wake_up(self) -> tuple[Action, ...]:
        """Scale the target from zero and give it back to its autoscaler, as far as that is not so."""
        resume: tuple[Action, ...] = ()
        if self.situation.generated.target_autoscaler_paused:
            resume = (PauseAutoscaler(False),)
        return resume + ((ScaleTarget(self.target.restored_replicas),) if self.target_asleep else ())

    def write(
        self,
        to: Phase | None = None,
        *,
        message: str = "",
        halted: Reason | None = None,
        rollback: Rollback | Literal["over", "as it is"] = "as it is",
        waits: Waits | None = None,
        **changes: Any,
    ) -> WriteStatus:
        """The status with some changes, in phase `to` if that is given. Cookies follow the weight.

        `halted` says what stops the run. Without it nothing does any more, unless the run is failing: then what stopped
        it stands. `rollback` begins one, or ends the one that is under way. `waits` is the gate that the release waits
        for; analysis that goes on waits for none. Whatever is written here goes on, so it waits for nothing else.
        From success until the target is scaled to zero, or until the next run, the condition `ScalingDown` stands.
        """
        changes["unread"] = ()
        if "canary_weight" in changes:
            changes |= cookies.changes(self.canary, changes["canary_weight"])
        status = self.status.but(**changes)
        if to is not None:
            status = enter(self.status, to, now=self.now, kind=self.kind, message=message, **changes)
        if rollback != "as it is":
            status = roll_back(status, None if rollback == "over" else rollback, self.now)
        failing = to is Phase.FAILED or status.rollback is not None
        if halted is not None or not failing:
            status = stand(status, HALTED, (halted,) if halted else (), self.now)
        if to is Phase.SUCCEEDED and self.awake:
            status = stand(status, SCALING_DOWN, (reasons.SCALING_DOWN,), self.now)
        elif to not in (None, Phase.WAITING):
            status = stand(status, SCALING_DOWN, (), self.now)
        if waits or status.phase is Phase.PROGRESSING:
            status = explain(status, waits, self.now)
        return WriteStatus(stand(status, WAITING, (), self.now))

    def take_revision(self) -> dict[str, Any]:
        """The changes of a status that acts on the target as it is."""
        configs = self.target.configs
        return {
            "last_applied_spec": self.target.revision,
            "tracked_configs": None if configs is None else dict(configs),
        }

    # Decisions ------------------------------------------------------------------------------------------------------

    def hold(self, reason: Reason, *, wake: float | None = None, warn: bool = True) -> Decision:
        """Wait, and say once why."""
        return Decision(actions=self.once(reason, warn=warn), reasons=(reason,), wake=wake)

    def until_heard(self, since: float, reason: Reason) -> Decision | None:
        """Wait until proxies have heard of what was routed then; a time that is to come was told by another clock."""
        return self._pause(since, defaults.HEARD_SECONDS, reason)

    def until_settled(self, since: float, reason: Reason) -> Decision | None:
        """Wait until proxies have learned of pods that became available then."""
        return self._pause(since, defaults.SETTLE_SECONDS, reason)

    def _pause(self, since: float, seconds: float, reason: Reason) -> Decision | None:
        by = since + seconds
        return Decision(reasons=(reason,), wake=by) if since <= self.now < by else None

    def act(self, reason: Reason, *actions: Action, memory: Memory | None = None) -> Decision:
        """Do something now, and remember something."""
        return Decision(actions=actions, reasons=(reason,), memory=memory)


def no_progress(weight: int = 0) -> dict[str, Any]:
    """The changes of a status at the beginning or end of a run."""
    return {"failed_checks": 0, "canary_weight": weight, "iterations": 0, "rollback": "over"}


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
