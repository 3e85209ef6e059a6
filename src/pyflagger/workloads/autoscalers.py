"""The autoscaler of the primary, by kind: a copy of the target's, with the overrides of the Canary.

Called by `operator`. Also checks that the primary has at least its autoscaler's minimum of pods.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import READY, Fault, Problem, Readiness
from pyflagger.objects import Create, Obj, Patch, Write, merge_diff, part, ref_of
from pyflagger.workloads import keda, metadata, rollouts
from pyflagger.workloads.metadata import whose
from pyflagger.workloads.options import WorkloadOptions
from pyflagger.workloads.readiness import until

Writes: TypeAlias = tuple[Write, ...]

SCALED_OBJECT = "ScaledObject"
VERSIONS: Mapping[str, str] = {"HorizontalPodAutoscaler": "autoscaling/v2", SCALED_OBJECT: "keda.sh/v1alpha1"}
KEDA_MOST = 100
"""KEDA's default."""
BOUNDS: Mapping[str, tuple[str, str]] = {
    "HorizontalPodAutoscaler": ("minReplicas", "maxReplicas"),
    SCALED_OBJECT: ("minReplicaCount", "maxReplicaCount"),
}
GIVEN = "flagger.app/autoscaler-bounds"
"""An annotation of the primary's autoscaler: the bounds that flagger set last. Other bounds are a user's, and stay."""
CARRIED = ("scaledobject.keda.sh/transfer-hpa-ownership",)
"""Annotations that are copied regardless of the prefixes."""


def primary_autoscaler(
    canary: Canary, target: Obj | None, live: Obj | None, options: WorkloadOptions
) -> Writes | Problem:
    """The writes that update the primary's autoscaler; none when the Canary names no autoscaler."""
    ref = canary.spec.autoscaler_ref
    if ref is None:
        return ()
    render = _SPECS.get(ref.kind)
    if render is None:
        known = ", ".join(sorted(_SPECS))
        text = f"spec.autoscalerRef.kind {ref.kind!r} is not a known autoscaler"
        return Problem(Fault.MANIFEST, text, f"Use one of: {known}.", "spec.autoscalerRef.kind")
    if target is None:
        name = f"{ref.kind} {ref.name}.{canary.metadata.namespace}"
        text = f'{name} get query error: {ref.kind.lower()}s "{ref.name}" not found'
        return Problem(Fault.MANIFEST, text, f"Create {name}, or remove spec.autoscalerRef.", "spec.autoscalerRef.name")
    if ref.kind == SCALED_OBJECT and (lost := keda.unmatched(canary, target)):
        text = f"spec.autoscalerRef.primaryScalerQueries names {', '.join(lost)}, but {ref.name} has no such trigger"
        todo = "Give the trigger that name, or correct the key."
        return Problem(Fault.MANIFEST, text, todo, "spec.autoscalerRef.primaryScalerQueries")
    spec = render(canary, target)
    if crossed := _crossed(ref.kind, ref.name, spec):
        return crossed
    wanted = _wanted(canary, target, spec, options)
    return (Create(wanted),) if live is None else stuck(live) or _changes(live, wanted)


def _crossed(kind: str, name: str, spec: Obj) -> Problem | None:
    """Overrides of the Canary that cross the other bound of the target's autoscaler. No API server accepts them."""
    low, high = spec.get(BOUNDS[kind][0]) or 0, most({"kind": kind, "spec": spec})
    if low <= high:
        return None
    path = "spec.autoscalerRef.primaryScalerReplicas"
    text = f"{path} and {kind} {name} result in a minimum of {low} and a maximum of {high}"
    return Problem(Fault.MANIFEST, text, f"Set both bounds in {path}, or change those of {name}.", path)


def stuck(live: Obj) -> tuple[Patch, ...]:
    """The write that resumes a primary's autoscaler that the reference copied from a paused one. Safe at any time.

    flagger never copies a pause. On an autoscaler whose bounds flagger set, a pause is a user's, and stays.
    """
    if live.get("kind") != SCALED_OBJECT or GIVEN in _annotations(live):
        return ()
    return keda.healed(live, {GIVEN: _given(live)})


def bounds(canary: Canary, target: Obj | None, live: Obj | None) -> tuple[Patch, ...]:
    """The write that copies new bounds of the target's autoscaler immediately. Metrics and behavior follow a release.

    None while the target's bounds are those that flagger set last: then a user changed the primary's.
    """
    ref = canary.spec.autoscaler_ref
    if ref is None or target is None or live is None or ref.kind not in _SPECS:
        return ()
    spec = _SPECS[ref.kind](canary, target)
    wanted: Obj = {"kind": ref.kind, "spec": spec}
    if _annotations(live).get(GIVEN) == _given(wanted) or _crossed(ref.kind, ref.name, spec):
        return ()
    change = {key: spec.get(key) for key in BOUNDS[ref.kind] if _bound(wanted, key) != _bound(live, key)}
    if not change:
        return ()
    body = {"spec": change, "metadata": {"annotations": {GIVEN: _given(wanted)}}}
    return (Patch(ref_of(live), body, live["metadata"].get("resourceVersion", "")),)


def edited(live: Obj | None, writes: Writes | Problem) -> str:
    """The fields of the spec that these writes change in an existing primary autoscaler, with numbers for bounds."""
    if live is None or isinstance(writes, Problem):
        return ""
    specs = [part(write.body, "spec") for write in writes if isinstance(write, Patch)]
    told = [_told(live, key, value) for spec in specs for key, value in sorted(spec.items())]
    return ", ".join(told)


def _told(live: Obj, key: str, value: object) -> str:
    before = part(live, "spec").get(key)
    return f"{key} {before} → {value}" if isinstance(value, int) and isinstance(before, int) else key


