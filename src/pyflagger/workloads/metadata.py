"""Labels, annotations and owners of what is made beside a target."""

from __future__ import annotations

from collections.abc import Mapping

from pyflagger.objects import Obj


def whose(obj: Obj) -> str:
    """An object as texts name it: `name.namespace`."""
    return f"{obj['metadata']['name']}.{obj['metadata'].get('namespace', '')}"


def change(live: Obj, wanted: Mapping[str, Mapping[str, str]]) -> Obj:
    """What of the wanted labels and annotations a live object lacks; what others put there stays."""
    missing: Obj = {}
    for section in ("labels", "annotations"):
        now = live["metadata"].get(section) or {}
        diff = {key: value for key, value in (wanted.get(section) or {}).items() if now.get(key) != value}
        if diff:
            missing[section] = diff
    return missing
