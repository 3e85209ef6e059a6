"""ReplicaSets, DaemonSets, EndpointSlices, autoscalers and the scheduler, as pure functions."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from controller_world import World, deployment, node

from pyflagger.api.durations import stamp
from pyflagger.objects import Create, Delete, Patch
from pyflagger_sandbox.controllers import endpoints, replicaset
from pyflagger_sandbox.controllers.pods import available_in, to_delete


def pod(name: str, *, ready_since: float | None = None, **status: Any) -> dict[str, Any]:
    """A pod as controllers see it."""
    conditions = (
        [] if ready_since is None else [{"type": "Ready", "status": "True", "lastTransitionTime": stamp(ready_since)}]
    )
    meta = {"name": name, "namespace": "test", "uid": f"uid-{name}", "labels": {"app": "web"}}
    body = {"phase": "Running", "conditions": conditions, "podIP": f"127.80.0.{len(name)}"} | status
    spec = {"nodeName": "n", "containers": [{"ports": [{"name": "http", "containerPort": 9898}]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": body}


def test_least_missed_pods_go_first() -> None:
    """Unscheduled, then pending, then unready, then cheap, then the youngest."""
    unscheduled, pending = pod("unscheduled", phase="Pending"), pod("pending", phase="Pending")
    del unscheduled["spec"]["nodeName"]
    cheap = pod("cheap", ready_since=100)
    cheap["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "-1"}
    unready, young, old = pod("unready"), pod("young", ready_since=900), pod("old", ready_since=100)
    restarted = pod("restarted", ready_since=100, containerStatuses=[{"restartCount": 3}])
    everything = [old, young, unready, cheap, pending, unscheduled, restarted]
    order = [entry["metadata"]["name"] for entry in to_delete(everything, 7)]
    assert order == ["unscheduled", "pending", "unready", "cheap", "young", "restarted", "old"]
    assert len(to_delete(everything, 2)) == 2


@pytest.mark.parametrize(
    ("since", "min_ready", "wanted"), [(None, 0, None), (100.0, 0, 0.0), (100.0, 5, 3.0), (90.0, 5, 0.0)]
)
def test_availability(since: float | None, min_ready: int, wanted: float | None) -> None:
    """Ready for as long as asked, or how many seconds are missing."""
    assert available_in(pod("a", ready_since=since), min_ready, 102.0) == wanted


def a_replicaset(replicas: int) -> dict[str, Any]:
    """A ReplicaSet with an empty status."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    meta = {"name": "web-1", "namespace": "test", "uid": "u", "generation": 3}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec}


def test_replicaset_makes_what_is_missing() -> None:
    """Two more pods, named after it, owned by it; finished and leaving pods do not count."""
    leaving = pod("leaving", ready_since=1)
    leaving["metadata"]["deletionTimestamp"] = stamp(1)
    pods = [pod("a", ready_since=1), leaving, pod("done", phase="Succeeded")]
    outcome = replicaset.reconcile(a_replicaset(3), pods, 10.0)
    made = [write.obj for write in outcome.writes if isinstance(write, Create)]
    assert [obj["metadata"]["generateName"] for obj in made] == ["web-1-", "web-1-"]
    assert (
        made[0]["metadata"]["ownerReferences"][0] | {"uid": "u", "controller": True}
        == made[0]["metadata"]["ownerReferences"][0]
    )
    status = outcome.writes[-1]
    assert isinstance(status, Patch)
    assert status.body["status"]["replicas"] == 1
    assert not [write for write in outcome.writes if isinstance(write, Delete)]


def test_replicaset_deletes_the_surplus_and_then_rests() -> None:
    """One too many goes; with the right number and status nothing is written."""
    pods = [pod("a", ready_since=1), pod("b")]
    outcome = replicaset.reconcile(a_replicaset(1), pods, 10.0)
    assert [write.ref.name for write in outcome.writes if isinstance(write, Delete)] == ["b"]
    settled = a_replicaset(1)
    settled["status"] = {
        "replicas": 1,
        "fullyLabeledReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "observedGeneration": 3,
    }
    assert replicaset.reconcile(settled, [pod("a", ready_since=1)], 10.0).writes == ()


def daemonset(image: str = "agent:1", **spec: Any) -> dict[str, Any]:
    """A DaemonSet of one container."""
    pod_spec = {"containers": [{"name": "agent", "image": image}]} | spec.pop("pod", {})
    template = {"metadata": {"labels": {"name": "agent"}}, "spec": pod_spec}
    body = {"selector": {"matchLabels": {"name": "agent"}}, "template": template} | spec
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "test"},
        "spec": body,
    }


def daemon_images(world: World) -> list[tuple[str, str]]:
    """(node, image) of every pod."""
    found = [(entry["spec"]["nodeName"], entry["spec"]["containers"][0]["image"]) for entry in world.view.all("Pod")]
    return sorted(found)


