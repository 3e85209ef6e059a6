"""The primary's ScaledObject before KEDA's real definition, with everything that a user may say in one."""

from __future__ import annotations

import pytest

from e2e.definitions import definitions
from e2e.environment import Environment
from e2e.targets.apps import released
from pyflagger.api.canary import Canary
from pyflagger.api.parse import parse_canary
from pyflagger.objects import Create, Obj, Patch, merge_apply
from pyflagger.workloads.autoscalers import primary_autoscaler
from pyflagger.workloads.options import WorkloadOptions

KIND = "scaledobjects.keda.sh"
REF = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web"}
RATE = {
    "serverAddress": "http://prometheus",
    "query": 'sum(rate(http_requests_total{app="web"}[1m]))',
    "threshold": "9",
}
EVERYTHING: Obj = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "envSourceContainerName": "web"},
    "pollingInterval": 15,
    "cooldownPeriod": 60,
    "initialCooldownPeriod": 5,
    "idleReplicaCount": 0,
    "minReplicaCount": 2,
    "maxReplicaCount": 9,
    "fallback": {"failureThreshold": 3, "replicas": 4, "behavior": "static"},
    "advanced": {
        "restoreToOriginalReplicaCount": True,
        "horizontalPodAutoscalerConfig": {
            "name": "web-scaler",
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
        },
        "scalingModifiers": {"formula": "load + lag", "target": "2", "activationTarget": "1", "metricType": "Value"},
    },
    "triggers": [
        {
            "type": "prometheus",
            "name": "load",
            "metadata": RATE,
            "metricType": "AverageValue",
            "useCachedMetrics": True,
        },
        {"type": "kafka", "name": "lag", "metadata": {"topic": "web"}, "authenticationRef": {"name": "kafka"}},
    ],
}
OVERRIDES: Obj = {
    "primaryScalerReplicas": {"minReplicas": 3, "maxReplicas": 6},
    "primaryScalerQueries": {"load": 'sum(rate(http_requests_total{app="web-primary"}[5m]))'},
}


def canary(env: Environment, more: Obj) -> Canary:
    """As the server has it."""
    env.apply(released("web", "good", ("apps/v1", "Deployment"), "nginx", {"iterations": 1}, autoscalerRef=REF | more))
    return parse_canary(env.get("canary", "web"))


@pytest.mark.parametrize("more", [{}, OVERRIDES], ids=["as the user's", "overridden"])
def test_everything_that_a_scaled_object_says(env: Environment, more: Obj) -> None:
    """Valid as it is made and as it is changed; what KEDA's defaults add is nothing to mend."""
    env.stage.define(*definitions((KIND,)))
    env.apply({"apiVersion": REF["apiVersion"], "kind": REF["kind"], "metadata": {"name": "web"}, "spec": EVERYTHING})
    of, target = canary(env, more), env.get(KIND, "web")
    (made,) = primary_autoscaler(of, target, None, WorkloadOptions())  # type: ignore[misc]
    assert isinstance(made, Create)
    path = f"/apis/keda.sh/v1alpha1/namespaces/{env.namespace}/scaledobjects"
    live = env.stage.plane.ask("POST", f"{path}?fieldValidation=Strict", made.obj)
    assert live["spec"] == made.obj["spec"], "nothing is pruned"
    assert primary_autoscaler(of, target, live, WorkloadOptions()) == ()
    changed = merge_apply(target, {"spec": {"idleReplicaCount": None, "pollingInterval": 30, "fallback": None}})
    (change,) = primary_autoscaler(of, changed, live, WorkloadOptions())  # type: ignore[misc]
    assert isinstance(change, Patch)
    merge = "application/merge-patch+json"
    live = env.stage.plane.ask("PATCH", f"{path}/web-primary?fieldValidation=Strict", change.body, merge)
    assert live["spec"]["pollingInterval"] == 30 and not live["spec"].keys() & {"idleReplicaCount", "fallback"}
    assert primary_autoscaler(of, changed, live, WorkloadOptions()) == ()
