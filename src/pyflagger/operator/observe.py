"""From the watch cache to a Situation, without an API read.

Called at each look. What depends only on live objects is worked out once for each combination of their versions;
readiness, evidence and memory are added each time. Sees objects of Kubernetes; `core` never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pyflagger.api import names
from pyflagger.api.canary import CanaryStatus
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Fault, Problem, Route
from pyflagger.clock import Clock
from pyflagger.core.situation import Generated, Primary, Situation, Sync, Target
from pyflagger.kube.configs import Configs
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.resources import CANARIES, UnknownKind, resource_of
from pyflagger.objects import Obj, Ref, Resource, Unread, Write
from pyflagger.operator.desk import Desk, Key
from pyflagger.operator.interest import Interests
from pyflagger.operator.plan import Plan, Settings, make_plan
from pyflagger.operator.rivals import Rivals
from pyflagger.operator.world import World
from pyflagger.routing import services
from pyflagger.routing.base import Waits
from pyflagger.routing.services import Role, Selector
from pyflagger.workloads import autoscalers
from pyflagger.workloads.base import Workload
from pyflagger.workloads.configs import NOTHING, Tracked, references, track

KUBERNETES = "kubernetes"


class NotYet(Exception):
    """The cache has not read everything that this canary needs; it pokes when it has."""


class Copies(NamedTuple):
    """What is wrong with our copies of configs: those that nobody uses, those that the primary's pods lack."""

    stale: frozenset[Ref]
    lost: frozenset[Ref]


@dataclass(frozen=True, slots=True)
class Facts:
    """What follows from live objects whatever the time. `selector` and `tracked` are what `render` needs too."""

    selector: Selector | Problem | None
    tracked: Tracked | Problem
    revision: str
    matches: bool
    restored_replicas: int
    copies: Copies
    route: Route | Problem | None = None
    generated: Generated = field(default_factory=Generated)


@dataclass(frozen=True, slots=True)
class Seen:
    """One look's result: the situation for `decide`, and what `render` draws from."""

    plan: Plan
    situation: Situation
    raw: Obj
    facts: Facts


def _version(obj: Obj | None) -> object:
    return obj["metadata"].get("resourceVersion") if obj else ""


def _stamp(workload: Obj | None) -> object:
    """What facts about a workload depend on: pods that come and go change its status alone."""
    if workload is None:
        return None
    meta = workload["metadata"]
    if "generation" not in meta:
        return meta.get("resourceVersion")
    return {key: value for key, value in meta.items() if key != "resourceVersion"}


def _followed(status: CanaryStatus) -> object:
    """What routes and Services follow of a status: a weight that is owed, and cookies."""
    return (
        status.canary_weight,
        status.last_applied_spec,
        status.session_affinity_cookie,
        status.primary_session_affinity_cookie,
        status.previous_session_affinity_cookie,
    )


