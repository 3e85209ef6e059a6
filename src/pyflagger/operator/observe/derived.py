"""Facts that follow from live objects, independent of time: revisions, the state of generated objects, the route.

`operator.observe` computes them in each reconciliation, and recomputes a part only if its inputs have changed. A
function looks up objects, so that `operator.act` can use the latest ones. This module reads neither API nor clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeAlias

from pyflagger.api import names
from pyflagger.api.canary import Phase
from pyflagger.api.facts import ALL_CANARY, ALL_PRIMARY, Fault, Problem, Route
from pyflagger.api.published import ReleaseImage
from pyflagger.api.selectors import Selector
from pyflagger.core.decision import Part
from pyflagger.core.situation import Generated, Handed, Sync
from pyflagger.objects import Create, Obj, Patch, Ref, Write, part
from pyflagger.operator.observe.compiled import CompiledCanary, Settings
from pyflagger.operator.observe.foreign import foreigners, refusal, unbound
from pyflagger.operator.observe.memo import Memo
from pyflagger.operator.observe.snapshot import size, version_of
from pyflagger.routing import announcing, original, services
from pyflagger.routing.adopted import WEIGHTS
from pyflagger.routing.knative import SAVED
from pyflagger.routing.rehearsal import unsayable
from pyflagger.routing.services import Role
from pyflagger.workloads import autoscalers, copies
from pyflagger.workloads.configs import NOTHING, Tracked, references
from pyflagger.workloads.listening import release, takeover
from pyflagger.workloads.pods import changed_images, pod_of

KUBERNETES = "kubernetes"

STORES = (original.ORIGINAL, WEIGHTS, SAVED)
"""The annotations that store the original state of a user's object."""

SERVICES = {Part.CANARY_SERVICE: Role.CANARY, Part.PRIMARY_SERVICE: Role.PRIMARY, Part.APEX_SERVICE: Role.APEX}

Writes: TypeAlias = tuple[Write, ...] | Problem

Made: TypeAlias = Mapping[Part, Writes]
"""The pending writes of each generated part."""

Get: TypeAlias = Callable[[Ref], Obj | None]
"""Looks an object up."""


@dataclass(frozen=True, slots=True)
class Derived:
    """The facts from live objects. `render` also uses `selector` and `tracked`."""

    selector: Selector | Problem | None
    tracked: Tracked | Problem
    revision: str
    matches: bool
    restored_replicas: int
    copies: copies.State
    unserved: Problem | None = None
    route: Route | Problem | None = None
    generated: Generated = field(default_factory=Generated)
    made: Made = field(default_factory=dict)
    """The writes of each part, which Ensure carries out. `generated` is derived from them."""
    unsayable: tuple[Problem, ...] = ()
    foreign: tuple[Problem, ...] = ()
    """Refusals for objects of other owners that have derived names."""
    handed: Handed = field(default_factory=Handed)
    images: tuple[ReleaseImage, ...] = ()


class Surroundings(NamedTuple):
    """The inputs of one observation. `owned`: flagger's copies of configs. `held`: metadata of all, by copy name."""

    compiled: CompiledCanary
    get: Get
    tracked: Tracked | Problem
    owned: frozenset[Ref]
    held: Mapping[Ref, Obj | None]
    settings: Settings
    theirs: object
    ours: object
    """The content of target and primary without replicas and status: `snapshot.content`."""


def derive(around: Surroundings, memo: Memo) -> Derived:
    """All derived facts. The same object is returned while no input changes."""
    compiled, get = around.compiled, around.get
    meta, selector = compiled.canary.metadata, _selector(compiled, get, around.settings)
    made_of = (
        selector,
        _first(compiled),
        (_asked(compiled), _owed(compiled), compiled.problems, meta.finalizers, meta.deletion_timestamp),
        (size(get(compiled.target)), size(get(compiled.primary))),
        (around.theirs, around.ours),
        around.tracked,
        (around.owned, around.held),
        [version_of(get(ref)) for ref in compiled.others],
    )
    return memo.of("derived", made_of, lambda: _work_out(around, memo, selector))


def _asked(compiled: CompiledCanary) -> object:
    """The parts of the manifest that facts depend on."""
    canary = compiled.canary
    return canary.spec, canary.metadata.uid, canary.metadata.annotations


def _owed(compiled: CompiledCanary) -> object:
    """The parts of the status that routes, Services and copies depend on: weight, cookies, promoted configs."""
    status = compiled.canary.status
    return (
        status.phase,
        status.tracked_configs,
        status.canary_weight,
        status.last_applied_spec,
        status.session_affinity_cookie,
        status.primary_session_affinity_cookie,
        status.previous_session_affinity_cookie,
    )


