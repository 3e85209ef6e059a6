"""The primary's autoscaler: a copy of the target's that scales the primary, and the registry of target kinds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from targets import canary

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Create, Obj, Patch, merge_apply
from pyflagger.workloads import registry
from pyflagger.workloads.autoscalers import primary_autoscaler
from pyflagger.workloads.deployment import Deployment
from pyflagger.workloads.options import Options

REF = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}


def scaler(**spec: Any) -> Obj:
    """The target's autoscaler."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "test", "labels": {"a": "b", "kustomize.toolkit.fluxcd.io/name": "x"}},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 6,
            "metrics": [CPU],
            **spec,
        },
    }


def made(of: Obj | None = None, **ref: Any) -> Obj:
    """The primary's."""
    writes = primary_autoscaler(canary(autoscalerRef={**REF, **ref}), of or scaler(), None, Options())
    assert isinstance(writes, tuple)
    (write,) = writes
    assert isinstance(write, Create)
    return write.obj


def mended(live: Obj, of: Obj | None = None, **ref: Any) -> Obj:
    """The primary's after a look."""
    args = canary(autoscalerRef={**REF, **ref}), of or scaler()
    writes = primary_autoscaler(*args, live, Options())
    assert isinstance(writes, tuple)
    for write in writes:
        assert isinstance(write, Patch)
        live = merge_apply(live, write.body)
    assert primary_autoscaler(*args, live, Options()) == ()
    return live


def test_it_scales_the_primary() -> None:
    """Everything else is the target's."""
    primary = made()
    assert primary["metadata"]["name"] == "web-primary"
    assert primary["metadata"]["labels"] == {"a": "b"}
    assert primary["spec"]["scaleTargetRef"]["name"] == "web-primary"
    assert primary["spec"] == {**scaler()["spec"], "scaleTargetRef": primary["spec"]["scaleTargetRef"]}
    assert scaler()["spec"]["scaleTargetRef"]["name"] == "web"


def test_no_autoscaler_is_named() -> None:
    """Nothing to do."""
    assert primary_autoscaler(canary(), scaler(), None, Options()) == ()


def test_bounds_of_its_own() -> None:
    """primaryScalerReplicas wins over the target's."""
    spec = made(primaryScalerReplicas={"minReplicas": 4, "maxReplicas": 40})["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (4, 40)
    assert made(primaryScalerReplicas={"maxReplicas": 40})["spec"]["minReplicas"] == 2


CHANGES: dict[str, Any] = {
    "a bound": {"maxReplicas": 12},
    "a metric": {"metrics": [{**CPU, "type": "Pods"}]},
    "a behaviour": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_changes_are_followed(what: str) -> None:
    """Once; back again, too."""
    before = made()
    after = mended(copy.deepcopy(before), scaler(**CHANGES[what]))
    assert {key: after["spec"][key] for key in CHANGES[what]} == CHANGES[what]
    assert mended(after)["spec"] == before["spec"]


def test_what_the_server_filled_in_stays() -> None:
    """Defaults are not drift."""
    live = made()
    live["spec"]["serverDefault"] = "x"
    assert mended(live)["spec"]["serverDefault"] == "x"


def test_one_that_is_missing() -> None:
    """Told by its name and path."""
    found = primary_autoscaler(canary(autoscalerRef=REF), None, None, Options())
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST
    assert found.path == "spec.autoscalerRef.name" and "web.test get query error" in found.text and found.todo


def test_a_kind_that_nobody_knows() -> None:
    """With the known ones."""
    found = primary_autoscaler(
        canary(autoscalerRef={**REF, "kind": "VerticalPodAutoscaler"}), scaler(), None, Options()
    )
    assert isinstance(found, Problem) and "HorizontalPodAutoscaler" in found.todo


# Kinds of targets ---------------------------------------------------------------------------------------------------


def test_the_known_kinds() -> None:
    """By group, version and kind."""
    assert isinstance(registry.workload_for(canary().spec.target_ref), Deployment)


@pytest.mark.parametrize(
    "version, kind", [("apps/v1", "StatefulSet"), ("apps/v1beta1", "Deployment"), ("v1", "Pod"), ("", "Deployment")]
)
def test_an_unknown_kind_is_refused(version: str, kind: str) -> None:
    """With the known ones; never taken for a Deployment."""
    ref = canary().spec.target_ref.model_copy(update={"api_version": version, "kind": kind})
    found = registry.workload_for(ref)
    assert isinstance(found, Problem) and found.path == "spec.targetRef"
    assert kind in found.text and "Deployment (apps/v1)" in found.todo