class Eyes:
    """Looks at canaries. `follow` makes the cache read a kind and says whether it has, or why it cannot."""

    def __init__(
        self,
        world: World,
        configs: Configs[Key],
        interests: Interests,
        rivals: Rivals,
        settings: Settings,
        clock: Clock,
        follow: Callable[[Resource], NotFound | Forbidden | bool],
    ) -> None:
        self._world, self._configs, self._interests, self._rivals = world, configs, interests, rivals
        self._settings, self._clock, self._follow = settings, clock, follow
        self._plans: dict[Key, tuple[str, Plan]] = {}
        self._facts: dict[Key, tuple[object, object, Facts]] = {}

    def observe(self, key: Key, desk: Desk) -> Seen | None:
        """The canary's situation; None when it is gone. Raises NotYet."""
        raw = self._world.get(CANARIES.ref(*key))
        if raw is None:
            return None
        plan = self._plan(key, raw)
        unread = self._look_around(key, plan)
        facts = self._remembered(key, plan)
        rival = self._rivals.problem(key)
        if rival is not None:
            plan = replace(plan, problems=(*plan.problems, rival))
        situation = replace(self._situation(plan, raw, facts, desk), unread=unread)
        return Seen(plan, situation, raw, facts)

    def last_plan(self, key: Key) -> Plan | None:
        """The plan of the last look."""
        known = self._plans.get(key)
        return known[1] if known else None

    def forget(self, key: Key) -> None:
        """The canary is gone."""
        self._plans.pop(key, None)
        self._facts.pop(key, None)
        self._interests.drop(key)
        self._configs.drop(key)

    def _plan(self, key: Key, raw: Obj) -> Plan:
        version = raw["metadata"].get("resourceVersion", "")
        known = self._plans.get(key)
        if known is None or known[0] != version or not version:
            self._plans[key] = known = (version, make_plan(raw, known[1] if known else None, self._settings))
        return known[1]

    def _more(self, plan: Plan) -> dict[Ref, Obj | None]:
        """What readiness looks at beside target and primary."""
        target = self._world.get(plan.target)
        reads = plan.workload.reads(plan.canary, target) if plan.workload and target else ()
        return {ref: self._world.get(ref) for ref in reads}

    def _look_around(self, key: Key, plan: Plan) -> tuple[Problem, ...]:
        """Follow every kind that the canary needs; why some cannot be. Raises NotYet.

        On deletion a kind that is not served counts as one without objects: what is gone needs no handing back.
        """
        more = self._more(plan)
        interest = plan.interest | more.keys() if more else plan.interest
        self._interests.put(key, interest)
        followed = [self._follow(resource) for resource in _resources(interest)]
        if not all(followed):
            raise NotYet
        refusals = (found for found in followed if not isinstance(found, bool))
        deleting = plan.canary.metadata.deletion_timestamp is not None
        wanted = {found.problem for found in refusals if isinstance(found, Forbidden) or not deleting}
        return tuple(sorted(wanted, key=lambda problem: problem.text))

    # Facts -----------------------------------------------------------------------------------------------------------

    def _remembered(self, key: Key, plan: Plan) -> Facts:
        tracked = self._tracked(key, plan)
        meta = plan.canary.metadata
        owned = self._configs.owned(meta.uid)
        # A kind that keeps both versions in one object tells in its status which they are.
        stamp = _version if plan.primary == plan.target else _stamp
        copied: object = (
            meta.generation,
            meta.uid,
            [stamp(self._world.get(ref)) for ref in (plan.target, plan.primary)],
            [_version(self._world.get(ref)) for ref in (plan.autoscaler, plan.primary_autoscaler) if ref],
            tracked.checksums if isinstance(tracked, Tracked) else tracked,
            owned,
        )
        routed: object = (_followed(plan.canary.status), [_version(obj) for obj in map(self._world.get, plan.others)])
        known = self._facts.get(key)
        if known is None or known[0] != copied:
            known = (copied, routed, self._work_out(plan, tracked, owned))
        elif known[1] != routed:
            known = (copied, routed, self._routed(plan, known[2]))
        self._facts[key] = known
        return known[2]

    def _tracked(self, key: Key, plan: Plan) -> Tracked | Problem:
        target = self._world.get(plan.target)
        if not self._settings.options.enable_config_tracking or target is None or plan.workload is None:
            return NOTHING
        refs = plan.workload.config_refs(target)
        namespace = plan.canary.metadata.namespace
        originals = {ref.ref(namespace) for ref in refs}
        self._configs.want(key, frozenset(originals | {ref.copy_ref(namespace) for ref in refs}))
        found = track(refs, namespace, self._configs.find)
        if isinstance(found, Unread):
            raise NotYet
        if isinstance(found, Tracked) and any(
            isinstance(self._configs.find(ref.copy_ref(namespace)), Unread) for ref in found.refs.values()
        ):
            raise NotYet
        known = self._facts.get(key)
        # The same objects keep the same checksums, worked out once.
        return known[2].tracked if known and found == known[2].tracked else found

    def _routed(self, plan: Plan, facts: Facts) -> Facts:
        """Facts whose workloads and configs are still as they were: a step of a release changes routes alone."""
        generated = Generated()
        if plan.workload is not None and self._world.get(plan.target) is not None:
            generated = self._generated(plan, facts.selector, facts.tracked, facts.copies)
        return replace(facts, route=self._route(plan, facts.selector), generated=generated)

    def _work_out(self, plan: Plan, tracked: Tracked | Problem, owned: frozenset[Ref]) -> Facts:
        target, found, kind = self._world.get(plan.target), self.primary(plan), plan.workload
        primary = None if isinstance(found, Problem) else found
        options = self._settings.workloads
        selector = _selector(plan, target, kind, self._settings)
        known = tracked if isinstance(tracked, Tracked) else NOTHING
        scaler = self._world.get(plan.autoscaler) if plan.autoscaler else None
        facts = Facts(
            selector=selector,
            tracked=tracked,
            revision=kind.revision(target) if kind and target else "",
            matches=bool(kind and target and primary and kind.matches(plan.canary, target, primary, known, options)),
            restored_replicas=kind.restored_replicas(plan.canary, target, primary, scaler) if kind and target else 1,
            copies=Copies(_stale(plan, owned, known, primary), _lost(plan, owned, known, primary)),
        )
        return self._routed(plan, facts)

    def primary(self, plan: Plan) -> Obj | Problem | None:
        """The primary; None before it exists, a Problem when its name is taken."""
        found = self._world.get(plan.primary)
        if found is None or plan.workload is None:
            return None
        claimed = plan.workload.is_primary(plan.canary, found)
        return claimed if isinstance(claimed, Problem) else found if claimed else None

    def _route(self, plan: Plan, selector: Selector | Problem | None) -> Route | Problem | None:
        if plan.provider == KUBERNETES and isinstance(selector, Selector):
            apex = self._world.get(services.ref(plan.canary, Role.APEX))
            return ALL_CANARY if services.serves_canary(apex, selector) else ALL_PRIMARY
        if plan.router is None:
            return None
        return plan.router.read(plan.canary, self.live(plan), self._settings.routing)

    def _route_waiting(self, plan: Plan) -> str:
        waits = plan.router if isinstance(plan.router, Waits) else None
        return waits.waiting(plan.canary, self.live(plan), self._settings.routing) if waits else ""

    def live(self, plan: Plan) -> dict[Ref, Obj | None]:
        """The routing objects as they are now."""
        reads = plan.router.reads(plan.canary, self._settings.routing) if plan.router else ()
        return {ref: self._world.get(ref) for ref in reads}

    def _generated(
        self, plan: Plan, selector: Selector | Problem | None, tracked: Tracked | Problem, ours: Copies
    ) -> Generated:
        canary, world = plan.canary, self._world
        scaler = world.get(plan.autoscaler) if plan.autoscaler else None
        primary_scaler = world.get(plan.primary_autoscaler) if plan.primary_autoscaler else None
        routing = plan.router.reconcile(canary, self.live(plan), self._settings.routing) if plan.router else ()
        return Generated(
            canary_service=self._service(plan, Role.CANARY, selector),
            primary_service=self._service(plan, Role.PRIMARY, selector),
            apex_service=self._service(plan, Role.APEX, selector),
            primary_workload=_primary_sync(plan, self.primary(plan), tracked),
            primary_autoscaler=_sync(
                autoscalers.primary_autoscaler(canary, scaler, primary_scaler, self._settings.workloads),
                primary_scaler is None or bool(autoscalers.stuck(primary_scaler)),
            ),
            target_autoscaler_paused=autoscalers.paused(scaler),
            routing=_sync(routing),
            stale_configs="drift" if ours.stale else "ok",
            primary_configs="missing" if ours.lost else "ok",
        )

    def _service(self, plan: Plan, role: Role, selector: Selector | Problem | None) -> Sync:
        if isinstance(selector, Problem):
            return "ok"
        return _sync(self.service_writes(plan, role, selector))

    def service_writes(self, plan: Plan, role: Role, selector: Selector | None) -> tuple[Write, ...] | Problem:
        """What brings one Service into shape; an apex that was turned to the canary stays turned."""
        live = self._world.get(services.ref(plan.canary, role))
        target = self._world.get(plan.target)
        if selector is None:
            if plan.workload is None or target is None or role is not Role.CANARY:
                return ()
            return plan.workload.service(plan.canary, target, live, self._settings.workloads)
        ports = plan.workload.ports(plan.canary, target) if plan.workload and target else ()
        turned = role is Role.APEX and plan.provider == KUBERNETES and services.serves_canary(live, selector)
        turned = turned and plan.canary.status.canary_weight == 100
        return services.reconcile(plan.canary, role, selector, ports, live, to_canary=turned)

    # The situation ---------------------------------------------------------------------------------------------------

    def _situation(self, plan: Plan, raw: Obj, facts: Facts, desk: Desk) -> Situation:
        now = self._clock.now()
        desk.keep_time(now - self._clock.monotonic())
        meta = plan.canary.metadata
        deleting = meta.deletion_timestamp is not None and names.FINALIZER in meta.finalizers
        return Situation(
            canary=plan.canary,
            now=now,
            interval=plan.interval,
            provider=plan.provider,
            capabilities=plan.capabilities,
            target=self._target(plan, facts, now),
            primary=self._primary(plan, facts, now),
            route=facts.route,
            generated=_with_finalizer(facts.generated, plan),
            problems=plan.problems,
            evidence=dict(desk.evidence),
            memory=desk.memory(),
            deleting=deleting,
            reassert_zero=self._settings.options.idle_at_zero,
            route_waiting=self._route_waiting(plan),
        )

    def _target(self, plan: Plan, facts: Facts, now: float) -> Target | Problem:
        live = self._world.get(plan.target)
        if live is None:
            return _missing_target(plan)
        if isinstance(facts.selector, Problem):
            return facts.selector
        if plan.workload is None:
            return plan.problems[0]
        if (refused := plan.workload.refuses(live)) is not None:
            return refused
        if isinstance(facts.tracked, Problem) and self.primary(plan) is not None:
            return facts.tracked
        tracking = self._settings.options.enable_config_tracking
        checksums = facts.tracked.checksums if isinstance(facts.tracked, Tracked) else {}
        return Target(
            revision=facts.revision,
            configs=checksums if tracking else None,
            readiness=plan.workload.readiness(plan.canary, live, "canary", now, self._more(plan)),
            at_zero=plan.workload.at_zero(live),
            restored_replicas=facts.restored_replicas,
            scalable=plan.workload.scalable,
        )

    def _primary(self, plan: Plan, facts: Facts, now: float) -> Primary | Problem | None:
        live = self.primary(plan)
        if live is None or isinstance(live, Problem):
            return live
        if plan.workload is None:
            return None
        scaled_by_other = plan.autoscaler is not None
        readiness = plan.workload.readiness(plan.canary, live, "primary", now, self._more(plan))
        scaler = self._world.get(plan.primary_autoscaler) if plan.primary_autoscaler else None
        return Primary(
            readiness=autoscalers.floor(plan.canary, live, scaler, now) if readiness.ready else readiness,
            at_zero=plan.workload.at_zero(live) and not scaled_by_other,
            matches_target=facts.matches,
        )


