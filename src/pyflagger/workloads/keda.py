"""KEDA's ScaledObjects: renders the primary's, and pauses the target's while the target is at zero. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.objects import Obj, Patch, part, ref_of

PAUSED = "autoscaling.keda.sh/paused-replicas"
PAUSES = (PAUSED, *(f"autoscaling.keda.sh/paused{what}" for what in ("", "-scale-in", "-scale-out")))
"""Annotations that pause a ScaledObject. flagger never copies one to the primary's."""


def spec(canary: Canary, target: Obj) -> Obj:
    """The primary's spec: the target's, with the primary's queries, bounds and names."""
    wanted: Obj = copy.deepcopy(part(target, "spec"))
    wanted["scaleTargetRef"] = {**part(wanted, "scaleTargetRef"), "name": names.primary(canary)}
    config = part(part(wanted, "advanced"), "horizontalPodAutoscalerConfig")
    if config.get("name"):
        config["name"] += "-primary"
    ref = canary.spec.autoscaler_ref
    bounds = ref.primary_scaler_replicas if ref else None
    for key, value in (("min", bounds and bounds.min_replicas), ("max", bounds and bounds.max_replicas)):
        if value is not None:
            wanted[f"{key}ReplicaCount"] = value
    queries = ref.primary_scaler_queries if ref else {}
    wanted["triggers"] = [_trigger(canary, trigger, queries) for trigger in wanted.get("triggers") or ()]
    return wanted


def _trigger(canary: Canary, trigger: Obj, queries: Mapping[str, str]) -> Obj:
    meta = part(trigger, "metadata")
    if trigger.get("name") in queries:
        return {**trigger, "metadata": {**meta, "query": queries[trigger["name"]]}}
    if queries or not isinstance(meta.get("query"), str):
        return trigger
    return {**trigger, "metadata": {**meta, "query": repointed(meta["query"], names.target(canary))}}


def repointed(query: str, target: str) -> str:
    """The query for the primary. Replaces the name of the target or of its canary Service where it is a whole word.

    `app-worker` and `app_requests_total` are other words than `app`. `app-[0-9a-z]+`, a pattern of its pods, changes.
    """
    word = rf"(?<![\w-]){re.escape(target)}(?:-canary)?(?![\w]|-\w)"
    return re.sub(word, f"{target}-primary", query)


def unmatched(canary: Canary, target: Obj) -> tuple[str, ...]:
    """The names in primaryScalerQueries that match no trigger."""
    ref = canary.spec.autoscaler_ref
    known = {trigger.get("name") for trigger in part(target, "spec").get("triggers") or ()}
    return tuple(sorted(set(ref.primary_scaler_queries if ref else ()) - known))


def is_paused(scaler: Obj) -> bool:
    """Whether an annotation pauses it."""
    return (scaler["metadata"].get("annotations") or {}).get(PAUSED) == "0"


def pause(scaler: Obj, paused: bool) -> tuple[Patch, ...]:
    """Add or remove the annotation that pauses it."""
    return (Patch(ref_of(scaler), {"metadata": {"annotations": {PAUSED: "0" if paused else None}}}),)


def healed(scaler: Obj, marks: Mapping[str, str]) -> tuple[Patch, ...]:
    """Remove the pauses that a primary inherited, and mark it. None if it has no pause."""
    found = {key: None for key in PAUSES if key in part(part(scaler, "metadata"), "annotations")}
    return (Patch(ref_of(scaler), {"metadata": {"annotations": {**found, **marks}}}),) if found else ()


def floor(scaler: Obj) -> int:
    """The minimum of replicas that it gives its workload."""
    found = part(scaler, "spec")
    idle = found.get("idleReplicaCount")
    return int(found.get("minReplicaCount") or 0) if idle is None else int(idle)
