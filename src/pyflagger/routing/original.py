"""What an object of the user's was before it was taken over: stored once, on the object itself, and given back.

Used for the apex Service (`takeover`) and for routes by its name. Knows no shape of any kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyflagger.api import names
from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Obj, part, ref_of

ORIGINAL = "flagger.kubernetes.io/original-configuration"
"""The spec of before, as JSON. The reference writes the same for VirtualServices."""
OPT_OUTS = "flagger.app/original-annotations"
"""The values that the user had given to those of `names.TOOLKIT_ANNOTATIONS`, as a JSON object."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LIMIT_BYTES = 256 * 1024
"""What all annotations of an object may hold together; the API server refuses more."""


def annotations_of(live: Mapping[str, Any]) -> Obj:
    """The annotations of an object; empty when it has none."""
    return part(part(live, "metadata"), "annotations")


def is_taken(live: Mapping[str, Any]) -> bool:
    """Whether its spec of before is stored."""
    return ORIGINAL in annotations_of(live)


def stored(live: Mapping[str, Any]) -> Obj | None:
    """The spec of before; None when it is not stored, or cannot be read."""
    return parsed(annotations_of(live).get(ORIGINAL), lambda found: found)


def applied(live: Mapping[str, Any]) -> Obj | None:
    """The spec of the manifest that `kubectl apply` was given last; None when there is none."""
    return parsed(annotations_of(live).get(LAST_APPLIED), lambda found: found.get("spec"))


def parsed(text: Any, spec: Callable[[Obj], Any]) -> Obj | None:
    """A part of a JSON object; None unless that is an object too."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    wanted = spec(found) if isinstance(found, dict) else None
    return wanted if isinstance(wanted, dict) else None


def marks(live: Mapping[str, Any], spec: Obj) -> dict[str, str]:
    """The annotations that store a spec, and the opt-outs of Flux that the user has set."""
    there = annotations_of(live)
    own = {key: there[key] for key in names.TOOLKIT_ANNOTATIONS if key in there}
    note = {OPT_OUTS: json.dumps(own, sort_keys=True)} if own else {}
    return {ORIGINAL: json.dumps(spec, sort_keys=True), **note}


def unmarked(live: Mapping[str, Any], more: Iterable[str] = ()) -> dict[str, Any]:
    """The merge patch of annotations that leaves nothing of ours; `more` are further keys of ours."""
    there = annotations_of(live)
    own = parsed(there.get(OPT_OUTS), lambda found: found) or {}
    ours = (ORIGINAL, OPT_OUTS, *names.TOOLKIT_ANNOTATIONS, *more)
    return {key: own.get(key) for key in ours if key in there and there[key] != own.get(key)}


def oversized(live: Obj, added: Mapping[str, str]) -> Problem | None:
    """An object with so many annotations that its spec of before cannot be stored beside them."""
    whole = {**annotations_of(live), **added}
    size = sum(len(str(key).encode()) + len(str(value).encode()) for key, value in whole.items())
    if size <= LIMIT_BYTES:
        return None
    text = f"{shown(live)} cannot be taken over: its annotations would have {size} bytes, the limit is {LIMIT_BYTES}"
    todo = f"Apply it with kubectl apply --server-side and remove the annotation {LAST_APPLIED}, or shorten others."
    return Problem(Fault.CLUSTER, text, todo)


def shown(live: Obj) -> str:
    """An object as texts name it."""
    ref = ref_of(live)
    return f"{ref.kind} {ref.name}.{ref.namespace}" if ref.namespace else f"{ref.kind} {ref.name}"