def _resources(refs: Iterable[Ref]) -> Iterable[Resource]:
    found = set()
    for ref in refs:
        try:
            found.add(resource_of(ref))
        except UnknownKind:
            continue
    return found


def _missing_target(plan: Plan) -> Problem:
    ref = plan.target
    kind = ref.kind.lower()
    group = f".{ref.api_version.partition('/')[0]}" if "/" in ref.api_version else ""
    text = f'{kind} {ref.name}.{ref.namespace} get query error: {kind}s{group} "{ref.name}" not found'
    return Problem(Fault.MANIFEST, text, f"Create {kind} {ref.name}, or correct spec.targetRef.", "spec.targetRef")


def _selector(plan: Plan, target: Obj | None, kind: Workload | None, settings: Settings) -> Selector | Problem | None:
    if target is None or kind is None:
        return _missing_target(plan)
    found = kind.selector(plan.canary, target, settings.workloads)
    return found if found is None or isinstance(found, Problem) else Selector(*found)


def _sync(writes: tuple[Write, ...] | Problem, missing: bool = False) -> Sync:
    if isinstance(writes, Problem):
        return writes
    if not writes:
        return "ok"
    return "missing" if missing else "drift"


def _primary_sync(plan: Plan, primary: Obj | Problem | None, tracked: Tracked | Problem) -> Sync:
    if primary is not None:
        return primary if isinstance(primary, Problem) else "ok"
    if not isinstance(tracked, Problem):
        return "missing"
    where = tracked.text.partition(" get query error")[0]
    text = f"createPrimary{plan.target.kind} failed: GetTargetConfigs failed: {where} get query error: {tracked.text}"
    return Problem(tracked.fault, text, tracked.todo, tracked.path)


