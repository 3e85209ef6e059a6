"""The objects of a canary as YAML. Secrets and ConfigMaps are not among them: the read model reads none."""

from __future__ import annotations

from collections.abc import Iterator

from pyflagger.dashboard.watching import Sight
from pyflagger.objects import Obj

HIDDEN = ("Secret", "ConfigMap")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def objects(sight: Sight) -> Iterator[Obj]:
    """The objects that were read of a canary: itself, its workloads, Services, routes and autoscalers."""
    for obj in (*sight.look.cache.all(), *sight.look.sets, *sight.look.pods):
        if obj.get("kind") not in HIDDEN:
            yield obj


def found_object(sight: Sight, kind: str, name: str) -> Obj | None:
    """One of them without managed fields and without the copy that kubectl keeps."""
    for obj in objects(sight):
        if obj.get("kind") == kind and obj["metadata"]["name"] == name:
            kept = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
            notes = {key: value for key, value in (kept.pop("annotations", None) or {}).items() if key != LAST_APPLIED}
            return {**obj, "metadata": kept | ({"annotations": notes} if notes else {})}
    return None
