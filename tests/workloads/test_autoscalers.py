"""The primary's autoscaler: a copy of the target's that scales the primary, and the registry of target kinds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from targets import canary

from pyflagger.api.facts import Fault, Problem
from pyflagger.objects import Create, Obj, Patch, merge_apply
from pyflagger.workloads import autoscalers, keda, registry
from pyflagger.workloads.autoscalers import primary_autoscaler
from pyflagger.workloads.deployment import Deployment
from pyflagger.workloads.options import WorkloadOptions

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
    writes = primary_autoscaler(canary(autoscalerRef={**REF, **ref}), of or scaler(), None, WorkloadOptions())
    assert isinstance(writes, tuple)
    (write,) = writes
    assert isinstance(write, Create)
    return write.obj


def mended(live: Obj, of: Obj | None = None, **ref: Any) -> Obj:
    """The primary's after a look."""
    args = canary(autoscalerRef={**REF, **ref}), of or scaler()
    writes = primary_autoscaler(*args, live, WorkloadOptions())
    assert isinstance(writes, tuple)
    for write in writes:
        assert isinstance(write, Patch)
        live = merge_apply(live, write.body)
    assert primary_autoscaler(*args, live, WorkloadOptions()) == ()
    return live


def test_it_scales_the_primary() -> None:
    """Everything else is the target's."""
    primary = made()
    assert primary["metadata"]["name"] == "web-primary"
    assert primary["metadata"]["labels"] == {}
    assert primary["metadata"]["annotations"] == {"flagger.app/autoscaler-bounds": "2-6"}
    assert primary["spec"]["scaleTargetRef"]["name"] == "web-primary"
    assert primary["spec"] == {**scaler()["spec"], "scaleTargetRef": primary["spec"]["scaleTargetRef"]}
    assert scaler()["spec"]["scaleTargetRef"]["name"] == "web"


def test_no_autoscaler_is_named() -> None:
    """Nothing to do."""
    assert primary_autoscaler(canary(), scaler(), None, WorkloadOptions()) == ()


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


@pytest.mark.parametrize(
    ("kind", "own", "theirs"),
    [
        ("HorizontalPodAutoscaler", {"minReplicas": 7}, {}),
        ("HorizontalPodAutoscaler", {"maxReplicas": 1}, {}),
        ("ScaledObject", {"maxReplicas": 1}, {"minReplicaCount": 2}),
        ("ScaledObject", {"minReplicas": 101}, {"minReplicaCount": None, "maxReplicaCount": None}),
    ],
)
def test_bounds_that_cross_those_of_the_target(kind: str, own: Obj, theirs: Obj) -> None:
    """No API server accepts them: the primary would have no autoscaler, and a later change would fail for ever."""
    fine, of = {"minReplicas": 2, "maxReplicas": 200}, scaler() if kind == REF["kind"] else scaled()
    of = merge_apply(of, {"spec": theirs})
    ref = {**REF, "kind": kind}
    live = (
        made(scaler(), primaryScalerReplicas=fine) if kind == REF["kind"] else keda_made(of, primaryScalerReplicas=fine)
    )
    wrong = canary(autoscalerRef={**ref, "primaryScalerReplicas": own})
    told = primary_autoscaler(wrong, of, None, WorkloadOptions())
    assert isinstance(told, Problem) and told.path == "spec.autoscalerRef.primaryScalerReplicas"
    assert f"{kind} web result in a minimum of" in told.text and told.todo
    assert autoscalers.bounds(wrong, of, live) == ()


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
    found = primary_autoscaler(canary(autoscalerRef=REF), None, None, WorkloadOptions())
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST
    assert found.path == "spec.autoscalerRef.name" and "web.test get query error" in found.text and found.todo


def test_a_kind_that_nobody_knows() -> None:
    """With the known ones."""
    found = primary_autoscaler(
        canary(autoscalerRef={**REF, "kind": "VerticalPodAutoscaler"}), scaler(), None, WorkloadOptions()
    )
    assert isinstance(found, Problem) and "HorizontalPodAutoscaler" in found.todo


# ScaledObjects ------------------------------------------------------------------------------------------------------

NONE, EVERY = WorkloadOptions(), WorkloadOptions(include_label_prefix=("*",))
KEDA_REF = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web"}


def scaled(annotations: Any = None, **spec: Any) -> Obj:
    """The target's ScaledObject."""
    load = {
        "type": "prometheus",
        "name": "load",
        "metadata": {"query": 'sum(rate(x{app="web"}[1m]))', "threshold": "5"},
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "web", "namespace": "test", "annotations": annotations or {}, "labels": {"a": "b"}},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "minReplicaCount": 2,
            "newField": {"x": 1},
            "triggers": [load],
            **spec,
        },
    }


