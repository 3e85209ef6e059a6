"""Deployments as targets: the primary that is built, when it matches, what promotion writes, and what is given back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from targets import POD, canary, images, target

from pyflagger.api.facts import Fault, Problem
from pyflagger.api.selectors import Selector
from pyflagger.objects import Obj, Patch, merge_apply
from pyflagger.workloads.base import Workload
from pyflagger.workloads.configs import NOTHING, ConfigRef, Tracked
from pyflagger.workloads.deployment import Deployment
from pyflagger.workloads.options import WorkloadOptions

KIND, OPTIONS = Deployment(), WorkloadOptions()
TRACKED = Tracked({"configmap/env-map": ConfigRef("ConfigMap", "env-map", False)}, {})


def built(of: Obj | None = None, tracked: Tracked = NOTHING, options: WorkloadOptions = OPTIONS, **spec: Any) -> Obj:
    """The primary of a target."""
    found = KIND.build_primary(canary(**spec), of or target(), tracked, options, "mark-1")
    assert not isinstance(found, Problem), found.text
    return found


def promoted(of: Obj, primary: Obj, tracked: Tracked = NOTHING, **spec: Any) -> Obj:
    """The primary after a promotion."""
    writes = KIND.promote(canary(**spec), of, primary, tracked, OPTIONS, "mark-2")
    assert not isinstance(writes, Problem), writes.text
    (patch,) = writes
    assert isinstance(patch, Patch) and patch.resource_version == primary["metadata"].get("resourceVersion", "")
    return merge_apply(primary, patch.body)


def pod(of: Obj) -> Obj:
    """The pod spec of a workload."""
    spec: Obj = of["spec"]["template"]["spec"]
    return spec


def test_it_is_a_workload() -> None:
    """What the registry demands."""
    assert isinstance(KIND, Workload) and KIND.scalable


# Selecting ----------------------------------------------------------------------------------------------------------

SELECTORS: dict[str, tuple[dict[str, Any] | None, tuple[str, str] | None]] = {
    "app": ({"app": "web"}, ("app", "web")),
    "name": ({"name": "shop"}, ("name", "shop")),
    "the recommended label": ({"app.kubernetes.io/name": "x"}, ("app.kubernetes.io/name", "x")),
    "the first of several": ({"name": "b", "app": "a"}, ("app", "a")),
    "another one": ({"service": "web"}, None),
    "none": ({}, None),
    "no selector": (None, None),
}


@pytest.mark.parametrize("case", SELECTORS)
def test_the_label_that_selects(case: str) -> None:
    """In the order of -selector-labels; without one there is a problem that names them."""
    labels, wanted = SELECTORS[case]
    of = target()
    of["spec"]["selector"] = {"matchLabels": labels} if labels is not None else {}
    found = KIND.selector(canary(), of, None, OPTIONS)
    if wanted:
        assert isinstance(found, Selector) and (found.label, found.canary[found.label]) == wanted
        assert found.canary == labels and found.primary == {**found.canary, wanted[0]: f"{wanted[1]}-primary"}
        return
    assert isinstance(found, Problem) and found.fault is Fault.MANIFEST
    assert "deployment web.test spec.selector.matchLabels must contain one of" in found.text
    assert "[app name app.kubernetes.io/name]" in found.text and "-selector-labels" in found.todo
    assert isinstance(KIND.build_primary(canary(), of, NOTHING, OPTIONS, "x"), Problem)
    assert isinstance(KIND.promote(canary(), of, target(), NOTHING, OPTIONS, "x"), Problem)
    assert not KIND.matches(canary(), of, target(), NOTHING, OPTIONS)


def test_labels_of_ones_own() -> None:
    """As -selector-labels says."""
    of = target(spec={"selector": {"matchLabels": {"service": "web"}}})
    found = KIND.selector(canary(), of, None, WorkloadOptions(selector_labels=("service",)))
    assert isinstance(found, Selector) and (found.label, found.canary) == ("service", {"app": "web", "service": "web"})


# The primary --------------------------------------------------------------------------------------------------------


def test_the_primary_selects_its_own_pods() -> None:
    """And only these: two workloads that claim the same pods would fight."""
    primary = built()
    assert primary["metadata"]["name"] == "web-primary" and primary["metadata"]["namespace"] == "test"
    assert primary["spec"]["selector"] == {"matchLabels": {"app": "web-primary"}}
    assert primary["spec"]["template"]["metadata"]["labels"] == {"app": "web-primary", "team": "a"}
    assert primary["spec"]["replicas"] == 3
    (owner,) = primary["metadata"]["ownerReferences"]
    assert owner["kind"] == "Canary" and owner["controller"] is True


def test_the_pods_are_the_targets() -> None:
    """Everything in the pod spec, and a mark that makes the primary's pods restart."""
    primary = built()
    assert pod(primary) == POD
    assert primary["spec"]["template"]["metadata"]["annotations"] == {"flagger-id": "mark-1"}


