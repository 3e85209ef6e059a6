"""From an action to writes: calls `workloads` and `routing` with the newest live objects.

Used by `apply` alone. Returns writes or the Problem that keeps them from being rendered; writes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from pyflagger.api.facts import ALL_CANARY, Problem
from pyflagger.api.selectors import Selector
from pyflagger.clock import Clock
from pyflagger.core.decision import Part, SetRoute
from pyflagger.kube.configs import Configs
from pyflagger.objects import Create, Obj, Unread, Write
from pyflagger.operator.desk import Key
from pyflagger.operator.facts import (
    KUBERNETES,
    Writes,
    apex_back,
    discovered,
    live_routes,
    pod_of,
    primary_of,
    routes_back,
    service_writes,
)
from pyflagger.operator.foreign import bind, refusal, unbound
from pyflagger.operator.observe import Seen
from pyflagger.operator.plan import Plan, Settings
from pyflagger.operator.world import World
from pyflagger.routing import services
from pyflagger.routing.services import Role
from pyflagger.workloads.autoscalers import bounds, pause, primary_autoscaler
from pyflagger.workloads.configs import Tracked, as_used
from pyflagger.workloads.copies import Copied, copies, left, restored


class Moved(Exception):
    """What the decision was about is not what is there any more: decide again."""


class Renderer:
    """Everything that can be written on behalf of a canary."""

    def __init__(self, world: World, configs: Configs[Key], settings: Settings, clock: Clock) -> None:
        self._world, self._configs = world, configs
        self._settings, self._clock = settings, clock
        self._parts: Mapping[Part, Callable[[Seen], Writes]] = {
            Part.CANARY_SERVICE: lambda seen: self._service(seen, Role.CANARY),
            Part.PRIMARY_SERVICE: lambda seen: self._service(seen, Role.PRIMARY),
            Part.APEX_SERVICE: lambda seen: self._service(seen, Role.APEX),
            Part.PRIMARY_WORKLOAD: self._create_primary,
            Part.PRIMARY_AUTOSCALER: self._autoscaler,
            Part.AUTOSCALER_BOUNDS: lambda seen: bounds(seen.plan.canary, *self._scalers(seen.plan)),
            Part.ROUTING: self._routing,
            Part.PRIMARY_CONFIGS: self._restore_copies,
            Part.OWNERS: self._bind,
            Part.STALE_CONFIGS: self._leave_copies,
        }

    def part(self, seen: Seen, part: Part) -> Writes:
        """Create or mend one generated thing."""
        return self._parts[part](seen)

    def promotion(self, seen: Seen, revision: str) -> Writes:
        """Configs first, then the template; a primary that is gone is created.

        Raises Moved when the target is not at that revision any more.
        """
        target, primary, tracked = self._target(seen), primary_of(seen.plan, self._world.get), self._tracked(seen)
        kind = seen.plan.workload
        if kind is None or kind.revision(target) != revision:
            raise Moved
        if primary is None:
            return self._create_primary(seen)
        if isinstance(primary, Problem):
            return primary
        made = self._copies(seen, as_used(tracked, pod_of(primary), seen.plan.canary.metadata.name))
        if isinstance(made, Problem):
            return made
        options, unique = self._settings.workloads, self._clock.unique()
        written = kind.promote(seen.plan.canary, target, primary, made.tracked, options, unique)
        return written if isinstance(written, Problem) else (*made.writes, *written)

    def route(self, seen: Seen, action: SetRoute) -> Writes:
        """Split traffic; without a router the apex Service is turned."""
        plan, route = seen.plan, action.route
        if plan.provider == KUBERNETES:
            selector = self._selector(seen)
            if selector is None:
                return ()
            live = self._world.get(services.ref(plan.canary, Role.APEX))
            ports = discovered(plan, Role.APEX, self._world.get)
            turned = route == ALL_CANARY
            return services.reconcile(plan.canary, Role.APEX, selector, ports, live, to_canary=turned)
        if plan.router is None:
            return ()
        seen_now, options = live_routes(plan, self._settings, self._world.get), self._settings.routing
        return plan.router.set(plan.canary, seen_now, route, options, everyone=action.everyone)

    def scale(self, seen: Seen, replicas: int | None) -> Writes:
        """Scale the target."""
        return seen.plan.workload.scale(self._target(seen), replicas) if seen.plan.workload else ()

    def pause(self, seen: Seen, paused: bool) -> Writes:
        """Pause the target's autoscaler, or resume it."""
        return pause(self._world.get(seen.plan.autoscaler) if seen.plan.autoscaler else None, paused)

    def revert(self, seen: Seen, thing: Literal["target", "apex-service", "routing"]) -> Writes:
        """Give one thing back. What is gone already is given back; what belongs to others stays as it is."""
        writes = self._reverted(seen, thing)
        if isinstance(writes, Problem):
            return writes
        return tuple(write for write in writes if not self._is_foreign(seen.plan, write))

    def _is_foreign(self, plan: Plan, write: Write) -> bool:
        return not isinstance(write, Create) and refusal(plan, write, self._world.get(write.ref)) is not None

    def _reverted(self, seen: Seen, thing: Literal["target", "apex-service", "routing"]) -> Writes:
        plan = seen.plan
        if thing == "routing":
            return routes_back(plan, self._settings, self._world.get)
        target = self._world.get(plan.target)
        if thing == "apex-service":
            return apex_back(plan, seen.facts.selector, self._world.get)
        if target is None or plan.workload is None:
            return ()
        scaler, primary = (
            self._world.get(plan.autoscaler) if plan.autoscaler else None,
            primary_of(plan, self._world.get),
        )
        owned = None if isinstance(primary, Problem) else primary
        return plan.workload.restore(plan.canary, target, owned, scaler)

    def _bind(self, seen: Seen) -> Writes:
        live = (self._world.get(ref) for ref in unbound(seen.plan, self._world.get))
        return tuple(bind(seen.plan, obj) for obj in live if obj is not None)

    def _service(self, seen: Seen, role: Role) -> Writes:
        return service_writes(seen.plan, role, self._selector(seen), self._settings, self._world.get)

    def _create_primary(self, seen: Seen) -> Writes:
        kind, tracked, there = seen.plan.workload, self._tracked(seen), primary_of(seen.plan, self._world.get)
        if kind is None or there is not None:
            return there if isinstance(there, Problem) else ()
        made = self._copies(seen, tracked)
        if isinstance(made, Problem):
            return made
        options, unique = self._settings.workloads, self._clock.unique()
        created = kind.create_primary(seen.plan.canary, self._target(seen), made.tracked, options, unique)
        return created if isinstance(created, Problem) else (*made.writes, *created)

    def _restore_copies(self, seen: Seen) -> Writes:
        """Raises Moved when the configs are others than those that the decision saw."""
        found, canary = seen.facts.copies, seen.plan.canary
        if found.problem is not None:
            return found.problem
        held = {ref: self._configs.meta(ref) for ref in found.lost}
        return restored(canary, self._tracked(seen), found.lost, held, self._settings.workloads)

    def _leave_copies(self, seen: Seen) -> Writes:
        live = {ref: self._configs.meta(ref) for ref in sorted(seen.facts.copies.stale, key=str)}
        return tuple(left(seen.plan.canary, ref, obj) for ref, obj in live.items() if obj is not None)

    def _copies(self, seen: Seen, tracked: Tracked) -> Copied | Problem:
        """Raises Moved while those that are there have not been read, which begins by asking."""
        meta, canary = seen.plan.canary.metadata, seen.plan.canary
        refs = [copy for ref in tracked.refs.values() for copy in ref.copy_refs(meta.namespace, meta.name)]
        live = {ref: self._configs.find(ref) for ref in refs}
        made = copies(canary, tracked, live.__getitem__, self._settings.workloads)
        if not isinstance(made, Unread):
            return made
        if refused := self._configs.refusal(refs):
            return refused
        raise Moved

    def _autoscaler(self, seen: Seen) -> Writes:
        return primary_autoscaler(seen.plan.canary, *self._scalers(seen.plan), self._settings.workloads)

    def _scalers(self, plan: Plan) -> tuple[Obj | None, Obj | None]:
        """The target's and the primary's."""
        both = (plan.autoscaler, plan.primary_autoscaler)
        target, live = (self._world.get(ref) if ref else None for ref in both)
        return target, live

    def _routing(self, seen: Seen) -> Writes:
        plan = seen.plan
        if plan.router is None:
            return ()
        return plan.router.reconcile(
            plan.canary, live_routes(plan, self._settings, self._world.get), self._settings.routing
        )

    def _target(self, seen: Seen) -> Obj:
        target = self._world.get(seen.plan.target)
        if target is None:
            raise Moved
        return target

    def _selector(self, seen: Seen) -> Selector | None:
        if isinstance(seen.facts.selector, Problem):
            raise Moved
        return seen.facts.selector

    def _tracked(self, seen: Seen) -> Tracked:
        if isinstance(seen.facts.tracked, Problem):
            raise Moved
        return seen.facts.tracked
