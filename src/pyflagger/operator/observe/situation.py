"""Build a Situation from the watch cache, without API reads.

Every reconciliation calls this. `operator.observe.derived` computes the facts that depend only on live objects. This
module adds readiness, evidence and memory. It reads Kubernetes objects, which `core` never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from pyflagger.api import names
from pyflagger.api.actions import CanaryAction
from pyflagger.api.canary import Phase
from pyflagger.api.facts import Capabilities, Problem
from pyflagger.api.meta import Meta
from pyflagger.api.parse import Invalid, parse_metric_template
from pyflagger.api.selectors import Selector
from pyflagger.clock import Clock
from pyflagger.core.preconditions import RESTING
from pyflagger.core.situation import History, Primary, Situation, Target
from pyflagger.kube.cache import ObjectChange
from pyflagger.kube.configs import Configs
from pyflagger.kube.errors import Forbidden, NotFound
from pyflagger.kube.resources import CANARIES, SECRETS
from pyflagger.metrics.manifest import metric_problems, secret_missing, template_missing
from pyflagger.objects import Found, Key, Obj, Ref, Resource, Unread, part, ref_of
from pyflagger.operator.observe.compiled import CompiledCanary, Settings, compile_canary, kinds_of, templates_of
from pyflagger.operator.observe.derived import Derived, Surroundings, derive, live_routes, missing_target, primary_of
from pyflagger.operator.observe.memo import Memo
from pyflagger.operator.observe.neighbours import mixed, neighbours
from pyflagger.operator.observe.owned import Owned
from pyflagger.operator.observe.rivals import Rivals
from pyflagger.operator.observe.snapshot import NO_WORKLOAD, Snapshot, size, snapshot
from pyflagger.operator.observe.store import Store
from pyflagger.operator.observe.watchers import Watchers
from pyflagger.operator.state import State
from pyflagger.plugins import PluginFailed
from pyflagger.workloads import autoscalers, readiness
from pyflagger.workloads.configs import NOTHING, ConfigRef, Tracked, track

RUNNING = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING})


class NotYet(Exception):
    """The cache is not filled for this canary yet. When it is, the canary is enqueued."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of one observation: the situation for `decide`, and the data for `render`."""

    compiled: CompiledCanary
    situation: Situation
    raw: Obj
    derived: Derived


Live: TypeAlias = Mapping[Ref, Obj | None]


class Uses(NamedTuple):
    """The configs that a target's pods use, the possible copies, both together, and their kinds."""

    refs: tuple[ConfigRef, ...]
    originals: tuple[Ref, ...]
    copies: tuple[Ref, ...]
    with_copies: frozenset[Ref]
    kinds: tuple[Resource, ...]


NO_USES = Uses((), (), (), frozenset(), ())


class Around(NamedTuple):
    """The kinds of the objects that a canary needs, and the reasons why some cannot be read."""

    kinds: frozenset[Resource]
    unread: tuple[Problem, ...]


class Look(NamedTuple):
    """What an observation found in the cluster. `left`: generated objects that the spec no longer names."""

    compiled: CompiledCanary
    live: Live
    derived: Derived
    shown: Mapping[str, Snapshot]
    rivalled: bool
    unread: tuple[Problem, ...]
    left: tuple[str, ...]
    secrets: Mapping[Ref, Ref]


@dataclass(slots=True)
class Known:
    """The state kept between observations of a canary. `version` is the Canary's at its last compilation."""

    version: str = ""
    compiled: CompiledCanary | None = None
    memo: Memo = field(default_factory=Memo)
    shown: Mapping[str, Snapshot] = field(default_factory=dict)
    """The target and primary in the last observation. Empty if that ended early."""
    kinds: frozenset[Resource] = frozenset()
    """The kinds of the objects that the last observation needed."""