def _work_out(around: Surroundings, memo: Memo, selector: Selector | Problem | None) -> Derived:
    compiled, tracked, kind = around.compiled, around.tracked, around.compiled.workload
    target, found = around.get(compiled.target), primary_of(compiled, around.get)
    primary = None if isinstance(found, Problem) else found
    options, known = around.settings.workloads, tracked if isinstance(tracked, Tracked) else NOTHING
    scaler, _ = scalers(compiled, around.get)
    theirs, ours = around.theirs, around.ours
    promoted = _promoted(compiled, primary)
    compared = (theirs, ours, around.owned, around.held, known, promoted)
    copied = memo.of("copies", compared, lambda: _copies(around, known, primary, promoted))
    revision, matches, replicas = "", False, 1
    if kind and target:
        revision = memo.of("revision", (theirs,), lambda: kind.revision(target))
        replicas = kind.restored_replicas(compiled.canary, target, primary, scaler)
    if kind and target and primary:
        shaped = (compiled.canary.spec, theirs, ours, known)
        matches = memo.of(
            "matches", shaped, lambda: bool(kind.matches(compiled.canary, target, primary, known, options))
        )
    made = _made(around, memo, selector) if kind and target else {}
    return Derived(
        selector=selector,
        tracked=tracked,
        revision=revision,
        matches=matches,
        restored_replicas=replicas,
        copies=copied,
        unserved=_unserved(compiled, target, primary),
        route=_route(around, selector),
        generated=_generated(around, made, copied) if made else Generated(finalizer=_finalizer(compiled)),
        made=made,
        unsayable=_unsayable(around, memo),
        foreign=foreigners(compiled, around.get, partial(_rendered, around, selector)) if kind and target else (),
        handed=_handed(around, selector),
        images=changed_images(pod_of(primary), pod_of(target)),
    )


# Workloads ----------------------------------------------------------------------------------------------------------


def primary_of(compiled: CompiledCanary, get: Get) -> Obj | Problem | None:
    """The primary. None before it exists. A Problem if an object of another owner has its name."""
    found = get(compiled.primary)
    if found is None or compiled.workload is None:
        return None
    claimed = compiled.workload.is_primary(compiled.canary, found)
    return claimed if isinstance(claimed, Problem) else found if claimed else None


def missing_target(compiled: CompiledCanary) -> Problem:
    """The problem of a missing target."""
    ref = compiled.target
    kind = ref.kind.lower()
    group = f".{ref.api_version.partition('/')[0]}" if "/" in ref.api_version else ""
    text = f'{kind} {ref.name}.{ref.namespace} get query error: {kind}s{group} "{ref.name}" not found'
    return Problem(Fault.MANIFEST, text, f"Create {kind} {ref.name}, or correct spec.targetRef.", "spec.targetRef")


def _selector(compiled: CompiledCanary, get: Get, settings: Settings) -> Selector | Problem | None:
    target, primary = get(compiled.target), primary_of(compiled, get)
    if target is None or compiled.workload is None:
        return missing_target(compiled)
    ours = None if isinstance(primary, Problem) else primary
    return compiled.workload.selector(compiled.canary, target, ours, settings.workloads)


def _copies(around: Surroundings, tracked: Tracked, primary: Obj | None, promoted: Mapping[str, str]) -> copies.State:
    """The state of the primary's copies of configs."""
    namespace, used = around.compiled.canary.metadata.namespace, None
    if primary is not None:
        used = frozenset(ref.ref(namespace) for ref in references(pod_of(primary)))
    return copies.state(around.compiled.canary, tracked, used, around.owned, around.held, promoted)


def _promoted(compiled: CompiledCanary, primary: Obj | None) -> Mapping[str, str]:
    """The checksums of the configs that the primary was promoted with. Between releases, the status has them, too."""
    noted, status = copies.promoted(primary) if primary else None, compiled.canary.status
    if noted is None and status.phase in (Phase.INITIALIZED, Phase.SUCCEEDED):
        return status.tracked_configs or {}
    return noted or {}


def _unserved(compiled: CompiledCanary, target: Obj | None, primary: Obj | None) -> Problem | None:
    kind, service = compiled.workload, compiled.canary.spec.service
    if kind is None or service is None or target is None or primary is None:
        return None
    old, new = kind.listening(primary), kind.listening(target)
    return release(service, old, new) if old and new else None


