"""Which module releases which kind of target."""

from __future__ import annotations

from pyflagger.api.canary import ObjectReference
from pyflagger.api.facts import Fault, Problem
from pyflagger.workloads.base import Workload
from pyflagger.workloads.deployment import Deployment

KINDS: dict[tuple[str, str], Workload] = {("apps/v1", "Deployment"): Deployment()}


def workload_for(ref: ObjectReference) -> Workload | Problem:
    """The module for a target; a Problem that lists the known kinds."""
    found = KINDS.get((ref.api_version, ref.kind))
    if found is not None:
        return found
    known = ", ".join(f"{kind} ({version})" for version, kind in sorted(KINDS))
    text = f"spec.targetRef names {ref.kind} of {ref.api_version}, which cannot be released"
    return Problem(Fault.MANIFEST, text, f"Known kinds: {known}.", "spec.targetRef")