def test_daemonset_has_a_pod_on_every_node() -> None:
    """One a node, and one more when a node joins."""
    world = World()
    world.add(daemonset())
    world.settle()
    assert daemon_images(world) == [("node-0", "agent:1"), ("node-1", "agent:1")]
    status = world.get("DaemonSet", "agent")["status"]
    assert status == {
        "currentNumberScheduled": 2,
        "desiredNumberScheduled": 2,
        "numberMisscheduled": 0,
        "numberReady": 2,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
        "observedGeneration": 1,
    }
    world.add(node("node-2"))
    world.settle()
    assert len(world.view.all("Pod")) == 3


def test_daemonset_rolls_one_node_at_a_time() -> None:
    """At most one node is without a useful pod; a broken image stops the update there."""
    world = World(nodes=3)
    world.add(daemonset())
    world.settle()
    world.patch("DaemonSet", "agent", {"spec": daemonset("agent:2")["spec"]})
    world.settle(lambda: _at_least(world, 2))
    assert {image for _, image in daemon_images(world)} == {"agent:2"}
    world.patch("DaemonSet", "agent", {"spec": daemonset("agent:broken")["spec"]})
    world.settle(lambda: _at_least(world, 2))
    assert sorted(image for _, image in daemon_images(world)) == ["agent:2", "agent:2", "agent:broken"]
    assert world.get("DaemonSet", "agent")["status"]["numberUnavailable"] == 1
    world.patch("DaemonSet", "agent", {"spec": daemonset("agent:3")["spec"]})
    world.settle()
    assert {image for _, image in daemon_images(world)} == {"agent:3"}


def _at_least(world: World, useful: int) -> None:
    ready = [
        entry
        for entry in world.view.all("Pod")
        if (entry.get("status") or {}).get("conditions", [{}])[0].get("status") == "True"
    ]
    assert len(ready) >= useful


