"""Labels and annotations of the objects that flagger generates for a target."""

from __future__ import annotations

from collections.abc import Mapping

from pyflagger.objects import Obj


def whose(obj: Obj) -> str:
    """`name.namespace`, the name of an object in texts."""
    return f"{obj['metadata']['name']}.{obj['metadata'].get('namespace', '')}"


def change(live: Obj, wanted: Mapping[str, Mapping[str, str]]) -> Obj:
    """The wanted labels and annotations that a live object lacks. Those of others stay."""
    missing: Obj = {}
    for section in ("labels", "annotations"):
        now = live["metadata"].get(section) or {}
        diff = {key: value for key, value in (wanted.get(section) or {}).items() if now.get(key) != value}
        if diff:
            missing[section] = diff
    return missing
