"""Why a workload is not ready: every clue in the words of the objects that show it, and what to do about each."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger.seeing.causes import Scene, causes_of

REVISION = {"deployment.kubernetes.io/revision": "2"}


def workload(**spec: Any) -> Obj:
    """A Deployment."""
    meta = {"name": "web", "namespace": "shop", "uid": "w", "annotations": REVISION}
    return {"kind": "Deployment", "metadata": meta, "spec": {"replicas": 2, **spec}, "status": {}}


def pod(container: Obj | None = None, *, init: Obj | None = None, conditions: Any = ()) -> Obj:
    """A pod with a container, an init container, or conditions."""
    status: Obj = {"conditions": list(conditions)}
    status |= {"containerStatuses": [{"name": "app", **container}]} if container else {}
    status |= {"initContainerStatuses": [{"name": "migrate", **init}]} if init else {}
    return {"kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop", "uid": "p"}, "status": status}


def waiting(reason: str, message: str = "words", **more: Any) -> Obj:
    """A container that waits."""
    return {"image": "app:2", "ready": False, "state": {"waiting": {"reason": reason, "message": message}}, **more}


def ended(code: int, reason: str = "Error", **more: Any) -> Obj:
    """A container that crashed and is started again later."""
    last = {"terminated": {"exitCode": code, "reason": reason}}
    return {**waiting("CrashLoopBackOff"), "restartCount": 3, "lastState": last, **more}


def seen(*pods: Obj, obj: Obj | None = None, scaler: Obj | None = None, sets: Any = (), events: Any = ()) -> Scene:
    """The scene of a workload."""
    return Scene(obj or workload(), scaler, tuple(sets), pods, tuple(events))


def scaler(most: int = 2, annotations: Any = None, *conditions: Obj) -> Obj:
    """A HorizontalPodAutoscaler."""
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "annotations": annotations or {}},
        "spec": {"maxReplicas": most},
        "status": {"conditions": list(conditions)},
    }


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
LIMITED = {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas", "message": "more than 2"}
UNHEALTHY = {"reason": "Unhealthy", "message": "Readiness probe failed: HTTP 503", "involvedObject": {"uid": "p"}}
FAILURE = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: mem"}
REPLICA_SET = {"kind": "ReplicaSet", "metadata": {"name": "web-2", "uid": "r"}, "status": {"conditions": [FAILURE]}}
RUNNING = {"ready": False, "state": {"running": {"startedAt": "2027-01-15T08:00:00Z"}}}

CLUES: dict[str, tuple[Scene, str, str]] = {
    "an image that does not exist": (seen(pod(waiting("ImagePullBackOff"))), "image-pull", "cannot pull app:2"),
    "an image of an init container": (seen(pod(init=waiting("ErrImagePull"))), "image-pull", "cannot pull app:2"),
    "a crash": (seen(pod(ended(1))), "crash-loop", "exits with 1, 3 restarts"),
    "too little memory": (seen(pod(ended(137, "OOMKilled"))), "crash-loop", "ran out of memory (OOMKilled)"),
    "a crash that just happened": (
        seen(pod({"ready": False, "restartCount": 0, "state": {"terminated": {"exitCode": 2}}})),
        "crash-loop",
        "exits with 2",
    ),
    "a pod that is not ready": (seen(pod(RUNNING), events=[UNHEALTHY]), "unready", "readiness probe fails: HTTP 503"),
    "an init container that runs": (seen(pod(init=RUNNING)), "init-waiting", "migrate"),
    "a missing ConfigMap": (
        seen(pod(waiting("CreateContainerConfigError", 'configmap "web" not found'))),
        "config-missing",
        'configmap "web" not found',
    ),
    "no node": (
        seen(pod(conditions=[{**UNSCHEDULED, "message": "0/1 nodes are available"}])), "unschedulable", "0/1 nodes",
    ),
    "a missing claim": (
        seen(pod(conditions=[{**UNSCHEDULED, "message": 'persistentvolumeclaim "d" not found'}])),
        "config-missing",
        'persistentvolumeclaim "d"',
    ),
    "a quota": (seen(sets=[REPLICA_SET]), "pods-refused", "exceeded quota: mem"),
    "a paused target": (seen(obj=workload(paused=True)), "target-paused", "is paused"),
    "an autoscaler at its maximum": (seen(scaler=scaler(2, None, LIMITED)), "autoscaler-max", "its maximum of 2"),
    "a client that scales to zero": (
        seen(obj={**workload(), "spec": {"replicas": 0}, "metadata": {**workload()["metadata"], "managedFields": [
            {"manager": "night-saver", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        ]}}),
        "scaled-by-other", "scaled to 0 by night-saver",
    ),
    "a paused autoscaler": (
        seen(scaler=scaler(9, {"autoscaling.keda.sh/paused-replicas": "0"})), "autoscaler-paused", "paused-replicas=0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLUES.values(), ids=CLUES)
def test_a_clue(case: tuple[Scene, str, str]) -> None:
    """The first cause, in the object's words, with something to do."""
    where, code, words = case
    first = next(causes_of(where))
    assert first.code == code and words in first.text and first.todo


def test_what_a_probe_said() -> None:
    """The last message of the kubelet is the cause, and what the probe asks for is the evidence."""
    probe = {"httpGet": {"port": 9898, "path": "/readyz"}}
    asked = {**pod(RUNNING), "spec": {"containers": [{"name": "app", "readinessProbe": probe}]}}
    first = next(causes_of(seen(asked, events=[UNHEALTHY])))
    assert "its readiness probe fails: HTTP 503" in first.text
    assert first.evidence == ("its readiness probe asks :9898/readyz",)
    assert first.commands == ("kubectl logs web-1 -c app -n shop",)


QUIET: dict[str, Scene] = {
    "a ready pod": seen(pod({"ready": True, "restartCount": 0, "state": {"running": {}}})),
    "a pod that starts": seen(pod(waiting("ContainerCreating"))),
    "an autoscaler below its maximum": seen(scaler=scaler(9, None, LIMITED)),
    "an autoscaler that is not paused": seen(scaler=scaler(9, {"autoscaling.keda.sh/paused": "false"})),
    "no pods yet": seen(),
}


@pytest.mark.parametrize("where", QUIET.values(), ids=QUIET)
def test_no_clue(where: Scene) -> None:
    """Nothing is guessed."""
    assert list(causes_of(where)) == []


def test_the_first_to_remove_comes_first() -> None:
    """A paused target explains more than its old pods do."""
    found = [each.code for each in causes_of(seen(pod(ended(1)), obj=workload(paused=True)))]
    assert found == ["target-paused", "crash-loop"]