def test_daemonset_scaled_away_by_its_node_selector() -> None:
    """A selector that no node has removes every pod; taking it off brings them back."""
    world = World()
    world.add(daemonset())
    world.settle()
    world.patch("DaemonSet", "agent", {"spec": {"template": {"spec": {"nodeSelector": {"no-such": "node"}}}}})
    world.settle()
    assert not world.view.all("Pod")
    assert world.get("DaemonSet", "agent")["status"]["desiredNumberScheduled"] == 0
    world.patch("DaemonSet", "agent", {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    world.settle()
    assert len(world.view.all("Pod")) == 2


def test_daemonset_on_delete_waits_for_hands() -> None:
    """With OnDelete no pod is replaced before somebody deletes it."""
    world = World()
    world.add(daemonset(updateStrategy={"type": "OnDelete"}))
    world.settle()
    world.patch("DaemonSet", "agent", {"spec": daemonset("agent:2")["spec"]})
    world.settle()
    assert {image for _, image in daemon_images(world)} == {"agent:1"}


def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A Service of the pods of `web`."""
    body = {
        "selector": {"app": "web"},
        "ports": list(ports) or [{"name": "http", "port": 80, "targetPort": "http"}],
    } | spec
    meta = {"name": "web", "namespace": "test", "uid": "svc"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": body}


def test_slice_of_a_service() -> None:
    """Addresses, the real port behind a name, conditions, the label that clients look for."""
    outcome = endpoints.reconcile(service(), [pod("a", ready_since=1), pod("bb")], [])
    (write,) = outcome.writes
    assert isinstance(write, Create)
    assert write.obj["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert write.obj["ports"] == [{"name": "http", "port": 9898, "protocol": "TCP"}]
    found = [(entry["addresses"], entry["conditions"]["ready"]) for entry in write.obj["endpoints"]]
    assert found == [(["127.80.0.1"], True), (["127.80.0.2"], False)]
    assert write.obj["endpoints"][0]["targetRef"] == {"kind": "Pod", "name": "a", "namespace": "test", "uid": "uid-a"}


@pytest.mark.parametrize(
    ("port", "wanted"),
    [
        ({"port": 80, "targetPort": 8080}, 8080),
        ({"port": 80}, 80),
        ({"port": 80, "targetPort": "http"}, 9898),
        ({"port": 80, "targetPort": "no-such"}, None),
    ],
)
def test_target_ports(port: dict[str, Any], wanted: int | None) -> None:
    """A number, the Service's own, a name of the pod, or nothing."""
    found = endpoints.ports_of(service(port), pod("a"))
    assert [entry["port"] for entry in found] == ([] if wanted is None else [wanted])


def test_a_leaving_pod_is_not_ready_but_serving() -> None:
    """Clients stop sending to it while it still answers."""
    leaving = pod("a", ready_since=1)
    leaving["metadata"]["deletionTimestamp"] = stamp(5)
    (write,) = endpoints.reconcile(service(), [leaving], []).writes
    assert isinstance(write, Create)
    assert write.obj["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_remapped_ports_have_slices_of_their_own() -> None:
    """Where ports differ from pod to pod each has a slice with its real ones, and old slices go."""
    one, other = pod("a", ready_since=1), pod("b", ready_since=1)
    one["metadata"]["annotations"] = {endpoints.PORTS_ANNOTATION: json.dumps({"9898": 40001})}
    other["metadata"]["annotations"] = {endpoints.PORTS_ANNOTATION: json.dumps({"9898": 40002})}
    created = [
        write.obj for write in endpoints.reconcile(service(), [one, other], []).writes if isinstance(write, Create)
    ]
    assert [piece["ports"][0]["port"] for piece in created] == [40001, 40002]
    after = endpoints.reconcile(service(), [one], created)
    assert [write.ref.name for write in after.writes if isinstance(write, Delete)] == [created[1]["metadata"]["name"]]


def test_slices_settle() -> None:
    """An unchanged Service with unchanged pods writes nothing; pods without an address do not count."""
    (write,) = endpoints.reconcile(service(), [pod("a", ready_since=1)], []).writes
    assert isinstance(write, Create)
    live = copy.deepcopy(write.obj)
    fresh = pod("new", podIP="")
    assert endpoints.reconcile(service(), [pod("a", ready_since=1), fresh], [live]).writes == ()


@pytest.mark.parametrize("selector", [None, {}])
def test_services_without_a_selector_are_left_alone(selector: dict[str, str] | None) -> None:
    """Whoever made such a Service looks after its endpoints."""
    assert endpoints.reconcile(service(selector=selector), [pod("a")], []).writes == ()


def test_services_and_pods_find_each_other() -> None:
    """A Service finds pods by all of its labels, and a changed pod touches exactly the Services that select it."""
    world = World()
    world.add(deployment(replicas=2))
    world.add(deployment("other", replicas=1))
    world.add(service())
    world.add(
        service()
        | {"metadata": {"name": "none", "namespace": "test"}, "spec": {"selector": {"app": "web", "tier": "x"}}}
    )
    world.settle()
    sizes = {
        piece["metadata"]["labels"][endpoints.SERVICE_LABEL]: len(piece["endpoints"])
        for piece in world.view.all("EndpointSlice")
    }
    assert sizes == {"web": 2, "none": 0}
    chosen = next(entry for entry in world.view.all("Pod") if entry["metadata"]["labels"]["app"] == "web")
    assert list(endpoints.CONTROLLER.watches["Pod"](world.view, chosen)) == [("test", "web")]


def autoscaler(low: int | None, high: int) -> dict[str, Any]:
    """An autoscaler of `web`."""
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": high,
    }
    if low is not None:
        spec["minReplicas"] = low
    meta = {"name": "web", "namespace": "test"}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}


@pytest.mark.parametrize(
    ("low", "high", "now", "wanted", "active"),
    [
        (2, 4, 1, 2, "FailedGetResourceMetric"),
        (2, 4, 3, 3, "FailedGetResourceMetric"),
        (2, 4, 9, 4, "FailedGetResourceMetric"),
        (2, 4, 0, 0, "ScalingDisabled"),
        (None, 4, 1, 1, "FailedGetResourceMetric"),
    ],
)
def test_autoscaler_keeps_its_bounds(low: int | None, high: int, now: int, wanted: int, active: str) -> None:
    """Into the bounds, unchanged within them, switched off at zero."""
    world = World()
    world.add(deployment(replicas=now))
    world.add(autoscaler(low, high))
    world.settle()
    assert world.get("Deployment", "web")["spec"]["replicas"] == wanted
    status = world.get("HorizontalPodAutoscaler", "web")["status"]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (wanted, wanted)
    assert {entry["type"]: entry["reason"] for entry in status["conditions"]}["ScalingActive"] == active


def test_autoscaler_without_a_target_says_so() -> None:
    """And comes to rest."""
    world = World()
    world.add(autoscaler(1, 2))
    world.settle()
    (entry,) = world.get("HorizontalPodAutoscaler", "web")["status"]["conditions"]
    assert (entry["status"], entry["reason"]) == ("False", "FailedGetScale")


def test_scheduler_spreads_pods() -> None:
    """Six pods on three nodes are two a node."""
    world = World(nodes=3)
    world.add(deployment(replicas=6))
    world.settle()
    assert sorted(world.view.count("Pod", "node", f"node-{n}") for n in range(3)) == [2, 2, 2]


def test_scheduler_says_why_a_pod_waits() -> None:
    """No node has the label: one event, Pending, and bound as soon as such a node joins."""
    world = World()
    bound = deployment()
    bound["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    world.add(bound)
    world.settle()
    (waiting,) = world.view.all("Pod")
    assert waiting["status"]["conditions"][0]["reason"] == "Unschedulable"
    assert [text for text in world.said if "nodes are available" in text] == [
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
    ]
    world.add(node("fast", disk="ssd"))
    world.settle()
    assert world.view.all("Pod")[0]["spec"]["nodeName"] == "fast"