def lost(problem: Problem) -> Problem:
    """The target's autoscaler cannot be copied; the primary keeps its own."""
    text = f"{problem.text}; the primary keeps its current autoscaler, and the release continues"
    return Problem(Fault.CLUSTER, text, problem.todo, problem.path)


def noticed(canary: Canary, target: Obj | None, live: Obj | None) -> tuple[Problem, ...]:
    """Problems that do not stop a release: a paused autoscaler, or one that scales another workload."""
    found = []
    pauses = sorted(set(keda.PAUSES) & set(_annotations(live))) if live and not stuck(live) else []
    if live and pauses:
        text = f"{live['kind']} {whose(live)} has {', '.join(pauses)}: it does not scale the primary"
        found.append(Problem(Fault.CLUSTER, text, "Remove the annotation to resume. flagger does not change it."))
    scaled = part(part(target or {}, "spec"), "scaleTargetRef").get("name")
    if target and scaled not in (None, names.target(canary)):
        text = f"{target['kind']} {whose(target)} scales {scaled}, not {names.target(canary)}"
        todo = "Correct its scaleTargetRef, or spec.autoscalerRef. The primary's copy scales the primary."
        found.append(Problem(Fault.MANIFEST, text, todo, "spec.autoscalerRef.name"))
    return tuple(found)


def _annotations(obj: Obj) -> Obj:
    return part(part(obj, "metadata"), "annotations")


def _bound(scaler: Obj, key: str) -> object:
    """The effective bound: an HPA's default minimum is 1."""
    value = part(scaler, "spec").get(key)
    return 1 if value is None and key == "minReplicas" else value


def _given(scaler: Obj) -> str:
    """Its bounds in short, such as `2-6`."""
    found = (_bound(scaler, key) for key in BOUNDS[scaler["kind"]])
    return "-".join("" if bound is None else str(bound) for bound in found)


def paused(scaler: Obj | None) -> bool | None:
    """Whether the target's autoscaler is paused; None without one, and for kinds that idle at zero replicas."""
    return keda.is_paused(scaler) if scaler is not None and scaler.get("kind") == SCALED_OBJECT else None


def pause(scaler: Obj | None, wanted: bool) -> Writes:
    """Pause the target's, or resume it."""
    return () if scaler is None or paused(scaler) in (None, wanted) else keda.pause(scaler, wanted)


def floor(canary: Canary, primary: Obj, scaler: Obj | None, now: float) -> Readiness:
    """Whether an otherwise ready primary has its autoscaler's minimum of available pods."""
    if scaler is None or "replicas" not in part(primary, "spec"):
        return READY
    wanted = least(scaler)
    there = part(primary, "status").get("availableReplicas", 0)
    if there >= wanted:
        return READY
    text = f"{whose(primary)} not ready: {there} of at least {wanted} replicas of its autoscaler are available"
    return until(rollouts.expires(canary), now, text)


def least(scaler: Obj) -> int:
    """The fewest replicas that it gives its workload."""
    return (
        keda.floor(scaler) if scaler.get("kind") == SCALED_OBJECT else int(part(scaler, "spec").get("minReplicas", 1))
    )


def most(scaler: Obj) -> int:
    """The most replicas that it gives its workload."""
    spec = part(scaler, "spec")
    return int(spec.get("maxReplicaCount") or spec.get("maxReplicas") or KEDA_MOST)


def _wanted(canary: Canary, target: Obj, spec: Obj, options: WorkloadOptions) -> Obj:
    meta = target["metadata"]
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key in CARRIED}
    annotations |= options.included(meta.get("annotations"))
    return {
        "apiVersion": VERSIONS[target["kind"]],
        "kind": target["kind"],
        "metadata": {
            "name": names.primary_autoscaler(canary),
            "namespace": canary.metadata.namespace,
            "ownerReferences": [names.owner_reference(canary)],
            "labels": options.included(meta.get("labels")),
            "annotations": {
                **{key: value for key, value in annotations.items() if key not in keda.PAUSES},
                GIVEN: _given({"kind": target["kind"], "spec": spec}),
            },
        },
        "spec": spec,
    }


def _changes(live: Obj, wanted: Obj) -> Writes:
    """A patch of the differing fields. Fields of the server and of other writers stay."""
    body: Obj = {"spec": merge_diff(_managed(live.get("spec") or {}, wanted["spec"]), wanted["spec"])}
    body["metadata"] = metadata.change(live, wanted["metadata"])
    body = {key: value for key, value in body.items() if value}
    return (Patch(ref_of(live), body, live["metadata"].get("resourceVersion", "")),) if body else ()


def _managed(live: Obj, wanted: Obj) -> Obj:
    """The live fields that we set, plus those that we would remove, without server defaults."""
    ours = ("metrics", "behavior", "advanced", "fallback", "idleReplicaCount", "minReplicaCount", "maxReplicaCount")
    return {key: value for key, value in live.items() if key in wanted or key in ours}


def _horizontal(canary: Canary, target: Obj) -> Obj:
    spec: Obj = copy.deepcopy(part(target, "spec"))
    spec["scaleTargetRef"] = {**part(spec, "scaleTargetRef"), "name": names.primary(canary)}
    bounds = canary.spec.autoscaler_ref.primary_scaler_replicas if canary.spec.autoscaler_ref else None
    if bounds and bounds.min_replicas is not None:
        spec["minReplicas"] = bounds.min_replicas
    if bounds and bounds.max_replicas is not None:
        spec["maxReplicas"] = bounds.max_replicas
    return spec


_SPECS: Mapping[str, Callable[[Canary, Obj], Obj]] = {"HorizontalPodAutoscaler": _horizontal, SCALED_OBJECT: keda.spec}
