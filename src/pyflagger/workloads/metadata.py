"""Labels, annotations and owners of what is made beside a target."""

from __future__ import annotations

from collections.abc import Mapping

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj


def whose(obj: Obj) -> str:
    """An object as texts name it: `name.namespace`."""
    return f"{obj['metadata']['name']}.{obj['metadata'].get('namespace', '')}"


def foreign(word: str, found: Obj) -> Problem:
    """The object that has the name of one of ours is not the Canary's. `word` is what texts call its kind."""
    text = f"{word} {whose(found)} exists and belongs to somebody else: it cannot be the primary"
    return Problem(Fault.MANIFEST, text, f"Rename or delete {word} {whose(found)}.")


def change(live: Obj, wanted: Mapping[str, Mapping[str, str]]) -> Obj:
    """What of the wanted labels and annotations a live object lacks; what others put there stays."""
    missing: Obj = {}
    for section in ("labels", "annotations"):
        now = live["metadata"].get(section) or {}
        diff = {key: value for key, value in (wanted.get(section) or {}).items() if now.get(key) != value}
        if diff:
            missing[section] = diff
    return missing
