"""Render the writes of an action through `workloads` and `routing`, from the latest live objects.

Only the executor uses this. It returns writes, or the Problem that prevents them, and writes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from pyflagger.api.facts import ALL_CANARY, Problem
from pyflagger.api.records import CAUSE_MAX, CHANGES_MAX, IMAGES_MAX, ReleaseSpec
from pyflagger.api.selectors import Selector
from pyflagger.clock import Clock
from pyflagger.core.decision import Part, SetRoute
from pyflagger.kube.configs import Configs
from pyflagger.objects import Create, Key, Obj, Patch, Unread, Write, merge_apply, part
from pyflagger.operator.evidence.recorded import Source
from pyflagger.operator.observe.compiled import CompiledCanary, Settings
from pyflagger.operator.observe.derived import (
    KUBERNETES,
    Writes,
    apex_back,
    discovered,
    live_routes,
    primary_of,
    routes_back,
    scalers,
)
from pyflagger.operator.observe.foreign import bind, refusal, unbound
from pyflagger.operator.observe.situation import Seen
from pyflagger.operator.observe.store import Store
from pyflagger.routing import services
from pyflagger.routing.services import Role
from pyflagger.workloads.autoscalers import pause
from pyflagger.workloads.changes import changed_paths
from pyflagger.workloads.configs import Finder, Tracked, as_used
from pyflagger.workloads.copies import Copied, copies, left, restored
from pyflagger.workloads.pods import changed_images, pod_of
from pyflagger.workloads.templated import Templated

CHANGE_CAUSE = "kubernetes.io/change-cause"
"""The annotation of a workload in which users say why they changed it."""


class Moved(Exception):
    """The objects have changed since the decision: decide again."""


class Renderer:
    """Renders all writes for a canary."""

    def __init__(self, store: Store, configs: Configs[Key], settings: Settings, clock: Clock) -> None:
        self._store, self._configs = store, configs
        self._settings, self._clock = settings, clock
        self._parts: Mapping[Part, Callable[[Seen], Writes]] = {
            Part.PRIMARY_WORKLOAD: self._create_primary,
            Part.PRIMARY_CONFIGS: self._restore_copies,
            Part.OWNERS: self._bind,
            Part.STALE_CONFIGS: self._leave_copies,
        }

    def part(self, seen: Seen, part: Part) -> Writes:
        """Create or correct one generated part: the pending writes that the decision saw, or rendered now."""
        return seen.derived.made[part] if part in seen.derived.made else self._parts[part](seen)

    def promotion(self, seen: Seen, revision: str, recorded: Source | None = None) -> Writes:
        """Copy the configs, then the template. A missing primary is created.

        `recorded`: the template of a release, instead of that of the target. Raises Moved if it has another revision.
        """
        source, primary = recorded or self._own(seen), primary_of(seen.compiled, self._store.get)
        kind = seen.compiled.workload
        if kind is None or kind.revision(source.target) != revision:
            raise Moved
        if primary is None:
            return self._created(seen, source)
        if isinstance(primary, Problem):
            return primary
        used = as_used(source.tracked, pod_of(primary), seen.compiled.canary.metadata.name)
        made = self._copies(seen, used, source.find)
        if isinstance(made, Problem):
            return made
        options, unique = self._settings.workloads, self._clock.unique()
        written = kind.promote(seen.compiled.canary, source.target, primary, made.tracked, options, unique)
        return written if isinstance(written, Problem) else (*made.writes, *written)

    def route(self, seen: Seen, action: SetRoute) -> Writes:
        """Split traffic. Without a router, change the selector of the apex Service."""
        compiled, route = seen.compiled, action.route
        if compiled.provider == KUBERNETES:
            selector = self._selector(seen)
            if selector is None:
                return ()
            live = self._store.get(services.ref(compiled.canary, Role.APEX))
            ports = discovered(compiled, Role.APEX, self._store.get)
            turned = route == ALL_CANARY
            return services.reconcile(compiled.canary, Role.APEX, selector, ports, live, to_canary=turned)
        if compiled.router is None:
            return ()
        seen_now, options = live_routes(compiled, self._store.get), self._settings.routing
        return compiled.router.set(compiled.canary, seen_now, route, options, everyone=action.everyone)

    def release(self, seen: Seen, spec: ReleaseSpec) -> ReleaseSpec:
        """The spec of a record, with what only the objects tell: all images and the other changes of the template."""
        target, found = self._store.get(seen.compiled.target), primary_of(seen.compiled, self._store.get)
        primary = None if isinstance(found, Problem) else found
        said = part(part(target or {}, "metadata"), "annotations").get(CHANGE_CAUSE)
        own = spec.revision == seen.derived.revision
        cause = f"{spec.cause}: {said}" if own and isinstance(said, str) and said else spec.cause
        images = changed_images(pod_of(primary), pod_of(target), IMAGES_MAX)
        changes = self._changes(seen, target, primary)[:CHANGES_MAX]
        more = {"images": images, "changes": changes} if own else {}
        return spec.model_copy(update={**more, "cause": cause[:CAUSE_MAX]})

    def _changes(self, seen: Seen, target: Obj | None, primary: Obj | None) -> tuple[str, ...]:
        """The paths of the primary's template that a promotion changes."""
        kind, tracked = seen.compiled.workload, seen.derived.tracked
        if not isinstance(kind, Templated) or target is None or primary is None or isinstance(tracked, Problem):
            return ()
        canary, options = seen.compiled.canary, self._settings.workloads
        used = as_used(tracked, pod_of(primary), canary.metadata.name)
        writes = kind.promote(canary, target, primary, used, options, "")
        patches = () if isinstance(writes, Problem) else writes
        after = [merge_apply(primary, write.body) for write in patches if isinstance(write, Patch)]
        return changed_paths(kind.template(primary), kind.template(after[0])) if after else ()

    def template(self, seen: Seen, revision: str) -> Obj:
        """The pod template of the target for a record, if it still has this revision, or why there is none."""
        target, kind = self._store.get(seen.compiled.target), seen.compiled.workload
        if not isinstance(kind, Templated):
            return {"templateOmitted": f"targets of kind {seen.compiled.target.kind} have no pod template"}
        if target is None or not revision or kind.revision(target) != revision:
            return {"templateOmitted": "the target has had another pod template since it was promoted"}
        primary = primary_of(seen.compiled, self._store.get)
        pods = None if primary is None or isinstance(primary, Problem) else part(primary, "spec").get("replicas")
        return {"template": kind.template(target), **({"replicas": pods} if pods else {})}

    def scale(self, seen: Seen, replicas: int | None) -> Writes:
        """Scale the target."""
        return seen.compiled.workload.scale(self._target(seen), replicas) if seen.compiled.workload else ()

    def pause(self, seen: Seen, paused: bool) -> Writes:
        """Pause the target's autoscaler, or resume it."""
        scaler, _ = scalers(seen.compiled, self._store.get)
        return pause(scaler, paused)

    def revert(self, seen: Seen, thing: Literal["target", "apex-service", "routing"]) -> Writes:
        """Restore one of the user's objects. Deleted objects and objects of other owners are skipped."""
        writes = self._reverted(seen, thing)
        if isinstance(writes, Problem):
            return writes
        return tuple(write for write in writes if not self._is_foreign(seen.compiled, write))

    def _is_foreign(self, compiled: CompiledCanary, write: Write) -> bool:
        return not isinstance(write, Create) and refusal(compiled, write, self._store.get(write.ref)) is not None

    def _reverted(self, seen: Seen, thing: Literal["target", "apex-service", "routing"]) -> Writes:
        compiled = seen.compiled
        if thing == "routing":
            return routes_back(compiled, self._settings, self._store.get)
        target = self._store.get(compiled.target)
        if thing == "apex-service":
            return apex_back(compiled, seen.derived.selector, self._store.get)
        if target is None or compiled.workload is None:
            return ()
        (scaler, _), primary = scalers(compiled, self._store.get), primary_of(compiled, self._store.get)
        owned = None if isinstance(primary, Problem) else primary
        return compiled.workload.restore(compiled.canary, target, owned, scaler)

    def _bind(self, seen: Seen) -> Writes:
        live = (self._store.get(ref) for ref in unbound(seen.compiled, self._store.get))
        return tuple(bind(seen.compiled, obj) for obj in live if obj is not None)

    def _own(self, seen: Seen) -> Source:
        return Source(self._target(seen), self._tracked(seen), self._configs.find)

    def _create_primary(self, seen: Seen) -> Writes:
        return self._created(seen, self._own(seen))

    def _created(self, seen: Seen, source: Source) -> Writes:
        kind, there = seen.compiled.workload, primary_of(seen.compiled, self._store.get)
        if kind is None or there is not None:
            return there if isinstance(there, Problem) else ()
        made = self._copies(seen, source.tracked, source.find)
        if isinstance(made, Problem):
            return made
        options, unique = self._settings.workloads, self._clock.unique()
        created = kind.create_primary(seen.compiled.canary, source.target, made.tracked, options, unique)
        return created if isinstance(created, Problem) else (*made.writes, *created)

    def _restore_copies(self, seen: Seen) -> Writes:
        """Restore the copies of configs. Raises Moved if the configs have changed since the decision."""
        found, canary = seen.derived.copies, seen.compiled.canary
        if found.problem is not None:
            return found.problem
        held = {ref: self._configs.meta(ref) for ref in found.lost}
        return restored(canary, self._tracked(seen), found.lost, held, self._settings.workloads)

    def _leave_copies(self, seen: Seen) -> Writes:
        live = {ref: self._configs.meta(ref) for ref in sorted(seen.derived.copies.stale, key=str)}
        return tuple(left(seen.compiled.canary, ref, obj) for ref, obj in live.items() if obj is not None)

    def _copies(self, seen: Seen, tracked: Tracked, find: Finder) -> Copied | Problem:
        """Render the copies of configs. Raises Moved until the live copies are read, which this call starts."""
        meta, canary = seen.compiled.canary.metadata, seen.compiled.canary
        refs = [copy for ref in tracked.refs.values() for copy in ref.copy_refs(meta.namespace, meta.name)]
        live = {ref: find(ref) for ref in refs}
        made = copies(canary, tracked, live.__getitem__, self._settings.workloads)
        if not isinstance(made, Unread):
            return made
        if refused := self._configs.refusal(refs):
            return refused
        raise Moved

    def _target(self, seen: Seen) -> Obj:
        target = self._store.get(seen.compiled.target)
        if target is None:
            raise Moved
        return target

    def _selector(self, seen: Seen) -> Selector | None:
        if isinstance(seen.derived.selector, Problem):
            raise Moved
        return seen.derived.selector

    def _tracked(self, seen: Seen) -> Tracked:
        if isinstance(seen.derived.tracked, Problem):
            raise Moved
        return seen.derived.tracked