def keda_made(of: Obj, options: WorkloadOptions = NONE, **ref: Any) -> Obj:
    """The primary's."""
    writes = primary_autoscaler(canary(autoscalerRef={**KEDA_REF, **ref}), of, None, options)
    assert isinstance(writes, tuple) and isinstance(writes[0], Create)
    return writes[0].obj


def test_a_scaled_object_scales_the_primary() -> None:
    """Its query is about the primary, fields that we do not know go along, names that would clash are changed."""
    config = {"horizontalPodAutoscalerConfig": {"name": "mine"}}
    made = keda_made(scaled(advanced=config), primaryScalerReplicas={"minReplicas": 3, "maxReplicas": 9})
    spec = made["spec"]
    assert made["metadata"]["name"] == "web-primary" and spec["scaleTargetRef"] == {"name": "web-primary"}
    assert spec["triggers"][0]["metadata"] == {"query": 'sum(rate(x{app="web-primary"}[1m]))', "threshold": "5"}
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["name"] == "mine-primary"
    assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["newField"]) == (3, 9, {"x": 1})


QUERIES = {
    "app=web": "app=web-primary",
    "web-canary": "web-primary",
    "web-primary": "web-primary",
    "web-worker": "web-worker",
    "my-web": "my-web",
    "web_requests_total": "web_requests_total",
    'pod=~"web-[0-9a-z]+-.*"': 'pod=~"web-primary-[0-9a-z]+-.*"',
    "web.test.svc, web-canary.test": "web-primary.test.svc, web-primary.test",
    "website": "website",
}


@pytest.mark.parametrize("query", QUERIES)
def test_words_of_a_query(query: str) -> None:
    """Only the target's name as a word of its own is changed, and changing twice changes nothing more."""
    assert keda.repointed(query, "web") == QUERIES[query]
    assert keda.repointed(QUERIES[query], "web") == QUERIES[query]


def test_queries_of_its_own() -> None:
    """By the trigger's name; one that no trigger has is told."""
    made = keda_made(scaled(), primaryScalerQueries={"load": "vector(7)"})
    assert made["spec"]["triggers"][0]["metadata"]["query"] == "vector(7)"
    ref = {**KEDA_REF, "primaryScalerQueries": {"laod": "vector(7)"}}
    found = primary_autoscaler(canary(autoscalerRef=ref), scaled(), None, WorkloadOptions())
    assert isinstance(found, Problem) and "laod" in found.text


PAUSED = {"autoscaling.keda.sh/paused-replicas": "0", "autoscaling.keda.sh/paused": "true"}


def test_a_pause_is_never_inherited() -> None:
    """Neither at creation nor by a primary that is there: such a one is freed first, at any time."""
    carried, mark = {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}, {"flagger.app/autoscaler-bounds": "2-"}
    assert keda_made(scaled({**PAUSED, **carried, "z": "y"}))["metadata"]["annotations"] == carried | mark
    made = keda_made(scaled({**PAUSED, "z": "y"}), EVERY)
    assert made["metadata"]["annotations"] == {"z": "y"} | mark
    stuck = merge_apply(made, {"metadata": {"annotations": {**PAUSED, "flagger.app/autoscaler-bounds": None}}})
    args = canary(autoscalerRef=KEDA_REF), scaled(PAUSED)
    assert autoscalers.stuck(stuck) and not autoscalers.stuck(made)
    (patch,) = primary_autoscaler(*args, stuck, WorkloadOptions())
    assert isinstance(patch, Patch) and merge_apply(stuck, patch.body) == made


