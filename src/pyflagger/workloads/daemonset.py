"""DaemonSets as targets. A node selector that matches no node scales one to zero."""

from __future__ import annotations

from types import MappingProxyType

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Fault, Problem, Readiness
from pyflagger.objects import Obj, Patch, Resource, part, ref_of
from pyflagger.workloads import readiness, rollouts, updates
from pyflagger.workloads.base import Writes
from pyflagger.workloads.metadata import whose
from pyflagger.workloads.templated import Templated

ZERO = "flagger.app/scale-to-zero"
"""A key of the pod template's nodeSelector; its value is `true`."""
NO_NODE = "no node fits its node selector, affinity and tolerations. Change them, or add a node"


class DaemonSet(Templated):
    """The kind DaemonSet of apps/v1."""

    kinds: tuple[Resource, ...] = (Resource("apps", "v1", "daemonsets", "DaemonSet"),)
    word = "daemonset"
    copied = ("minReadySeconds", "revisionHistoryLimit", "updateStrategy")
    prefix = MappingProxyType({"primary": "primary daemonset ", "canary": "canary daemonset "})

    def refuses(self, target: Obj) -> Problem | None:
        """With `OnDelete`, the DaemonSet controller does not replace pods."""
        found = part(part(target, "spec"), "updateStrategy").get("type") or "RollingUpdate"
        if found == "RollingUpdate":
            return None
        text = f"daemonset {whose(target)} must have RollingUpdate strategy but have {found}"
        todo = f"Set spec.updateStrategy.type of daemonset {whose(target)} to RollingUpdate."
        return Problem(Fault.MANIFEST, text, todo, "spec.targetRef")

    def template(self, target: Obj) -> Obj:
        """The pod template without the node selector for zero."""
        found = super().template(target)
        if not self.at_zero(target):
            return found
        pod = part(found, "spec")
        nodes = {key: value for key, value in part(pod, "nodeSelector").items() if key != ZERO}
        rest = {key: value for key, value in pod.items() if key != "nodeSelector"}
        return {**found, "spec": {**rest, "nodeSelector": nodes} if nodes else rest}

    def rollout(self, canary: Canary, obj: Obj, threshold: int, now: float) -> Readiness:
        """By its status. That has no times, so the deadline counts from the rollout's start in the Canary's status."""
        deadline = canary.spec.progress_deadline_seconds
        return readiness.daemonset(obj, threshold, deadline, rollouts.began(canary), now)

    def served(self, canary: Canary, obj: Obj, now: float) -> Readiness:
        """Not ready without pods, which nothing could judge. The status does not say since when pods are available."""
        if part(obj, "status").get("desiredNumberScheduled", 0) > 0:
            return Readiness(True, undated=True)
        return readiness.until(rollouts.expires(canary), now, readiness.WAITING + NO_NODE)

    def keeps(self, canary: Canary, target: Obj, primary: Obj, least: int | None) -> int:
        """By the strategy that the promotion writes, for the nodes of the primary."""
        nodes = int(part(primary, "status").get("desiredNumberScheduled", 0))
        return updates.kept_by_daemonset(part(part(target, "spec"), "updateStrategy"), nodes)

    def at_zero(self, obj: Obj) -> bool:
        """Whether it has the node selector for zero."""
        return ZERO in part(part(super().template(obj), "spec"), "nodeSelector")

    def scale(self, target: Obj, replicas: int | None) -> Writes:
        """Add or remove the node selector for zero. The nodes determine the number of pods."""
        mark = None if replicas else "true"
        body = {"spec": {"template": {"spec": {"nodeSelector": {ZERO: mark}}}}}
        return (Patch(ref_of(target), body),)

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """Any number but zero: the nodes determine it."""
        return 1

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> Writes:
        """Remove the node selector for zero."""
        return self.scale(target, 1) if self.at_zero(target) else ()
