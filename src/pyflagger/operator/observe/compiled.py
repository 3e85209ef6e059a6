"""Everything that follows from a Canary without live objects: provider, workload kind, problems, and object references.

`operator.observe` compiles a Canary whenever it changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pyflagger.api import defaults, names
from pyflagger.api.canary import Canary, Metric
from pyflagger.api.facts import Capabilities, Problem
from pyflagger.api.parse import Invalid, parse_canary, unchanged_spec, validate
from pyflagger.kube.resources import METRIC_TEMPLATES, UnknownKind, learn, resource_of
from pyflagger.objects import Obj, Ref, Resource
from pyflagger.operator.options import Options
from pyflagger.routing.base import Learns, Router, RoutingOptions, Waits
from pyflagger.routing.registry import known_providers, router_for
from pyflagger.workloads import autoscalers
from pyflagger.workloads.base import Rolls, Workload
from pyflagger.workloads.options import WorkloadOptions
from pyflagger.workloads.registry import workload_for

_STUB = {"service": {"port": 1}, "analysis": {"interval": "1m", "threshold": 1, "iterations": 1}}


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's options, as the pure packages need them."""

    options: Options
    workloads: WorkloadOptions
    routing: RoutingOptions


def settings_of(options: Options) -> Settings:
    """Convert the options for each package."""
    return Settings(
        options=options,
        workloads=WorkloadOptions(
            selector_labels=options.selector_labels,
            include_label_prefix=options.include_label_prefix,
        ),
        routing=RoutingOptions(
            annotation_prefix=options.ingress_annotations_prefix,
            ingress_class=options.ingress_class,
            mesh_provider=options.mesh_provider,
        ),
    )


@dataclass(frozen=True)
class CompiledCanary:
    """A Canary with everything derived from it. If `router` or `workload` is None, a problem has the reason."""

    canary: Canary
    provider: str
    interval: float
    router: Router | None
    workload: Workload | None
    problems: tuple[Problem, ...]
    target: Ref
    primary: Ref
    """The reference of the primary. For kinds with both versions in one object, this is the target."""
    autoscaler: Ref | None
    primary_autoscaler: Ref | None
    routes: tuple[Ref, ...]
    """What the router reads."""
    others: tuple[Ref, ...]
    """All other objects whose change may affect this canary, except for ConfigMaps and Secrets."""

    interest: frozenset[Ref]
    """Target, primary and the others."""
    followed: tuple[Resource, ...]
    """The API resources of all references, and MetricTemplates if a metric refers to one."""
    waits: Waits | None
    """The router, if its data plane reports whether it serves the routes."""
    rolls: Rolls | None
    """The workload kind, if a rollout may remove all its pods."""
    learns: Learns | None
    """The router, if its data plane reports missing capabilities."""

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the provider."""
        return self.router.capabilities if self.router else Capabilities()


def compile_canary(raw: Obj, previous: CompiledCanary | None, settings: Settings) -> CompiledCanary:
    """Compile a Canary. An invalid one keeps its last valid spec, with the problems, and is not released.

    If the spec has not changed since `previous`, this parses only metadata and status.
    """
    if previous is not None and not previous.problems and (known := unchanged_spec(raw, previous.canary)):
        return replace(previous, canary=known)
    try:
        canary = parse_canary(raw)
        problems: tuple[Problem, ...] = ()
    except Invalid as invalid:
        problems = invalid.problems
        canary = _stand_in(raw, previous)
    return _compile(canary, problems, settings)


def _stand_in(raw: Obj, previous: CompiledCanary | None) -> Canary:
    shell = parse_canary({**raw, "spec": {**_STUB, "targetRef": _target_ref(raw)}})
    return shell.model_copy(update={"spec": previous.canary.spec}) if previous else shell


def _target_ref(raw: Obj) -> dict[str, Any]:
    ref = (raw.get("spec") or {}).get("targetRef")
    usable = isinstance(ref, dict) and all(isinstance(ref.get(key), str) for key in ("apiVersion", "kind", "name"))
    return ref if usable else {"apiVersion": "apps/v1", "kind": "Deployment", "name": raw["metadata"]["name"]}  # type: ignore[return-value]


def _compile(canary: Canary, problems: tuple[Problem, ...], settings: Settings) -> CompiledCanary:
    options = settings.options
    provider = names.resolve_provider(canary.spec.provider or options.mesh_provider)
    router = router_for(provider)
    workload = workload_for(canary.spec.target_ref)
    found = problems
    if not found:
        found = validate(
            canary,
            provider=provider,
            capabilities=router.capabilities if not isinstance(router, Problem) else Capabilities(),
            known_providers=known_providers(),
            # With -namespace, flagger watches nothing outside of it.
            no_cross_namespace=options.no_cross_namespace_refs or bool(options.namespace),
        )
        # Validation has already reported an unknown provider with the same text.
        also = (problem for problem in (router, workload) if isinstance(problem, Problem))
        found += tuple(problem for problem in also if not any(problem.text in told.text for told in found))
    namespace, ref = canary.metadata.namespace, canary.spec.target_ref
    target = Ref(ref.api_version, ref.kind, namespace, ref.name)
    scalers = _scalers(canary)
    services = tuple(
        Ref("v1", "Service", namespace, name(canary))
        for name in (names.apex, names.primary_service, names.canary_service)
    )
    usable = None if isinstance(router, Problem) else router
    kind = None if isinstance(workload, Problem) else workload
    for part in (usable, kind):
        learn(part.kinds if part else ())
    primary = target if isinstance(workload, Problem) else workload.primary(canary)
    templates = tuple(ref for _, ref in templates_of(canary) if ref)
    routes = usable.reads(canary, settings.routing) if usable else ()
    others = (*services, *scalers, *templates, *routes)
    interest = frozenset((target, primary, *others))
    return CompiledCanary(
        canary=canary,
        provider=provider,
        interval=defaults.interval(canary, floor=options.min_interval),
        router=usable,
        workload=kind,
        problems=found,
        target=target,
        primary=primary,
        autoscaler=scalers[0] if scalers else None,
        primary_autoscaler=scalers[1] if scalers else None,
        routes=routes,
        others=others,
        interest=interest,
        followed=kinds_of(interest),
        waits=usable if isinstance(usable, Waits) else None,
        rolls=kind if isinstance(kind, Rolls) else None,
        learns=usable if isinstance(usable, Learns) else None,
    )


def kinds_of(refs: Iterable[Ref]) -> tuple[Resource, ...]:
    """The API resources of objects. Unknown kinds are skipped, because they are reported as problems."""
    found = set()
    for ref in refs:
        try:
            found.add(resource_of(ref))
        except UnknownKind:
            continue
    return tuple(found)


def templates_of(canary: Canary) -> tuple[tuple[Metric, Ref | None], ...]:
    """The metrics of a Canary and the MetricTemplates that they refer to."""
    own, metrics = canary.metadata.namespace, canary.spec.analysis.metrics if canary.spec.analysis else ()
    refs = ((metric, metric.template_ref) for metric in metrics)
    return tuple(
        (metric, METRIC_TEMPLATES.ref(ref.namespace or own, ref.name) if ref else None) for metric, ref in refs
    )


def _scalers(canary: Canary) -> tuple[Ref, ...]:
    """The autoscalers of target and primary. Empty without an autoscalerRef."""
    scaler = canary.spec.autoscaler_ref
    if scaler is None:
        return ()
    version = autoscalers.VERSIONS.get(scaler.kind, scaler.api_version)
    both = (scaler.name, names.primary_autoscaler(canary))
    return tuple(Ref(version, scaler.kind, canary.metadata.namespace, name) for name in both)