def test_a_pause_that_people_set_stays() -> None:
    """On an autoscaler that flagger made or updated it cannot be inherited. It is told, with what to do."""
    paused = merge_apply(keda_made(scaled()), {"metadata": {"annotations": PAUSED}})
    args = canary(autoscalerRef=KEDA_REF), scaled()
    assert autoscalers.stuck(paused) == () and primary_autoscaler(*args, paused, WorkloadOptions()) == ()
    (told,) = autoscalers.noticed(*args, paused)
    assert "ScaledObject web-primary.test has autoscaling.keda.sh/paused, autoscaling.keda.sh/paused-rep" in told.text
    assert "Remove the annotation" in told.todo and autoscalers.noticed(*args, keda_made(scaled())) == ()
    assert autoscalers.noticed(*args, None) == ()


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_new_bounds_are_followed_at_once(kind: str) -> None:
    """They alone, once; not over what people set in the primary's, unless the target's change again."""
    hpa = kind == "HorizontalPodAutoscaler"
    low, high = ("minReplicas", "maxReplicas") if hpa else ("minReplicaCount", "maxReplicaCount")
    of, source = canary(autoscalerRef=REF if hpa else KEDA_REF), scaler if hpa else scaled
    live = made() if hpa else keda_made(scaled())
    assert autoscalers.bounds(of, source(), live) == ()
    more: Obj = {"behavior" if hpa else "advanced": {"scaleDown": {}}}
    new = source(**{low: 3, high: 8}, **more)
    (patch,) = autoscalers.bounds(of, new, live)
    assert patch.body["spec"] == {low: 3, high: 8}
    assert f"{low} 2 → 3" in autoscalers.edited(live, (patch,))
    live = merge_apply(live, patch.body)
    assert autoscalers.bounds(of, new, live) == ()
    edited = merge_apply(live, {"spec": {high: 50}})
    assert autoscalers.bounds(of, new, edited) == (), "people raised it, and nobody changed the target's"
    (patch,) = autoscalers.bounds(of, source(**{low: 3, high: 9}), edited)
    assert patch.body["spec"] == {high: 9}


def test_bounds_of_one_that_the_reference_made() -> None:
    """Nobody knows what it was given: the target's are followed."""
    of = canary(autoscalerRef=REF)
    live = merge_apply(made(), {"metadata": {"annotations": None}})
    assert autoscalers.bounds(of, scaler(), live) == ()
    (patch,) = autoscalers.bounds(of, scaler(minReplicas=None), live)
    assert patch.body["spec"] == {"minReplicas": None}, "which is 1"
    assert autoscalers.bounds(of, scaler(minReplicas=None), merge_apply(live, patch.body)) == ()
    unknown = canary(autoscalerRef={**REF, "kind": "VerticalPodAutoscaler"})
    assert autoscalers.bounds(canary(), scaler(), live) == autoscalers.bounds(of, None, live) == ()
    assert autoscalers.bounds(unknown, scaler(), live) == () and autoscalers.edited(None, ()) == ""


def test_an_autoscaler_of_something_else() -> None:
    """Its copy scales the primary all the same, and it is told."""
    other = scaler(scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"})
    (told,) = autoscalers.noticed(canary(autoscalerRef=REF), other, None)
    assert "web.test scales shop, not web" in told.text and told.path == "spec.autoscalerRef.name"
    assert autoscalers.noticed(canary(autoscalerRef=REF), scaler(), None) == ()


@pytest.mark.parametrize("version", ["autoscaling/v2", "autoscaling/v2beta2", "autoscaling/v1"])
def test_older_versions_in_the_reference(version: str) -> None:
    """The version that is served is written, whatever the Canary says."""
    assert made(apiVersion=version)["apiVersion"] == "autoscaling/v2"


def test_pausing_and_resuming() -> None:
    """One annotation; nothing where it is so already, or where the kind rests by itself."""
    awake, asleep = scaled({"mine": "1"}), scaled({"mine": "1", "autoscaling.keda.sh/paused-replicas": "0"})
    assert (autoscalers.paused(awake), autoscalers.paused(asleep)) == (False, True)
    for before, after, wanted in ((awake, asleep, True), (asleep, awake, False)):
        (patch,) = autoscalers.pause(before, wanted)
        assert isinstance(patch, Patch) and merge_apply(before, patch.body) == after
        assert autoscalers.pause(after, wanted) == ()
    for other in (None, scaler()):
        assert autoscalers.paused(other) is None and autoscalers.pause(other, True) == ()


FLOORS: dict[str, tuple[Obj | None, int]] = {
    "none": (None, 0),
    "an HPA": (scaler(), 2),
    "an HPA that says nothing": ({**scaler(), "spec": {}}, 1),
    "a ScaledObject": (scaled(), 2),
    "one that may idle": (scaled(idleReplicaCount=0), 0),
    "one that says nothing": (scaled(minReplicaCount=None), 0),
}


@pytest.mark.parametrize("case", FLOORS)
def test_a_primary_under_its_floor_is_not_ready(case: str) -> None:
    """Whatever its Deployment says of itself."""
    scaling, least = FLOORS[case]
    primary = {"metadata": {"name": "web-primary", "namespace": "test"}, "spec": {"replicas": 0}}
    for there in range(4):
        found = autoscalers.floor(canary(), {**primary, "status": {"availableReplicas": there}}, scaling, 0)
        assert found.ready is (there >= least)
        assert found.ready or f"{there} of at least {least} replicas" in found.text


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
