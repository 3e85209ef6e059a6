"""DaemonSets as targets: a node selector that no node has stands for zero."""

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
NO_NODE = "no node fits its node selector, affinity and tolerations; change them, or add a node"


class DaemonSet(Templated):
    """The kind DaemonSet of apps/v1."""

    kinds: tuple[Resource, ...] = (Resource("apps", "v1", "daemonsets", "DaemonSet"),)
    word = "daemonset"
    copied = ("minReadySeconds", "revisionHistoryLimit", "updateStrategy")
    prefix = MappingProxyType({"primary": "primary daemonset ", "canary": "canary daemonset "})

    def refuses(self, target: Obj) -> Problem | None:
        """Only a rolling update makes pods new by itself."""
        found = part(part(target, "spec"), "updateStrategy").get("type") or "RollingUpdate"
        if found == "RollingUpdate":
            return None
        text = f"daemonset {whose(target)} must have RollingUpdate strategy but have {found}"
        todo = f"Set spec.updateStrategy.type of daemonset {whose(target)} to RollingUpdate."
        return Problem(Fault.MANIFEST, text, todo, "spec.targetRef")

    def template(self, target: Obj) -> Obj:
        """The pod template without the mark of zero."""
        found = super().template(target)
        if not self.at_zero(target):
            return found
        pod = part(found, "spec")
        nodes = {key: value for key, value in part(pod, "nodeSelector").items() if key != ZERO}
        rest = {key: value for key, value in pod.items() if key != "nodeSelector"}
        return {**found, "spec": {**rest, "nodeSelector": nodes} if nodes else rest}

    def rollout(self, canary: Canary, obj: Obj, threshold: int, now: float) -> Readiness:
        """Its status knows no time: the deadline counts from the beginning of what the Canary is about."""
        deadline = canary.spec.progress_deadline_seconds
        return readiness.daemonset(obj, threshold, deadline, rollouts.began(canary), now)

    def served(self, canary: Canary, obj: Obj, now: float) -> Readiness:
        """What no node runs can be judged by nobody. Its status does not say since when its pods are available."""
        if part(obj, "status").get("desiredNumberScheduled", 0) > 0:
            return Readiness(True, undated=True)
        return readiness.until(rollouts.expires(canary), now, readiness.WAITING + NO_NODE)

    def keeps(self, canary: Canary, target: Obj, primary: Obj, least: int | None) -> int:
        """By the strategy that promotion writes, on the nodes that the primary runs on."""
        nodes = int(part(primary, "status").get("desiredNumberScheduled", 0))
        return updates.kept_by_daemonset(part(part(target, "spec"), "updateStrategy"), nodes)

    def at_zero(self, obj: Obj) -> bool:
        """Whether it has the mark."""
        return ZERO in part(part(super().template(obj), "spec"), "nodeSelector")

    def scale(self, target: Obj, replicas: int | None) -> Writes:
        """Set the mark or take it away; the nodes decide how many pods there are."""
        mark = None if replicas else "true"
        body = {"spec": {"template": {"spec": {"nodeSelector": {ZERO: mark}}}}}
        return (Patch(ref_of(target), body),)

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """Some."""
        return 1

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> Writes:
        """Without the mark."""
        return self.scale(target, 1) if self.at_zero(target) else ()