class Observer:
    """Observes canaries. `follow` starts to watch a kind and returns whether the cache has it, or why it cannot.

    `history`: what is known about the records of a canary's releases. By default none are written. `requests`: the
    pending actions of a canary.
    """

    def __init__(
        self,
        store: Store,
        configs: Configs[Key],
        watchers: Watchers,
        rivals: Rivals,
        settings: Settings,
        clock: Clock,
        follow: Callable[[Resource], NotFound | Forbidden | bool],
        history: Callable[[Key], History] = lambda _: History(),
        requests: Callable[[Key], tuple[CanaryAction, ...]] = lambda _: (),
    ) -> None:
        self._store, self._configs, self._watchers, self._rivals = store, configs, watchers, rivals
        self._owned = Owned(store.cache)
        self._settings, self._clock, self._follow, self._history = settings, clock, follow, history
        self._requests = requests
        self._known: dict[Key, Known] = {}
        self._kinds: dict[frozenset[Resource], frozenset[Resource]] = {}
        """Each set of kinds is stored once, because most canaries need the same kinds."""
        self._news = 0
        store.cache.on_sync(self._learned)

    def observe(self, key: Key, state: State) -> Seen | None:
        """The situation of the canary. None if it is deleted. Raises NotYet."""
        raw = self._store.get(CANARIES.ref(*key))
        if raw is None:
            return None
        known = self._known.setdefault(key, Known())
        known.shown = {}
        compiled = self._compiled(known, raw)
        live = {ref: self._store.get(ref) for ref in compiled.interest}
        target = live[compiled.target]
        more = compiled.workload.reads(compiled.canary, target) if compiled.workload and target else ()
        live.update((ref, self._store.get(ref)) for ref in more)
        left = self._owned.left(key, compiled.interest.union(more))
        self._watchers.put(key, compiled.interest.union(more, left) if more or left else compiled.interest)
        uses = self._uses(compiled, target, known.memo)
        known.kinds, unread = self._around(known, compiled, more, uses)
        secrets = self._secrets(known, compiled, live)
        self._configs.want(key, uses.with_copies.union(secrets.values()) if secrets else uses.with_copies)
        tracked = self._tracked(compiled, uses, known.memo)
        owned = self._configs.owned(compiled.canary.metadata.uid)
        held = {ref: self._configs.meta(ref) for ref in uses.copies} if isinstance(tracked, Tracked) else {}
        rival = self._rivals.problem(key)
        if rival is not None:
            compiled = replace(compiled, problems=(*compiled.problems, rival))
        shown = _shown(compiled, live, known.memo, self._clock.now())
        theirs, ours = (shown.get(role, NO_WORKLOAD).content for role in ("canary", "primary"))
        around = Surroundings(compiled, live.get, tracked, owned, held, self._settings, theirs, ours)
        derived = derive(around, known.memo)
        known.shown = shown
        look = Look(compiled, live, derived, shown, rival is not None, unread, _named(left), secrets)
        return Seen(compiled, self._situation(key, look, state), raw, derived)

    def _situation(self, key: Key, look: Look, state: State) -> Situation:
        compiled, live, derived, shown = look.compiled, look.live, look.derived, look.shown
        now = self._clock.now()
        state.keep_time(now - self._clock.monotonic())
        return Situation(
            canary=compiled.canary,
            now=now,
            interval=compiled.interval,
            provider=compiled.provider,
            capabilities=_capabilities(compiled, live, self._settings),
            target=_target(compiled, live, derived, shown.get("canary"), self._settings.options.enable_config_tracking),
            primary=_primary(compiled, live, derived, shown.get("primary")),
            route=derived.route,
            generated=derived.generated,
            problems=(
                *compiled.problems,
                *derived.unsayable,
                *self._unjudged(compiled, live),
                *self._mixed(key, compiled, derived),
            ),
            rivalled=look.rivalled,
            foreign=derived.foreign,
            unread=look.unread,
            unjudged=tuple(self._missing(compiled, live, look.secrets)),
            evidence=dict(state.evidence),
            memory=state.memory,
            refused=state.hindrance,
            deleting=_deleting(compiled),
            reassert_zero=self._settings.options.idle_at_zero,
            route_waiting=_route_waiting(compiled, live, self._settings),
            left=look.left,
            handed=derived.handed,
            images=derived.images,
            history=self._history(key),
            asking=state.asked_at,
            requests=self._requests(key),
        )

    def _mixed(self, key: Key, compiled: CompiledCanary, derived: Derived) -> tuple[Problem, ...]:
        """A problem for each other workload whose pods would get visitors of this canary. Watches the workload."""
        if not isinstance(derived.selector, Selector):
            return ()
        selector = derived.selector
        others = tuple(neighbours(compiled, selector, self._store.cache))
        if others:
            self._watchers.put(key, self._watchers.refs(key) | frozenset(map(ref_of, others)))
        return tuple(mixed(compiled.target, selector, other) for other in others)

    def changes_nothing(self, key: Key, change: ObjectChange) -> bool:
        """Whether a change has no new facts since the last observation. Most changes of pods have none.

        This works only if target and primary are separate objects. A kind that fails counts as a change, so that the
        reconciliation meets the failure and reports it.
        """
        known, obj = self._known.get(key), change.new
        compiled = known.compiled if known else None
        if (
            known is None
            or compiled is None
            or compiled.workload is None
            or obj is None
            or compiled.target == compiled.primary
        ):
            return False
        role = {compiled.target: "canary", compiled.primary: "primary"}.get(change.ref, "")
        before = known.shown.get(role)
        live = {ref: self._store.get(ref) for ref in (compiled.primary_autoscaler,) if ref is not None}
        try:
            if before is None or compiled.workload.reads(compiled.canary, obj):
                return False
            return snapshot(compiled, compiled.workload, role, obj, live, self._clock.now(), known.memo) == before
        except PluginFailed:
            return False

    def last_compiled(self, key: Key) -> CompiledCanary | None:
        """The compiled canary of the last observation."""
        known = self._known.get(key)
        return known.compiled if known else None

    def waiting_for(self, resource: Resource) -> list[Key]:
        """The canaries that waited only for this kind, which is now read or refused."""
        needed = {known.kinds for known in self._known.values() if resource in known.kinds}
        read = {kinds for kinds in needed if all(map(self._follow, kinds))}
        return [key for key, known in self._known.items() if known.kinds in read]

    def forget(self, key: Key) -> None:
        """Forget a deleted canary."""
        self._known.pop(key, None)
        self._watchers.drop(key)
        self._configs.drop(key)

    def _compiled(self, known: Known, raw: Obj) -> CompiledCanary:
        version = raw["metadata"].get("resourceVersion", "")
        if known.compiled is None or known.version != version or not version:
            known.version, known.compiled = version, compile_canary(raw, known.compiled, self._settings)
        return known.compiled

    def _learned(self, _: Resource) -> None:
        """A kind is now read or refused, or its refusal has ended."""
        self._news += 1

    def _around(self, known: Known, compiled: CompiledCanary, more: tuple[Ref, ...], uses: Uses) -> Around:
        """Watch every kind that the canary needs. Raises NotYet."""
        made_of = (self._news, compiled.followed, more, uses.kinds, compiled.canary.metadata.deletion_timestamp)
        return known.memo.of("around", made_of, lambda: self._look_around(known, compiled, more, uses))

    def _look_around(self, known: Known, compiled: CompiledCanary, more: tuple[Ref, ...], uses: Uses) -> Around:
        """On deletion, a kind that is not served counts as empty: there is nothing to restore."""
        kinds = frozenset((*compiled.followed, *kinds_of(more), *uses.kinds))
        known.kinds = self._kinds.setdefault(kinds, kinds)
        followed = list(map(self._follow, kinds))
        if not all(followed):
            raise NotYet
        refusals = [found for found in followed if not isinstance(found, bool)]
        deleting = compiled.canary.metadata.deletion_timestamp is not None
        wanted = {found.problem for found in refusals if isinstance(found, Forbidden) or not deleting}
        return Around(known.kinds, tuple(sorted(wanted, key=lambda problem: problem.text)))

    def _uses(self, compiled: CompiledCanary, target: Obj | None, memo: Memo) -> Uses:
        kind, meta = compiled.workload, compiled.canary.metadata
        if not self._settings.options.enable_config_tracking or target is None or kind is None:
            return NO_USES
        return memo.of("uses", (target.get("spec"),), lambda: _uses(kind.config_refs(target), meta))

    def _tracked(self, compiled: CompiledCanary, uses: Uses, memo: Memo) -> Tracked | Problem:
        """The target's configs. The primary's copies are read only before a write. Raises NotYet."""
        if any(self._follow(resource) is not True for resource in uses.kinds):
            return NOTHING
        live = {ref: self._configs.find(ref) for ref in uses.originals}
        if refused := self._configs.refusal(live):
            return refused
        made_of = (uses.refs, list(live.values()))
        namespace = compiled.canary.metadata.namespace
        return memo.of("tracked", made_of, lambda: _track(uses.refs, namespace, live.__getitem__))

    def _unjudged(self, compiled: CompiledCanary, live: Live) -> Iterator[Problem]:
        """Report unusable metrics. During a run, each round reports its own, which can end the run."""
        if compiled.problems or compiled.canary.spec.skip_analysis or compiled.canary.status.phase in RUNNING:
            return
        for metric, ref in templates_of(compiled.canary):
            raw = live.get(ref) if ref else None
            try:
                template = parse_metric_template(raw) if raw else None
            except Invalid as invalid:
                yield from invalid.problems
                continue
            yield from metric_problems(compiled.canary, metric, template)

    def _secrets(self, known: Known, compiled: CompiledCanary, live: Live) -> Mapping[Ref, Ref]:
        """The Secret of each template, if Secrets can be listed. Raises NotYet."""
        found = _secrets_of(compiled, live) if self._settings.options.enable_config_tracking else {}
        synced = self._follow(SECRETS) if found else True
        if synced is False:
            known.kinds |= {SECRETS}
            raise NotYet
        return found if synced is True else {}

    def _missing(self, compiled: CompiledCanary, live: Live, secrets: Mapping[Ref, Ref]) -> Iterator[Problem]:
        """Report missing MetricTemplates and Secrets that a release of an idle canary would need."""
        if compiled.canary.spec.skip_analysis or compiled.canary.status.phase not in RESTING:
            return
        for _, ref in templates_of(compiled.canary):
            if ref is not None and live.get(ref) is None:
                yield template_missing(ref.name, ref.namespace)
        for template, secret in secrets.items():
            if self._configs.meta(secret) is None:
                yield secret_missing(template.name, template.namespace, secret.name)