def test_the_target_is_not_touched() -> None:
    """Rendering changes nothing of what it was given."""
    of = target()
    before = copy.deepcopy(of)
    primary = built(of, TRACKED)
    pod(primary)["containers"][0]["image"] = "changed"
    assert of == before


@pytest.mark.parametrize("replicas, wanted", [(3, 3), (1, 1), (0, 1), (None, 1)])
def test_how_many(replicas: int | None, wanted: int) -> None:
    """At least one: a target at zero serves nobody, its primary has to."""
    assert built(target(spec={"replicas": replicas}))["spec"]["replicas"] == wanted


def test_rollout_settings_are_copied() -> None:
    """They decide how the primary is replaced; what the target does not say is not said."""
    settings = {
        "progressDeadlineSeconds": 30,
        "minReadySeconds": 5,
        "revisionHistoryLimit": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    }
    assert {key: built(target(spec=settings))["spec"][key] for key in settings} == settings
    assert not set(settings) & set(built()["spec"])


def test_labels_and_annotations_by_prefix() -> None:
    """Those of the Deployment itself are left behind unless asked for; Flux's never go along."""
    meta = {
        "labels": {"team/name": "a", "other": "b", "kustomize.toolkit.fluxcd.io/name": "x"},
        "annotations": {"team/note": "c", "deployment.kubernetes.io/revision": "4"},
    }
    some = built(target(meta=meta), options=WorkloadOptions(include_label_prefix=("team/",)))["metadata"]
    assert some["labels"] == {"team/name": "a", "app": "web-primary"} and some["annotations"] == {"team/note": "c"}
    every = built(target(meta=meta), options=WorkloadOptions(include_label_prefix=("*",)))["metadata"]
    assert every["labels"] == {"team/name": "a", "other": "b", "app": "web-primary"}
    none = built(target(meta=meta))["metadata"]
    assert none["labels"] == {"app": "web-primary"} and none["annotations"] == {}


def test_flux_marks_are_not_copied_to_pods() -> None:
    """The copy is not Flux's."""
    marked = {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}, "annotations": {"a": "b"}}}
    meta = built(target(spec={"template": marked}))["spec"]["template"]["metadata"]
    assert meta["labels"] == {"app": "web-primary", "team": "a"}
    assert meta["annotations"] == {"a": "b", "flagger-id": "mark-1"}


def test_tracked_references_lead_to_the_copies() -> None:
    """Wherever they are; the ones that are not tracked stay."""
    kinds = {"map": "ConfigMap", "secret": "Secret"}
    every = {
        f"{kinds[name.rpartition('-')[2]].lower()}/{name}": ConfigRef(kinds[name.rpartition("-")[2]], name, False)
        for name in ("env-map", "env-secret", "from-map", "volume-map", "volume-secret", "projected-map")
    }
    rendered = pod(built(tracked=Tracked(every, {})))
    env = rendered["containers"][0]["env"]
    assert env[1]["valueFrom"]["configMapKeyRef"]["name"] == "env-map-primary"
    assert env[2]["valueFrom"]["secretKeyRef"]["name"] == "env-secret-primary"
    assert rendered["containers"][0]["envFrom"][0]["configMapRef"]["name"] == "from-map-primary"
    assert rendered["volumes"][0]["configMap"]["name"] == "volume-map-primary"
    assert rendered["volumes"][1]["secret"]["secretName"] == "volume-secret-primary"
    sources = rendered["volumes"][2]["projected"]["sources"]
    assert sources[0]["configMap"]["name"] == "projected-map-primary"
    assert sources[1]["secret"]["name"] == "projected-secret", "not tracked"
    assert rendered["initContainers"][0]["envFrom"][0]["secretRef"]["name"] == "init-secret", "not tracked"


