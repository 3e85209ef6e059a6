"""Create generated routing objects, and correct them without changing the fields of other controllers.

The modules of the providers pass a partial object. A key that it lacks belongs to others and stays. A key that it sets
to None is removed. A list of dicts of the same length is merged item by item, any other list is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.facts import ALL_PRIMARY, Route
from pyflagger.objects import Create, Obj, Patch, Resource, Write, merge_diff, ref_of

OTHERS = "Find the controller that writes to this object and exclude it. flagger restores the weights."
"""The advice for weights that do not add up to 100."""


def apex_metadata(canary: Canary) -> dict[str, dict[str, str]]:
    """Labels and annotations of a routing object: those of `service.apex`, and those that make Flux ignore it."""
    custom = canary.spec.service.apex if canary.spec.service else None
    return {
        "labels": dict(custom.labels) if custom else {},
        "annotations": {**(custom.annotations if custom else {}), **names.TOOLKIT_ANNOTATIONS},
    }


def make(canary: Canary, kind: Resource, name: str, spec: Obj, metadata: Mapping[str, Any] | None = None) -> Obj:
    """A generated object of the Canary. `metadata` has labels and annotations. The default is the apex's."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            **({"namespace": canary.metadata.namespace} if kind.namespaced else {}),
            **(apex_metadata(canary) if metadata is None else metadata),
            **({"ownerReferences": [names.owner_reference(canary)]} if kind.namespaced else {}),
        },
        "spec": spec,
    }


def brought_about(live: Obj | None, wanted: Obj) -> tuple[Write, ...]:
    """The write that makes the live object as wanted: a create, a patch of the differences, or nothing."""
    if live is None:
        return (Create(overlay({}, wanted)),)
    meta = {part: wanted["metadata"][part] for part in ("labels", "annotations") if wanted["metadata"].get(part)}
    mentioned = {key: value for key, value in wanted.items() if key not in ("apiVersion", "kind", "metadata")}
    body = merge_diff(live, overlay(live, {**mentioned, **({"metadata": meta} if meta else {})}))
    return (patch(live, body),) if body else ()


def patch(live: Obj, body: Obj) -> Patch:
    """A merge patch, guarded by the resourceVersion of the observed object."""
    return Patch(ref_of(live), body, live["metadata"].get("resourceVersion", ""))


def overlay(live: Any, wanted: Any) -> Any:
    """`live` with `wanted` merged into it, as a new object."""
    if isinstance(wanted, Mapping):
        under = live if isinstance(live, Mapping) else {}
        kept = {key: value for key, value in under.items() if key not in wanted}
        return kept | {key: overlay(under.get(key), value) for key, value in wanted.items() if value is not None}
    if isinstance(wanted, list | tuple):
        alike = isinstance(live, list) and len(live) == len(wanted)
        return [
            overlay(under, over) for under, over in zip(live if alike else [None] * len(wanted), wanted, strict=True)
        ]
    return wanted


def owed(canary: Canary) -> Route:
    """The split of a routing object that is created again: the weight that the release had reached, never more."""
    weight = canary.status.canary_weight
    return Route(100 - weight, weight) if 0 < weight <= 100 else ALL_PRIMARY
