"""Knative Services as targets. One object holds every version as a Revision, and an annotation names the primary.

The router of provider `knative` splits its traffic. This module only writes the annotation.
"""

from __future__ import annotations

from pyflagger.api import names
from pyflagger.api.canary import Canary
from pyflagger.api.durations import epoch
from pyflagger.api.facts import READY, Fault, Problem, Readiness
from pyflagger.objects import Obj, Patch, Ref, Resource, part, ref_of
from pyflagger.workloads import rollouts
from pyflagger.workloads.base import NOTHING_ELSE, Live, Writes
from pyflagger.workloads.configs import Tracked
from pyflagger.workloads.metadata import whose
from pyflagger.workloads.options import WorkloadOptions
from pyflagger.workloads.readiness import until
from pyflagger.workloads.revision import revision
from pyflagger.workloads.unscaled import Unscaled

GROUP, VERSION = "serving.knative.dev", "v1"
SERVICES = Resource(GROUP, VERSION, "services", "Service")
REVISIONS = Resource(GROUP, VERSION, "revisions", "Revision")
FIRST_REVISION_SECONDS = 60.0
"""The time that Knative has to create the first Revision before flagger reports a problem."""


class Knative(Unscaled):
    """The kind Service of serving.knative.dev/v1."""

    kinds: tuple[Resource, ...] = (SERVICES, REVISIONS)

    def refuses(self, target: Obj) -> Problem | None:
        """A problem until the first Revision exists. It may pass within a minute unless Knative reports an error."""
        if _newest(target):
            return None
        ready = _condition(target)
        refused = ready.get("status") == "False"
        why = f": {ready.get('message') or ready.get('reason') or 'Knative gives no reason'}" if refused else ""
        made = target["metadata"].get("creationTimestamp")
        return Problem(
            Fault.CLUSTER,
            f"Knative Service {whose(target)} has no Revision yet{why}",
            "Check the conditions of the Knative Service.",
            "spec.targetRef",
            passes_by=epoch(made) + FIRST_REVISION_SECONDS if made and not refused else None,
        )

    def revision(self, target: Obj) -> str:
        """Digest of the newest Revision's name."""
        return revision(_newest(target))

    def reads(self, canary: Canary, target: Obj) -> tuple[Ref, ...]:
        """The Revisions that are canary and primary."""
        namespace = canary.metadata.namespace
        found = {_newest(target), names.primary_revision(target)} - {""}
        return tuple(REVISIONS.ref(namespace, name) for name in sorted(found))

    def readiness(self, canary: Canary, obj: Obj, role: str, now: float, live: Live = NOTHING_ELSE) -> Readiness:
        """Whether its Revision is ready. The deadline counts from the Revision's creation."""
        meta, status = obj["metadata"], part(obj, "status")
        if role == "canary" and meta.get("generation", 0) > status.get("observedGeneration", 0):
            text = f"Knative Service {whose(obj)} is not ready: Knative has not observed its last change yet"
            return Readiness(False, text, settling=True)
        name = names.primary_revision(obj) if role == "primary" else _newest(obj)
        found = live.get(REVISIONS.ref(meta["namespace"], name))
        ready = _condition(found or {})
        if ready.get("status") == "True":
            return READY
        why = ready.get("message") or ("it does not exist" if found is None else "it starts")
        made = found["metadata"].get("creationTimestamp") if found else None
        deadline = epoch(made) + canary.spec.progress_deadline_seconds if made else rollouts.expires(canary)
        return until(deadline, now, f"Knative Revision {name}.{meta['namespace']} is not ready: {why}")

    def primary(self, canary: Canary) -> Ref:
        """The target itself."""
        ref = canary.spec.target_ref
        return Ref(ref.api_version, ref.kind, canary.metadata.namespace, ref.name)

    def is_primary(self, canary: Canary, found: Obj) -> bool | Problem:
        """Whether it has the annotation."""
        return bool(names.primary_revision(found))

    def create_primary(
        self, canary: Canary, target: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Writes | Problem:
        """Mark the newest Revision as the primary."""
        return _named(target)

    def matches(self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: WorkloadOptions) -> bool:
        """Whether the newest Revision is the primary."""
        return names.primary_revision(primary) == _newest(target) != ""

    def promote(
        self, canary: Canary, target: Obj, primary: Obj, tracked: Tracked, options: WorkloadOptions, unique: str
    ) -> Writes | Problem:
        """Move the annotation and the primary's share of traffic to the newest Revision."""
        (patch,) = _named(target)
        before, traffic = names.primary_revision(primary), part(target, "spec").get("traffic") or []
        moved = [
            {**entry, "revisionName": _newest(target)}
            if entry.get("revisionName") == before and "percent" in entry
            else entry
            for entry in traffic
        ]
        version = target["metadata"].get("resourceVersion", "")
        return (Patch(patch.ref, {**patch.body, "spec": {"traffic": moved}}, version),)


def _condition(obj: Obj) -> Obj:
    """Its condition `Ready`; empty if there is none."""
    conditions: list[Obj] = part(obj, "status").get("conditions") or []
    return next((entry for entry in conditions if entry.get("type") == "Ready"), {})


def _newest(service: Obj) -> str:
    return str(part(service, "status").get("latestCreatedRevisionName") or "")


def _named(service: Obj) -> tuple[Patch]:
    body = {"metadata": {"annotations": {names.PRIMARY_REVISION: _newest(service)}}}
    return (Patch(ref_of(service), body, service["metadata"].get("resourceVersion", "")),)