def test_affinity_to_oneself() -> None:
    """Spreading the target's pods means spreading the primary's; what is about others stays."""
    own = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
    listed = {"labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}}
    other = {"labelSelector": {"matchLabels": {"app": "db", "team": "web"}}}
    spec = {
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [own, listed],
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": own}],
            },
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [other]},
        },
        "topologySpreadConstraints": [{"maxSkew": 1, **own}, {"maxSkew": 1}],
    }
    rendered = pod(built(target(spec={"template": {"spec": spec}})))
    anti = rendered["affinity"]["podAntiAffinity"]
    required = anti["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required[0]["labelSelector"]["matchLabels"] == {"app": "web-primary"}
    assert required[1]["labelSelector"]["matchExpressions"][0]["values"] == ["web-primary", "db"]
    preferred = anti["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]
    assert preferred["labelSelector"]["matchLabels"] == {"app": "web-primary"}
    affine = rendered["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert affine == [other]
    assert rendered["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == {"app": "web-primary"}


# Matching and promoting ---------------------------------------------------------------------------------------------


def test_a_fresh_primary_matches() -> None:
    """With or without the mark, with configs or without."""
    of = target()
    for tracked in (NOTHING, TRACKED):
        primary = built(of, tracked)
        assert KIND.matches(canary(), of, primary, tracked, OPTIONS)
        del primary["spec"]["template"]["metadata"]["annotations"]["flagger-id"]
        assert KIND.matches(canary(), of, primary, tracked, OPTIONS)
    assert not KIND.matches(canary(), of, built(of), TRACKED, OPTIONS)


CHANGES: dict[str, Any] = {
    "an image": images("web:2"),
    "a label of pods": {"template": {"metadata": {"labels": {"team": "b"}}}},
    "an annotation of pods": {"template": {"metadata": {"annotations": {"x": "y"}}}},
    "a service account": {"template": {"spec": {"serviceAccountName": "other"}}},
    "a volume less": {"template": {"spec": {"volumes": []}}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_does_not_match_until_it_is_promoted(what: str) -> None:
    """And promoting it makes it match; doing so twice changes the mark alone."""
    primary = {**built(), "metadata": {**built()["metadata"], "resourceVersion": "12"}}
    changed = target(spec=CHANGES[what])
    assert not KIND.matches(canary(), changed, primary, NOTHING, OPTIONS)
    assert KIND.revision(changed) != KIND.revision(target())
    after = promoted(changed, primary)
    assert KIND.matches(canary(), changed, after, NOTHING, OPTIONS)
    assert after["spec"]["template"]["metadata"]["annotations"]["flagger-id"] == "mark-2"
    assert promoted(changed, after) == after
    assert after["spec"]["selector"] == primary["spec"]["selector"], "a selector cannot be changed"


def test_promotion_keeps_what_others_set() -> None:
    """Labels and annotations of the primary that are not ours, and fields that the server filled in."""
    primary = built()
    primary["metadata"]["labels"]["cost-centre"] = "4"
    primary["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "9"
    primary["spec"]["paused"] = False
    after = promoted(target(spec=images("web:2")), primary)
    assert after["metadata"]["labels"]["cost-centre"] == "4"
    assert after["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "9"
    assert after["spec"]["paused"] is False


@pytest.mark.parametrize(
    "replicas, autoscaled, wanted",
    [(5, False, 5), (0, False, 3), (5, True, 3)],
)
def test_how_many_after_a_promotion(replicas: int, autoscaled: bool, wanted: int) -> None:
    """As many as the target has, unless it sleeps or an autoscaler decides."""
    spec: dict[str, Any] = {}
    if autoscaled:
        scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}
        spec = {"autoscalerRef": scaler}
    after = promoted(target(spec={"replicas": replicas}), built(), **spec)
    assert after["spec"]["replicas"] == wanted


@pytest.mark.parametrize(
    "owners",
    [
        [],
        [{"kind": "Canary", "name": "other", "controller": True}],
        [{"kind": "ReplicaSet", "name": "web", "controller": True}],
        [{"kind": "Canary", "name": "web", "controller": False}],
    ],
)
def test_a_primary_of_somebody_else(owners: list[Any]) -> None:
    """It is never overwritten."""
    primary = built()
    primary["metadata"]["ownerReferences"] = owners
    found = KIND.promote(canary(), target(), primary, NOTHING, OPTIONS, "x")
    assert isinstance(found, Problem) and "deployment web-primary.test exists" in found.text
    assert "Rename or delete" in found.todo


# Revisions ----------------------------------------------------------------------------------------------------------


def test_a_revision_is_about_pods_alone() -> None:
    """Replicas, labels of the Deployment, its status: none of them is a release."""
    same = KIND.revision(target())
    assert same.startswith("v1:") and len(same) == 19
    assert KIND.revision(target(spec={"replicas": 9, "minReadySeconds": 3}, meta={"labels": {"x": "y"}})) == same
    assert KIND.revision({**target(), "status": {"replicas": 3}}) == same


def test_a_revision_does_not_depend_on_how_nothing_is_written() -> None:
    """null, {} and [] are what a client or a server may write for what is not there."""
    pods = copy.deepcopy(POD) | {"nodeSelector": {}, "tolerations": [], "securityContext": None}
    assert KIND.revision(target(spec={"template": {"spec": pods}})) == KIND.revision(target())


@given(st.permutations(list(POD)))
def test_a_revision_does_not_depend_on_the_order_of_keys(order: list[str]) -> None:
    """JSON objects have none."""
    of = target()
    of["spec"]["template"]["spec"] = {key: POD[key] for key in order}
    assert KIND.revision(of) == KIND.revision(target())


def test_a_target_that_is_hardly_one() -> None:
    """Nothing breaks on an object that lacks everything."""
    bare: Obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": None}
    assert KIND.revision(bare) == KIND.revision({**bare, "spec": {}})
    assert KIND.config_refs(bare) == () and KIND.ports(canary(), bare) == ()
    assert not KIND.at_zero(bare)
    assert isinstance(KIND.selector(canary(), bare, None, OPTIONS), Problem)


# Scale --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec, zero", [({"replicas": 0}, True), ({"replicas": 1}, False), ({"replicas": None}, False)])
def test_at_zero(spec: Any, zero: bool) -> None:
    """Nothing said means one."""
    assert KIND.at_zero(target(spec=spec)) is zero


@pytest.mark.parametrize("replicas, wanted", [(None, 0), (0, 0), (3, 3)])
def test_scaling(replicas: int | None, wanted: int) -> None:
    """One patch of one field, without a version: the latest word counts."""
    (patch,) = KIND.scale(target(), replicas)
    assert isinstance(patch, Patch) and patch.body == {"spec": {"replicas": wanted}} and not patch.resource_version


SCALER = {"autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}}
RESTORED: dict[str, tuple[int | None, dict[str, Any], Any, Any, int]] = {
    "its own count": (2, {}, {"replicas": 5}, None, 2),
    "nothing said": (None, {}, {"replicas": 5}, None, 1),
    "at zero: the primary's": (0, {}, {"replicas": 5}, None, 5),
    "at zero without a primary": (0, {}, None, None, 1),
    "at zero, primary at zero": (0, {}, {"replicas": 0}, None, 1),
    "autoscaled: the minimum": (0, SCALER, {"replicas": 5}, {"minReplicas": 2}, 2),
    "autoscaled without a minimum": (0, SCALER, {"replicas": 5}, {}, 1),
    "autoscaled by one that is gone": (0, SCALER, {"replicas": 5}, None, 5),
    "autoscaled from zero": (0, SCALER, {"replicas": 5}, {"minReplicas": 0}, 1),
}


@pytest.mark.parametrize("case", RESTORED)
def test_how_many_to_wake_up_with(case: str) -> None:
    """Never zero."""
    own, spec, primary, scaler, wanted = RESTORED[case]
    live = {"metadata": {}, "spec": primary} if primary is not None else None
    scaling = {"metadata": {}, "spec": scaler} if scaler is not None else None
    assert KIND.restored_replicas(canary(**spec), target(spec={"replicas": own}), live, scaling) == wanted


@pytest.mark.parametrize("own, primary, wanted", [(0, 4, 4), (4, 4, None), (2, 4, 4), (0, None, 1)])
def test_giving_back(own: int, primary: int | None, wanted: int | None) -> None:
    """As many as the primary has: whoever deletes the Canary keeps serving."""
    live = {"metadata": {}, "spec": {"replicas": primary}} if primary is not None else None
    writes = KIND.restore(canary(), target(spec={"replicas": own}), live, None)
    assert [write.body["spec"]["replicas"] for write in writes if isinstance(write, Patch)] == (
        [] if wanted is None else [wanted]
    )


# Ports --------------------------------------------------------------------------------------------------------------

EXTRA = {"name": "metrics", "containerPort": 9090}
PORTS: dict[str, tuple[list[Any], dict[str, Any], list[tuple[str, int, str]]]] = {
    "off": ([EXTRA], {"portDiscovery": False}, []),
    "the main one is left out": ([], {}, []),
    "by number": ([EXTRA], {}, [("metrics", 9090, "TCP")]),
    "by name": ([EXTRA], {"targetPort": "http"}, [("metrics", 9090, "TCP")]),
    "without a name": ([{"containerPort": 9090}], {}, [("tcp-web-1", 9090, "TCP")]),
    "twice the same": ([EXTRA, {**EXTRA, "name": "again"}], {}, [("metrics", 9090, "TCP")]),
    "another protocol": (
        [EXTRA, {**EXTRA, "name": "dns", "protocol": "UDP"}],
        {},
        [("metrics", 9090, "TCP"), ("dns", 9090, "UDP")],
    ),
    "a name that is taken": (
        [{"name": "http", "containerPort": 9090}],
        {"targetPort": 8080},
        [("http-9090", 9090, "TCP")],
    ),
    "the service's port": ([{"name": "x", "containerPort": 80}], {}, []),
    "no number": ([{"name": "x"}], {}, []),
}


@pytest.mark.parametrize("case", PORTS)
def test_discovered_ports(case: str) -> None:
    """Those of the containers, each once, under names that are unique."""
    extra, service, wanted = PORTS[case]
    of = target()
    pod(of)["containers"][0]["ports"] += extra
    found = KIND.ports(canary(service={"portDiscovery": True, **service}), of)
    assert [(port["name"], port["port"], port["protocol"]) for port in found] == wanted
    assert all(port["targetPort"] == port["port"] for port in found)


@pytest.mark.parametrize("proxy", ["istio-proxy", "linkerd-proxy", "envoy"])
def test_sidecars_are_not_served(proxy: str) -> None:
    """Their ports are the mesh's."""
    of = target()
    pod(of)["containers"].append({"name": proxy, "ports": [{"containerPort": 15090}]})
    assert KIND.ports(canary(service={"portDiscovery": True}), of) == ()


# Limits -------------------------------------------------------------------------------------------------------------


def test_a_label_has_room_for_the_suffix() -> None:
    """55 characters and -primary fit into a label's value; one more is told with path, limit and a way out."""
    of = target(spec={"selector": {"matchLabels": {"app": "a" * 55}}})
    assert isinstance(KIND.selector(canary(), of, None, OPTIONS), Selector)
    of["spec"]["selector"]["matchLabels"]["app"] = "a" * 56
    found = KIND.selector(canary(), of, None, OPTIONS)
    assert isinstance(found, Problem) and found.path == "spec.selector.matchLabels.app"
    assert "has 64 characters, the limit is 63" in found.text and "55 characters" in found.todo