def _deleting(compiled: CompiledCanary) -> bool:
    meta = compiled.canary.metadata
    return meta.deletion_timestamp is not None and names.FINALIZER in meta.finalizers


def _secrets_of(compiled: CompiledCanary, live: Live) -> dict[Ref, Ref]:
    refs = (ref for _, ref in templates_of(compiled.canary) if ref is not None)
    names = {ref: part(part(part(live.get(ref) or {}, "spec"), "provider"), "secretRef").get("name") for ref in refs}
    return {ref: SECRETS.ref(ref.namespace, name) for ref, name in names.items() if name}


def _named(refs: frozenset[Ref]) -> tuple[str, ...]:
    return tuple(sorted(f"{ref.kind} {ref.name}" for ref in refs))


def _capabilities(compiled: CompiledCanary, live: Live, settings: Settings) -> Capabilities:
    if compiled.learns is None:
        return compiled.capabilities
    return compiled.learns.able(compiled.canary, live_routes(compiled, live.get), settings.routing)


def _route_waiting(compiled: CompiledCanary, live: Live, settings: Settings) -> str:
    if compiled.waits is None:
        return ""
    return compiled.waits.waiting(compiled.canary, live_routes(compiled, live.get), settings.routing)


def _track(refs: tuple[ConfigRef, ...], namespace: str, find: Callable[[Ref], Found]) -> Tracked | Problem:
    """The tracked configs of a target. Raises NotYet."""
    found = track(refs, namespace, find)
    if isinstance(found, Unread):
        raise NotYet
    return found