def _stale(plan: Plan, owned: frozenset[Ref], tracked: Tracked, primary: Obj | None) -> frozenset[Ref]:
    """Our copies that neither the primary's pods nor the target's next ones use."""
    if primary is None or not owned:
        return frozenset()
    return owned - _used(plan, primary) - _wanted(plan, tracked)


def _lost(plan: Plan, owned: frozenset[Ref], tracked: Tracked, primary: Obj | None) -> frozenset[Ref]:
    """Our copies that the primary's pods use and that are not there."""
    return (_used(plan, primary) & _wanted(plan, tracked)) - owned if primary else frozenset()


def _used(plan: Plan, workload: Obj) -> frozenset[Ref]:
    pod = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return frozenset(ref.ref(plan.canary.metadata.namespace) for ref in references(pod))


def _wanted(plan: Plan, tracked: Tracked) -> frozenset[Ref]:
    return frozenset(ref.copy_ref(plan.canary.metadata.namespace) for ref in tracked.refs.values())


def _with_finalizer(generated: Generated, plan: Plan) -> Generated:
    meta = plan.canary.metadata
    if plan.problems or meta.deletion_timestamp is not None:
        return generated
    wanted = plan.canary.spec.revert_on_deletion
    return replace(generated, finalizer="ok" if wanted == (names.FINALIZER in meta.finalizers) else "drift")
