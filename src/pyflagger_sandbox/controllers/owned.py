"""Ownership: the children of an owner, orphans to adopt, and the owner to reconcile when a child changes.

Pure; used by the controllers that own ReplicaSets or pods.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyflagger.objects import Obj, Patch, controller_of, ref_of

from .cache import View
from .manager import Touches
from .templates import matches, owner_reference


def itself(_: View, obj: Obj) -> Iterable[tuple[str, str]]:
    """The key of the changed object itself."""
    return ((obj["metadata"].get("namespace", ""), obj["metadata"]["name"]),)


def owner_key(kind: str) -> Touches:
    """The owner of this kind. For an orphan, every owner whose selector matches it."""

    def touches(view: View, obj: Obj) -> Iterable[tuple[str, str]]:
        namespace, owner = obj["metadata"].get("namespace", ""), controller_of(obj)
        if owner is not None:
            return ((namespace, owner["name"]),) if owner["kind"] == kind else ()
        labels = obj["metadata"].get("labels")
        owners = view.by(kind, "namespace", namespace)
        return [
            (namespace, owner["metadata"]["name"]) for owner in owners if matches(owner["spec"].get("selector"), labels)
        ]

    return touches


def claim(view: View, owner: Obj, kind: str) -> tuple[list[Obj], list[Patch]]:
    """The children of an owner, and patches that adopt matching orphans."""
    meta = owner["metadata"]
    owned = list(view.by(kind, "owner", meta["uid"]))
    if meta.get("deletionTimestamp"):
        return owned, []
    selector = owner["spec"].get("selector")
    orphans = [
        obj
        for obj in view.by(kind, "owner", (meta["namespace"],))
        if matches(selector, obj["metadata"].get("labels")) and not obj["metadata"].get("deletionTimestamp")
    ]
    return owned, [_adopt(owner, orphan) for orphan in orphans]


def _adopt(owner: Obj, orphan: Obj) -> Patch:
    references = [*(orphan["metadata"].get("ownerReferences") or ()), owner_reference(owner)]
    version = orphan["metadata"].get("resourceVersion", "")
    return Patch(ref_of(orphan), {"metadata": {"ownerReferences": references}}, version)