def _uses(refs: tuple[ConfigRef, ...], meta: Meta) -> Uses:
    originals = tuple(ref.ref(meta.namespace) for ref in refs)
    copies = tuple(copy for ref in refs for copy in ref.copy_refs(meta.namespace, meta.name))
    return Uses(refs, originals, copies, frozenset((*originals, *copies)), kinds_of(originals))


def _shown(compiled: CompiledCanary, live: Live, memo: Memo, now: float) -> dict[str, Snapshot]:
    kind, both = compiled.workload, {"canary": live[compiled.target], "primary": live[compiled.primary]}
    if kind is None:
        return {}
    return {role: snapshot(compiled, kind, role, obj, live, now, memo) for role, obj in both.items() if obj is not None}


def _target(
    compiled: CompiledCanary, live: Live, derived: Derived, shown: Snapshot | None, tracking: bool
) -> Target | Problem:
    found = live[compiled.target]
    if found is None:
        return missing_target(compiled)
    if isinstance(derived.selector, Problem):
        return derived.selector
    if compiled.workload is None or shown is None:
        return compiled.problems[0]
    if (refused := compiled.workload.refuses(found)) is not None:
        return refused
    if isinstance(derived.tracked, Problem) and primary_of(compiled, live.get) is not None:
        return derived.tracked
    scaler = live[compiled.autoscaler] if compiled.autoscaler else None
    checksums = derived.tracked.checksums if isinstance(derived.tracked, Tracked) else {}
    return Target(
        revision=derived.revision,
        configs=checksums if tracking else None,
        readiness=shown.readiness,
        at_zero=compiled.workload.at_zero(found),
        restored_replicas=derived.restored_replicas,
        scalable=compiled.workload.scalable,
        unserved=derived.unserved,
        replicas=size(found),
        most=autoscalers.most(scaler) if scaler is not None else None,
        empty=compiled.workload.scalable and readiness.empty(found),
    )