def _nowhere(compiled: CompiledCanary, role: Role, get: Get, live: Obj | None) -> Problem | None:
    """Why flagger must not write a Service: the primary's pods, or their future template, lack a port."""
    kind, service = compiled.workload, compiled.canary.spec.service
    found = primary_of(compiled, get) or get(compiled.target)
    if role is Role.CANARY or kind is None or service is None or found is None or isinstance(found, Problem):
        return None
    pods = kind.listening(found)
    return takeover(service, pods, live, first=_first(compiled)) if pods else None


def _first(compiled: CompiledCanary) -> bool:
    """Whether the canary is not initialized yet, so that this is its first revision."""
    return compiled.canary.status.phase in (Phase.NEW, Phase.INITIALIZING)


# Routes and generated objects ---------------------------------------------------------------------------------------


def live_routes(compiled: CompiledCanary, get: Get) -> dict[Ref, Obj | None]:
    """The live routing objects."""
    return {ref: get(ref) for ref in compiled.routes}


def _route(around: Surroundings, selector: Selector | Problem | None) -> Route | Problem | None:
    compiled, settings, get = around.compiled, around.settings, around.get
    if compiled.provider == KUBERNETES and isinstance(selector, Selector):
        apex = get(services.ref(compiled.canary, Role.APEX))
        return ALL_CANARY if services.serves_canary(apex, selector) else ALL_PRIMARY
    if compiled.router is None:
        return None
    return compiled.router.read(compiled.canary, live_routes(compiled, get), settings.routing)


def _made(around: Surroundings, memo: Memo, selector: Selector | Problem | None) -> Made:
    """Every generated part that depends only on live objects, rendered once."""
    compiled, get = around.compiled, around.get
    scaler, primary_scaler = scalers(compiled, get)
    return {
        **{each: _service(around, memo, role, selector) for each, role in SERVICES.items()},
        Part.ROUTING: _routing(around, memo),
        Part.PRIMARY_AUTOSCALER: autoscalers.primary_autoscaler(
            compiled.canary, scaler, primary_scaler, around.settings.workloads
        ),
        Part.AUTOSCALER_BOUNDS: autoscalers.bounds(compiled.canary, scaler, primary_scaler),
    }


def scalers(compiled: CompiledCanary, get: Get) -> tuple[Obj | None, Obj | None]:
    """The autoscalers of target and primary."""
    target, primary = (get(ref) if ref else None for ref in (compiled.autoscaler, compiled.primary_autoscaler))
    return target, primary


def _generated(around: Surroundings, made: Made, copied: copies.State) -> Generated:
    compiled, get = around.compiled, around.get
    scaler, primary_scaler = scalers(compiled, get)
    scaled = made[Part.PRIMARY_AUTOSCALER]
    routed = {each: made[each] for each in (*SERVICES, Part.ROUTING)}
    unpaused = primary_scaler is not None and bool(autoscalers.stuck(primary_scaler))
    return Generated(
        canary_service=_of_service(made[Part.CANARY_SERVICE]),
        primary_service=_of_service(made[Part.PRIMARY_SERVICE]),
        apex_service=_of_service(made[Part.APEX_SERVICE]),
        primary_workload=_primary_sync(around),
        primary_autoscaler="ok" if _goes_on(compiled, scaled) else _sync(scaled, primary_scaler is None or unpaused),
        autoscaler_edit=autoscalers.edited(primary_scaler, scaled),
        autoscaler_unpaused=unpaused,
        autoscaler_bounds=autoscalers.edited(primary_scaler, made[Part.AUTOSCALER_BOUNDS]),
        target_autoscaler_paused=autoscalers.paused(scaler),
        routing=_of_routing(around, made[Part.ROUTING]),
        finalizer=_finalizer(compiled),
        stale_configs="drift" if copied.stale else "ok",
        primary_configs=copied.problem or ("missing" if copied.lost else "ok"),
        degraded=(*_degraded(copied, compiled, scaled), *autoscalers.noticed(compiled.canary, scaler, primary_scaler)),
        unbound=tuple(f"{ref.kind} {ref.name}" for ref in unbound(compiled, get)),
        taken=_taken(routed.values()),
        wanted={each: _digest(writes) for each, writes in routed.items() if writes and not isinstance(writes, Problem)},
    )


def _degraded(copied: copies.State, compiled: CompiledCanary, scaled: Writes) -> tuple[Problem, ...]:
    """Missing objects that flagger cannot restore now. The release continues."""
    found = (copies.unknown(copied.gone),) if copied.gone else ()
    return (*found, autoscalers.lost(scaled)) if isinstance(scaled, Problem) and _goes_on(compiled, scaled) else found


