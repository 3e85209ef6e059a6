"""Deployments as targets: the copied fields, readiness and scaling."""

from __future__ import annotations

from types import MappingProxyType

from pyflagger.api.canary import Canary
from pyflagger.api.facts import Readiness, settled
from pyflagger.objects import Obj, Patch, Resource, part, ref_of
from pyflagger.workloads import readiness, rollouts, updates
from pyflagger.workloads.base import Writes
from pyflagger.workloads.templated import Templated

HORIZONTAL = "HorizontalPodAutoscaler"


class Deployment(Templated):
    """The kind Deployment of apps/v1."""

    kinds: tuple[Resource, ...] = (Resource("apps", "v1", "deployments", "Deployment"),)
    word = "deployment"
    copied = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy")
    # The reference omits the kind in texts about a primary.
    prefix = MappingProxyType({"primary": "", "canary": "canary deployment "})

    def size(self, canary: Canary, target: Obj, primary: Obj | None) -> Obj:
        """The target's replicas. A promotion does not copy them if an autoscaler sets them, or if the target is at
        zero.

        A HorizontalPodAutoscaler ignores a workload that was scaled to zero.
        """
        own = part(target, "spec").get("replicas")
        if primary is None:
            return {"replicas": own or 1}
        scaler = canary.spec.autoscaler_ref
        decided = scaler is not None and not (scaler.kind == HORIZONTAL and self.at_zero(primary))
        return {"replicas": own} if own and not decided else {}

    def rollout(self, canary: Canary, obj: Obj, threshold: int, now: float) -> Readiness:
        """By its conditions. If these miss a rollout, by the rollout's start in the Canary's status."""
        deadline = canary.spec.progress_deadline_seconds
        return readiness.deployment(obj, threshold, deadline, rollouts.began(canary), now)

    def served(self, canary: Canary, obj: Obj, now: float) -> Readiness:
        """By the times of its conditions. A Deployment that may be without pods is always available, so its conditions
        have no such time."""
        spec = part(obj, "spec")
        if updates.kept_by_deployment(part(spec, "strategy"), int(spec.get("replicas", 1))) == 0:
            return Readiness(True, undated=True)
        return settled(readiness.available_since(obj), now, "its pods became available just now")

    def keeps(self, canary: Canary, target: Obj, primary: Obj, least: int | None) -> int:
        """By the strategy and size that the promotion writes."""
        now = int(part(primary, "spec").get("replicas", 1))
        pods = int(self.size(canary, target, primary).get("replicas", now))
        fewest = pods if least is None else min(pods, least)
        return updates.kept_by_deployment(part(part(target, "spec"), "strategy"), max(1, fewest))

    def at_zero(self, obj: Obj) -> bool:
        """Whether its spec asks for zero replicas. The default is one."""
        return bool(part(obj, "spec").get("replicas", 1) == 0)

    def scale(self, target: Obj, replicas: int | None) -> Writes:
        """A patch of the replicas."""
        return (Patch(ref_of(target), {"spec": {"replicas": replicas or 0}}),)

    def restored_replicas(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> int:
        """Its replicas, or the minimum of its autoscaler, or without one the primary's replicas. At least one."""
        own = part(target, "spec").get("replicas", 1)
        if own:
            return int(own)
        if canary.spec.autoscaler_ref is not None and scaler is not None:
            spec = part(scaler, "spec")
            return max(int(spec.get("minReplicas") or spec.get("minReplicaCount") or 1), 1)
        return max(int(part(primary or {}, "spec").get("replicas") or 1), 1)

    def restore(self, canary: Canary, target: Obj, primary: Obj | None, scaler: Obj | None) -> Writes:
        """Scale it to the primary's replicas."""
        if primary is None:
            return self.scale(target, self.restored_replicas(canary, target, None, scaler))
        wanted = part(primary, "spec").get("replicas", 1)
        return () if part(target, "spec").get("replicas", 1) == wanted else self.scale(target, wanted)
