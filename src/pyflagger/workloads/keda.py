"""KEDA's ScaledObjects: what the primary's says, and pausing the target's while it sleeps. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.objects import Obj, Patch, part, ref_of

PAUSED = "autoscaling.keda.sh/paused-replicas"
PAUSES = (PAUSED, *(f"autoscaling.keda.sh/paused{what}" for what in ("", "-scale-in", "-scale-out")))
"""Annotations that keep a ScaledObject from scaling. A primary's never inherits one."""


def spec(canary: Canary, target: Obj) -> Obj:
    """The primary's spec: the target's with queries, bounds and names of its own."""
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
    """The query about the primary: the target's name, or its canary Service's, wherever it is a word of its own.

    `app-worker` and `app_requests_total` are other words than `app`; `app-[0-9a-z]+`, a pattern of its pods, is not.
    """
    word = rf"(?<![\w-]){re.escape(target)}(?:-canary)?(?![\w]|-\w)"
    return re.sub(word, f"{target}-primary", query)


def unmatched(canary: Canary, target: Obj) -> tuple[str, ...]:
    """Names in primaryScalerQueries that no trigger has."""
    ref = canary.spec.autoscaler_ref
    known = {trigger.get("name") for trigger in part(target, "spec").get("triggers") or ()}
    return tuple(sorted(set(ref.primary_scaler_queries if ref else ()) - known))


def is_paused(scaler: Obj) -> bool:
    """Whether it keeps its workload at zero."""
    return (scaler["metadata"].get("annotations") or {}).get(PAUSED) == "0"


def pause(scaler: Obj, paused: bool) -> tuple[Patch, ...]:
    """Set the annotation or take it away."""
    return (Patch(ref_of(scaler), {"metadata": {"annotations": {PAUSED: "0" if paused else None}}}),)


def healed(scaler: Obj, marks: Mapping[str, str]) -> tuple[Patch, ...]:
    """Take from a primary the pauses that it inherited, and mark it; nothing when it has none."""
    found = {key: None for key in PAUSES if key in part(part(scaler, "metadata"), "annotations")}
    return (Patch(ref_of(scaler), {"metadata": {"annotations": {**found, **marks}}}),) if found else ()


def floor(scaler: Obj) -> int:
    """The least replicas that its workload has."""
    found = part(scaler, "spec")
    idle = found.get("idleReplicaCount")
    return int(found.get("minReplicaCount") or 0) if idle is None else int(idle)