def _goes_on(compiled: CompiledCanary, scaled: Writes) -> bool:
    """Whether a problem of the target's autoscaler does not block: the primary serves already."""
    ref = compiled.canary.spec.autoscaler_ref
    known = ref is not None and ref.kind in autoscalers.VERSIONS
    return isinstance(scaled, Problem) and known and not _first(compiled)


def _routing(around: Surroundings, memo: Memo) -> Writes:
    compiled, settings, router = around.compiled, around.settings, around.compiled.router
    if router is None:
        return ()
    live = live_routes(compiled, around.get)
    made_of = (_asked(compiled), _owed(compiled), [version_of(obj) for obj in live.values()])

    def made() -> Writes:
        writes = router.reconcile(compiled.canary, live, settings.routing)
        return announcing.following(router, compiled.canary, live, writes)

    return memo.of("routing", made_of, made)


def _of_routing(around: Surroundings, writes: Writes) -> Sync:
    compiled, live = around.compiled, live_routes(around.compiled, around.get)
    return "announced" if announcing.announced(compiled.router, compiled.canary, live, writes) else _sync(writes)


def _unsayable(around: Surroundings, memo: Memo) -> tuple[Problem, ...]:
    """Conditions that the routes cannot express. They depend on the manifest and on the existing routes."""
    compiled, settings, router = around.compiled, around.settings, around.compiled.router
    if router is None or compiled.problems or compiled.canary.metadata.deletion_timestamp is not None:
        return ()
    live = live_routes(compiled, around.get)
    made_of = (_asked(compiled), [obj is not None for obj in live.values()])
    return memo.of("unsayable", made_of, lambda: unsayable(router, compiled.canary, live, settings.routing))


def _service(around: Surroundings, memo: Memo, role: Role, selector: Selector | Problem | None) -> Writes:
    if isinstance(selector, Problem):
        return ()
    compiled, get, target = around.compiled, around.get, around.get(around.compiled.target)
    made_of = (
        (_asked(compiled), compiled.canary.status.canary_weight == 100),
        around.theirs if selector else version_of(target),
        selector,
        version_of(get(services.ref(compiled.canary, role))),
        around.ours,
        _first(compiled),
    )
    return memo.of(role.value, made_of, lambda: service_writes(compiled, role, selector, around.settings, get))


def service_writes(
    compiled: CompiledCanary, role: Role, selector: Selector | None, settings: Settings, get: Get
) -> Writes:
    """The writes that correct one Service. An apex that selects the canary continues to do so."""
    live, target, kind = get(services.ref(compiled.canary, role)), get(compiled.target), compiled.workload
    if selector is None:
        if kind is None or target is None or role is not Role.CANARY:
            return ()
        return kind.service(compiled.canary, target, live, settings.workloads)
    if refused := _nowhere(compiled, role, get, live):
        return refused
    ports = discovered(compiled, role, get)
    turned = role is Role.APEX and compiled.provider == KUBERNETES and services.serves_canary(live, selector)
    turned = turned and compiled.canary.status.canary_weight == 100
    pods = part(part(part(target or {}, "spec"), "template"), "metadata").get("labels") or {}
    return services.reconcile(compiled.canary, role, selector, ports, live, to_canary=turned, pods=pods)


def apex_back(compiled: CompiledCanary, selector: Selector | Problem | None, get: Get) -> tuple[Write, ...]:
    """The writes that restore the apex Service, or leave a generated one to the user."""
    live, known = get(services.ref(compiled.canary, Role.APEX)), selector if isinstance(selector, Selector) else None
    return services.finalize_apex(compiled.canary, known, live, runs=_stays(compiled, get))


def routes_back(compiled: CompiledCanary, settings: Settings, get: Get) -> Writes:
    """The next writes that restore the routes, or leave generated ones to the user."""
    writes = _routes_back(compiled, settings, get)
    return announcing.following(compiled.router, compiled.canary, live_routes(compiled, get), writes)


def _routes_back(compiled: CompiledCanary, settings: Settings, get: Get) -> tuple[Write, ...]:
    """All these writes. Generated routes are left to the user unless the target is deleted, too."""
    if compiled.router is None:
        return ()
    writes = compiled.router.finalize(compiled.canary, live_routes(compiled, get), settings.routing)
    return writes if _stays(compiled, get) else tuple(write for write in writes if not _hands_over(write))


def _stays(compiled: CompiledCanary, get: Get) -> bool:
    target = get(compiled.target)
    return target is not None and "deletionTimestamp" not in target["metadata"]


