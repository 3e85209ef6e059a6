"""The original spec of a user's object that flagger takes over: stored once in an annotation, and restored on deletion.

The apex Service (`takeover`) and routes with its name use this. It works for every kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyflagger.api import names
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj, part, ref_of

ORIGINAL = "flagger.kubernetes.io/original-configuration"
"""The original spec as JSON. The reference writes the same annotation to VirtualServices."""
OPT_OUTS = "flagger.app/original-annotations"
"""The user's original values of `names.TOOLKIT_ANNOTATIONS`, as a JSON object."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LIMIT_BYTES = 256 * 1024
"""The API server's limit for all annotations of an object."""


def annotations_of(live: Mapping[str, Any]) -> Obj:
    """The annotations of an object."""
    return part(part(live, "metadata"), "annotations")


def is_taken(live: Mapping[str, Any]) -> bool:
    """Whether the original spec is stored."""
    return ORIGINAL in annotations_of(live)


def stored(live: Mapping[str, Any]) -> Obj | None:
    """The original spec. None if it is not stored or cannot be read."""
    return parsed(annotations_of(live).get(ORIGINAL), lambda found: found)


def applied(live: Mapping[str, Any]) -> Obj | None:
    """The spec of the last `kubectl apply`. None if there is none."""
    return parsed(annotations_of(live).get(LAST_APPLIED), lambda found: found.get("spec"))


def parsed(text: Any, spec: Callable[[Obj], Any]) -> Obj | None:
    """A part of a JSON object. None if the part is not an object."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    wanted = spec(found) if isinstance(found, dict) else None
    return wanted if isinstance(wanted, dict) else None


def marks(live: Mapping[str, Any], spec: Obj) -> dict[str, str]:
    """The annotations that store a spec and the user's opt-outs from Flux."""
    there = annotations_of(live)
    own = {key: there[key] for key in names.TOOLKIT_ANNOTATIONS if key in there}
    note = {OPT_OUTS: json.dumps(own, sort_keys=True)} if own else {}
    return {ORIGINAL: json.dumps(spec, sort_keys=True), **note}


def unmarked(live: Mapping[str, Any], more: Iterable[str] = ()) -> dict[str, Any]:
    """The merge patch that removes flagger's annotations. `more` has additional keys to remove."""
    there = annotations_of(live)
    own = parsed(there.get(OPT_OUTS), lambda found: found) or {}
    ours = (ORIGINAL, OPT_OUTS, *names.TOOLKIT_ANNOTATIONS, *more)
    return {key: own.get(key) for key in ours if key in there and there[key] != own.get(key)}


def oversized(live: Obj, added: Mapping[str, str]) -> Problem | None:
    """Report an object whose annotations leave no room for its original spec."""
    whole = {**annotations_of(live), **added}
    size = sum(len(str(key).encode()) + len(str(value).encode()) for key, value in whole.items())
    if size <= LIMIT_BYTES:
        return None
    text = f"{shown(live)} cannot be taken over: its annotations would have {size} bytes, the limit is {LIMIT_BYTES}"
    todo = f"Use kubectl apply --server-side and remove the annotation {LAST_APPLIED}, or shorten other annotations."
    return Problem(Fault.CLUSTER, text, todo)


def shown(live: Obj) -> str:
    """The name of an object in texts."""
    ref = ref_of(live)
    return f"{ref.kind} {ref.name}.{ref.namespace}" if ref.namespace else f"{ref.kind} {ref.name}"
