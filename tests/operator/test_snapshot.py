"""Which changes of a workload there is nothing to see in: the less is looked at, the more canaries one operator has."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger.operator.observe.compiled import CompiledCanary, compile_canary, settings_of
from pyflagger.operator.observe.memo import Memo
from pyflagger.operator.observe.snapshot import ROLLOUTS, Snapshot, snapshot
from pyflagger.operator.options import Options
from stage.manifests import canary

NOW = 1_700_000_000.0
SCALER = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web-primary"}, "spec": {"minReplicas": 3}}
TWO = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
READY: Obj = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "test", "uid": "1", "resourceVersion": "7", "generation": 4},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
    "status": {"observedGeneration": 4, **TWO},
}


def compiled(**spec: Any) -> CompiledCanary:
    """The plan of a canary of a Deployment."""
    manifest = canary("web", **spec)
    manifest["metadata"] |= {"namespace": "test", "uid": "u", "generation": 1}
    return compile_canary(manifest, None, settings_of(Options()))


def seen(obj: Obj, of: CompiledCanary, role: str = "canary", scaler: Obj | None = None) -> Snapshot:
    """What is shown of an object."""
    assert of.workload is not None
    live = {} if of.primary_autoscaler is None else {of.primary_autoscaler: scaler}
    return snapshot(of, of.workload, role, obj, live, NOW, Memo())


def changed(change: Callable[[Obj], object]) -> Obj:
    """The object, otherwise."""
    obj = copy.deepcopy(READY)
    obj["metadata"]["resourceVersion"] = "8"
    change(obj)
    return obj


@pytest.mark.parametrize(
    "change",
    [
        lambda obj: obj["status"].update(readyReplicas=1),
        lambda obj: obj["status"].update(conditions=[{"type": "Progressing", "status": "True", "message": "well"}]),
        lambda obj: obj["metadata"].update(annotations={ROLLOUTS: "3"}),
        lambda obj: obj["metadata"].update(generation=5) or obj["status"].update(observedGeneration=5),
    ],
    ids=["pods that count for nothing", "a condition that says nothing", "rollouts counted", "taken up at once"],
)
def test_what_changes_no_fact_shows_nothing(change: Callable[[Obj], object]) -> None:
    """Of the status only the readiness counts, and the controller's own note is status in all but name."""
    assert seen(changed(change), compiled()) == seen(READY, compiled())


@pytest.mark.parametrize(
    "change",
    [
        lambda obj: obj["status"].update(availableReplicas=1),
        lambda obj: obj["metadata"].update(generation=5),
        lambda obj: obj["spec"].update(replicas=3),
        lambda obj: obj["spec"]["template"]["spec"]["containers"][0].update(image="web:2"),
        lambda obj: obj["metadata"].update(labels={"team": "b"}),
        lambda obj: obj["metadata"].update(annotations={"team": "b"}),
        lambda obj: obj["metadata"].update(uid="2"),
        lambda obj: obj["spec"].update(paused=True),
    ],
    ids=["a pod lost", "not taken up", "scaled", "another image", "a label", "a note", "made anew", "a new field"],
)
def test_what_changes_a_fact_shows(change: Callable[[Obj], object]) -> None:
    """What a decision or a generated object may follow from is never passed over."""
    assert seen(changed(change), compiled()) != seen(READY, compiled())


def test_a_primary_has_the_pods_that_its_autoscaler_promises() -> None:
    """Fewer is not ready, and says so; the target's pods are no business of that autoscaler."""
    scaled = compiled(autoscalerRef={"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"})
    found = seen(READY, scaled, "primary", SCALER).readiness
    assert not found.ready and "2 of at least 3" in found.text
    assert seen(READY, scaled, "primary", None).readiness.ready
    assert seen(READY, scaled, "canary", SCALER).readiness.ready