def _hands_over(write: Write) -> bool:
    return isinstance(write, Patch) and "ownerReferences" in part(write.body, "metadata")


def _handed(around: Surroundings, selector: Selector | Problem | None) -> Handed:
    """The effect of the deletion on objects that visitors use. Empty unless the Canary is being deleted."""
    compiled = around.compiled
    if compiled.canary.metadata.deletion_timestamp is None:
        return Handed()
    routes = _routes_back(compiled, around.settings, around.get)
    changed = [each for each in (*apex_back(compiled, selector, around.get), *routes) if isinstance(each, Patch)]
    left = [each for each in changed if _hands_over(each)]
    back = [each for each in changed if each not in left]
    return Handed(back=_shown(back), left=_shown(left), announced=_announced(around, changed))


def _announced(around: Surroundings, changed: Iterable[Patch]) -> bool:
    """Whether proxies have to know first what routes name that are about to be written."""
    compiled, live = around.compiled, live_routes(around.compiled, around.get)
    mine = tuple(each for each in changed if refusal(compiled, each, around.get(each.ref)) is None)
    return announcing.announced(compiled.router, compiled.canary, live, mine)


def _taken(made: Iterable[Writes]) -> tuple[str, ...]:
    """The user's objects whose original state the writes store."""
    writes = [each for writes in made if not isinstance(writes, Problem) for each in writes]
    return _shown([each for each in writes if isinstance(each, Patch) and _stores(each)])


def _stores(write: Patch) -> bool:
    annotations = part(part(write.body, "metadata"), "annotations")
    return any(annotations.get(key) is not None for key in STORES)


def _shown(writes: Iterable[Patch]) -> tuple[str, ...]:
    return tuple(f"{write.ref.kind} {write.ref.name}" for write in writes)


def _rendered(around: Surroundings, selector: Selector | Problem | None, ref: Ref, get: Get) -> Writes:
    """The writes for an object with a derived name."""
    compiled, settings = around.compiled, around.settings
    if ref == compiled.primary_autoscaler:
        scaler, _ = scalers(compiled, get)
        return autoscalers.primary_autoscaler(compiled.canary, scaler, get(ref), settings.workloads)
    role = next((role for role in SERVICES.values() if services.ref(compiled.canary, role) == ref), None)
    if role is not None:
        return () if isinstance(selector, Problem) else service_writes(compiled, role, selector, settings, get)
    return (
        compiled.router.reconcile(compiled.canary, live_routes(compiled, get), settings.routing)
        if compiled.router
        else ()
    )


def discovered(compiled: CompiledCanary, role: Role, get: Get) -> tuple[Obj, ...]:
    """The container ports to add to a Service. The primary's come from its own pods, once they exist."""
    primary = None if role is Role.CANARY else primary_of(compiled, get)
    found = get(compiled.target) if primary is None or isinstance(primary, Problem) else primary
    return compiled.workload.ports(compiled.canary, found) if compiled.workload and found else ()


def _finalizer(compiled: CompiledCanary) -> Sync:
    meta = compiled.canary.metadata
    if compiled.problems or meta.deletion_timestamp is not None:
        return "ok"
    return "ok" if compiled.canary.spec.revert_on_deletion == (names.FINALIZER in meta.finalizers) else "drift"


def _sync(writes: Writes, missing: bool = False) -> Sync:
    if isinstance(writes, Problem):
        return writes
    if not writes:
        return "ok"
    return "missing" if missing else "drift"


def _of_service(writes: Writes) -> Sync:
    if isinstance(writes, Problem) or not writes:
        return _sync(writes)
    return "untidy" if all(isinstance(each, Patch) and "spec" not in each.body for each in writes) else "drift"


def _digest(writes: tuple[Write, ...]) -> str:
    """A digest of the writes, without the resourceVersion that they apply to."""
    said = [write.obj if isinstance(write, Create) else (write.ref, getattr(write, "body", None)) for write in writes]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _primary_sync(around: Surroundings) -> Sync:
    compiled, tracked, primary = around.compiled, around.tracked, primary_of(around.compiled, around.get)
    if primary is not None:
        return primary if isinstance(primary, Problem) else "ok"
    if not isinstance(tracked, Problem):
        return "missing"
    if " get query error" not in tracked.text:
        return tracked
    where = tracked.text.partition(" get query error")[0]
    text = (
        f"createPrimary{compiled.target.kind} failed: GetTargetConfigs failed: {where} get query error: {tracked.text}"
    )
    return Problem(tracked.fault, text, tracked.todo, tracked.path)