def _scaled_from_zero(compiled: CompiledCanary, shown: Snapshot) -> bool:
    """Whether an autoscaler intentionally scaled the primary to zero. A HorizontalPodAutoscaler never does."""
    return compiled.autoscaler is not None and (
        compiled.autoscaler.kind == autoscalers.SCALED_OBJECT or shown.readiness.ready
    )


def _primary(
    compiled: CompiledCanary, live: Live, derived: Derived, shown: Snapshot | None
) -> Primary | Problem | None:
    found = primary_of(compiled, live.get)
    if found is None or isinstance(found, Problem):
        return found
    if compiled.workload is None or shown is None:
        return None
    return Primary(
        readiness=shown.readiness,
        at_zero=compiled.workload.at_zero(found) and not _scaled_from_zero(compiled, shown),
        empty=compiled.workload.scalable and readiness.empty(found),
        serving_since=readiness.serving_since(found),
        matches_target=derived.matches,
        unselected=tuple(derived.selector.further) if isinstance(derived.selector, Selector) else (),
        replicas=size(found),
        keeps=_kept(compiled, live, found),
    )


def _kept(compiled: CompiledCanary, live: Live, primary: Obj) -> int | None:
    """The number of the primary's pods that stay available during its rollout. None for a kind that keeps all."""
    target, scaler = live[compiled.target], live[compiled.primary_autoscaler] if compiled.primary_autoscaler else None
    if compiled.rolls is None or target is None:
        return None
    least = autoscalers.least(scaler) if scaler is not None else None
    return compiled.rolls.keeps(compiled.canary, target, primary, least)
