"""The autoscaler of the primary, a function a kind: what the target's has, with the overrides of the Canary."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Create, Obj, Patch, Write, merge_diff, ref_of
from pyflagger.workloads.options import Options, unmarked

Writes: TypeAlias = tuple[Write, ...]


def primary_autoscaler(canary: Canary, target: Obj | None, live: Obj | None, options: Options) -> Writes | Problem:
    """The writes that bring the primary's autoscaler up to date; none when the Canary names no autoscaler."""
    ref = canary.spec.autoscaler_ref
    if ref is None:
        return ()
    render = _KINDS.get(ref.kind)
    if render is None:
        known = ", ".join(sorted(_KINDS))
        text = f"spec.autoscalerRef.kind {ref.kind!r} is not a known autoscaler"
        return Problem(Fault.MANIFEST, text, f"Use one of: {known}.", "spec.autoscalerRef.kind")
    if target is None:
        name = f"{ref.kind} {ref.name}.{canary.metadata.namespace}"
        text = f'{name} get query error: {ref.kind.lower()}s "{ref.name}" not found'
        return Problem(Fault.MANIFEST, text, f"Create {name}, or remove spec.autoscalerRef.", "spec.autoscalerRef.name")
    wanted = render(canary, target, options)
    if live is None:
        return (Create(wanted),)
    body = {"spec": merge_diff(_managed(live.get("spec") or {}, wanted["spec"]), wanted["spec"])}
    return (Patch(ref_of(live), body, live["metadata"].get("resourceVersion", "")),) if body["spec"] else ()


def _managed(live: Obj, wanted: Obj) -> Obj:
    """The live fields that we set, plus those that we would remove; server defaults are left alone."""
    return {key: value for key, value in live.items() if key in wanted or key in ("metrics", "behavior")}


def _horizontal(canary: Canary, target: Obj, options: Options) -> Obj:
    spec = copy.deepcopy(target.get("spec") or {})
    spec["scaleTargetRef"] = {**(spec.get("scaleTargetRef") or {}), "name": names.primary(canary)}
    bounds = canary.spec.autoscaler_ref.primary_scaler_replicas if canary.spec.autoscaler_ref else None
    if bounds and bounds.min_replicas is not None:
        spec["minReplicas"] = bounds.min_replicas
    if bounds and bounds.max_replicas is not None:
        spec["maxReplicas"] = bounds.max_replicas
    labels = unmarked(target["metadata"].get("labels"))
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": names.primary_autoscaler(canary),
            "namespace": canary.metadata.namespace,
            "ownerReferences": [names.owner_reference(canary)],
            **({"labels": labels} if labels else {}),
        },
        "spec": spec,
    }


_KINDS: Mapping[str, Callable[[Canary, Obj, Options], Obj]] = {"HorizontalPodAutoscaler": _horizontal}
