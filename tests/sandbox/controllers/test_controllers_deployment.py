"""Deployments: rollout arithmetic, conditions over time, deadline, pause, scaling, history and undo."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from controller_world import World, deployment, revision
from hypothesis import given, settings
from hypothesis import strategies as st

from pyflagger.objects import Delete
from pyflagger_sandbox.controllers import rollout
from pyflagger_sandbox.controllers.rollout import Bounds
from pyflagger_sandbox.controllers.templates import matches, template_hash


def rolling(surge: int | str, unavailable: int | str) -> dict[str, Any]:
    """A RollingUpdate strategy."""
    update = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"type": "RollingUpdate", "rollingUpdate": update}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "wanted"),
    [
        (4, "25%", "25%", Bounds(1, 1)),
        (10, "25%", "25%", Bounds(3, 2)),
        (1, "25%", "25%", Bounds(1, 0)),
        (3, 0, "10%", Bounds(0, 1)),
        (3, 0, 0, Bounds(0, 1)),
        (2, 1, 5, Bounds(1, 2)),
        (0, "25%", "25%", Bounds(0, 0)),
        (7, "100%", "100%", Bounds(7, 7)),
    ],
)
def test_bounds(replicas: int, surge: int | str, unavailable: int | str, wanted: Bounds) -> None:
    """Surge rounds up, unavailability rounds down, both at nothing lets one be missing."""
    assert rollout.bounds(deployment(replicas=replicas, strategy=rolling(surge, unavailable))) == wanted


def test_bounds_of_the_walkthrough() -> None:
    """`maxUnavailable: 1` with one replica: the only pod may go before its successor is there."""
    bounds = rollout.bounds(deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}))
    assert bounds == Bounds(1, 1)


def replicaset(name: str, size: int, available: int, created: str = "", maximum: int | None = None) -> dict[str, Any]:
    """A ReplicaSet as the arithmetic sees it."""
    annotations = {} if maximum is None else {rollout.MAX: str(maximum)}
    return {
        "metadata": {"name": name, "creationTimestamp": created, "annotations": annotations},
        "spec": {"replicas": size},
        "status": {"replicas": size, "availableReplicas": available},
    }


@pytest.mark.parametrize(
    ("replicas", "strategy", "new", "old", "wanted"),
    [
        (10, rolling("30%", 0), (0, 0), [(10, 10)], 3),
        (10, rolling("30%", 0), (3, 0), [(10, 10)], 3),
        (10, rolling("30%", 0), (3, 3), [(7, 7)], 6),
        (4, rolling(0, 1), (0, 0), [(4, 4)], 0),
        (4, rolling(0, 1), (0, 0), [(3, 3)], 1),
        (2, rolling(5, 0), (0, 0), [(2, 2)], 2),
        (2, rolling(1, 0), (5, 5), [(0, 0)], 2),
    ],
)
def test_growth_of_the_new(
    replicas: int, strategy: Any, new: tuple[int, int], old: list[tuple[int, int]], wanted: int
) -> None:
    """The new ReplicaSet takes the room that the surge leaves."""
    ours = replicaset("new", *new)
    others = [replicaset(f"old{n}", *pair) for n, pair in enumerate(old)]
    assert rollout.grow(deployment(replicas=replicas, strategy=strategy), ours, [*others, ours]) == wanted


@pytest.mark.parametrize(
    ("replicas", "strategy", "new", "old", "wanted"),
    [
        (10, rolling(0, 2), (0, 0), [(10, 10)], {"old0": 8}),
        (10, rolling(3, 0), (3, 0), [(10, 10)], {}),
        (10, rolling(3, 0), (3, 2), [(10, 10)], {"old0": 8}),
        (3, rolling(1, 0), (1, 1), [(2, 0), (1, 1)], {"old0": 1}),
        (3, rolling(1, 1), (1, 0), [(3, 1)], {"old0": 2}),
        (2, rolling(1, 1), (2, 2), [(1, 1), (1, 1)], {"old0": 0, "old1": 0}),
        (1, rolling(1, 0), (1, 0), [(1, 1)], {}),
        (1, rolling(1, 0), (1, 1), [(1, 1)], {"old0": 0}),
    ],
)
def test_shrinking_of_the_old(
    replicas: int, strategy: Any, new: tuple[int, int], old: list[tuple[int, int]], wanted: dict[str, int]
) -> None:
    """First what never got available, then what is over the minimum; never below it."""
    ours = replicaset("new", *new)
    others = [replicaset(f"old{n}", *pair, created=str(n)) for n, pair in enumerate(old)]
    assert rollout.shrink(deployment(replicas=replicas, strategy=strategy), ours, others) == wanted


@pytest.mark.parametrize(
    ("replicas", "sets", "wanted"),
    [
        (10, [("a", 5, 8), ("b", 1, 8)], {"a": 10, "b": 2}),
        (2, [("a", 5, 8), ("b", 3, 8)], {"a": 2, "b": 1}),
        (0, [("a", 3, 5), ("b", 2, 5)], {"a": 0, "b": 0}),
        (6, [("a", 6, 8), ("b", 2, 8)], {"a": 6, "b": 2}),
    ],
)
def test_proportional_scaling(replicas: int, sets: list[tuple[str, int, int]], wanted: dict[str, int]) -> None:
    """A Deployment that is scaled in the middle of a rollout keeps its proportions."""
    old = [replicaset(name, size, size, maximum=maximum) for name, size, maximum in sets]
    spec = deployment(replicas=replicas, strategy=rolling(2 if replicas != 2 else 1, 0))
    assert rollout.scale(spec, None, old) == wanted


def test_first_rollout_from_nothing() -> None:
    """A ReplicaSet, its pods, and the conditions with Kubernetes' words; then nothing more to do."""
    world = World()
    world.add(deployment(replicas=2, minReadySeconds=0))
    world.settle()
    status = world.get("Deployment", "web")["status"]
    figures = {name: value for name, value in status.items() if name != "conditions"}
    ready = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
    assert figures == ready | {"observedGeneration": 1}
    name = f"web-{template_hash(world.get('Deployment', 'web')['spec']['template'])}"
    assert world.condition("Progressing") == (
        "True",
        "NewReplicaSetAvailable",
        f'ReplicaSet "{name}" has successfully progressed.',
    )
    assert world.condition("Available") == (
        "True",
        "MinimumReplicasAvailable",
        "Deployment has minimum availability.",
    )
    assert f"Scaled up replica set {name} from 0 to 2" in world.said
    labels = world.view.all("Pod")[0]["metadata"]["labels"]
    assert labels == {"app": "web", "pod-template-hash": name.removeprefix("web-")}
    assert not world.step()


def test_conditions_timeline() -> None:
    """Created, updated, available: each with its time; the update time moves with every bit of progress."""
    world = World()
    world.add(deployment(replicas=1, minReadySeconds=5))
    world.apply(world.look("deployment", "web"))
    assert world.condition("Progressing")[1] == "NewReplicaSetCreated"
    assert world.condition("Available")[:2] == ("False", "MinimumReplicasUnavailable")
    world.later(1)
    assert world.condition("Progressing")[1] == "ReplicaSetUpdated"
    assert world.get("Deployment", "web")["status"]["unavailableReplicas"] == 1
    replica = world.view.all("ReplicaSet")[0]
    assert world.look("replicaset", replica["metadata"]["name"]).look_again == 5
    world.later(5)
    assert world.condition("Progressing")[1] == "NewReplicaSetAvailable"
    progressing = world.get("Deployment", "web")["status"]["conditions"]
    entry = next(entry for entry in progressing if entry["type"] == "Progressing")
    assert entry["lastUpdateTime"] > entry["lastTransitionTime"]
    assert "unavailableReplicas" not in world.get("Deployment", "web")["status"]


def test_new_image_rolls_within_bounds() -> None:
    """Never more pods than the surge allows, never fewer available than promised; the old ones end at zero."""
    world = World()
    world.add(deployment(replicas=4, strategy=rolling(1, 1)))
    world.settle()
    world.image("web", "web:2")

    def bounded() -> None:
        pods = world.view.all("Pod")
        available = [pod for pod in pods if "status" in pod]
        assert len(pods) <= 5
        assert len(available) >= 3

    world.settle(bounded)
    assert world.sizes() == [0, 4]
    assert {pod["spec"]["containers"][0]["image"] for pod in world.view.all("Pod")} == {"web:2"}
    assert world.get("Deployment", "web")["status"]["observedGeneration"] == 2
    assert revision(world.get("Deployment", "web")) == 2


@settings(max_examples=60, deadline=None)
@given(
    replicas=st.integers(0, 7),
    surge=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "50%", "100%"])),
    unavailable=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "50%", "100%"])),
    then=st.integers(0, 7),
)
def test_every_rollout_ends(replicas: int, surge: int | str, unavailable: int | str, then: int) -> None:
    """Whatever the bounds, an update and a scaling at once end with exactly the new pods, within the bounds."""
    world = World()
    world.add(deployment(replicas=replicas, strategy=rolling(surge, unavailable)))
    world.settle()
    world.image("web", "web:2")
    world.step()
    world.patch("Deployment", "web", {"spec": {"replicas": then}})
    world.settle()
    assert [pod["spec"]["containers"][0]["image"] for pod in world.view.all("Pod")] == ["web:2"] * then
    assert world.condition("Progressing")[1] == "NewReplicaSetAvailable"


def test_broken_image_passes_its_deadline() -> None:
    """Exactly after the deadline, not before; the old pod serves on and the condition says why."""
    world = World()
    world.add(deployment(replicas=1, progressDeadlineSeconds=15))
    world.settle()
    world.image("web", "web:broken")
    world.settle()
    wait = world.look("deployment", "web").look_again
    assert wait == 16
    world.later(15)
    assert world.condition("Progressing")[1] == "ReplicaSetUpdated"
    world.later(1)
    status, reason, message = world.condition("Progressing")
    assert (status, reason) == ("False", "ProgressDeadlineExceeded")
    assert message.endswith("has timed out progressing.")
    assert world.condition("Available")[0] == "True"
    assert world.look("deployment", "web").look_again is None
    assert world.sizes() == [1, 1]


def test_recovery_after_the_deadline() -> None:
    """A good image after a deadline: progressing again, then available."""
    world = World()
    world.add(deployment(replicas=1, progressDeadlineSeconds=15, image="web:broken"))
    world.settle()
    world.later(20)
    assert world.condition("Progressing")[1] == "ProgressDeadlineExceeded"
    world.image("web", "web:2")
    world.settle()
    assert world.condition("Progressing")[:2] == ("True", "NewReplicaSetAvailable")
    assert world.sizes() == [0, 1]


def test_no_deadline_no_condition() -> None:
    """The largest number means no deadline, and then there is no Progressing condition."""
    world = World()
    world.add(deployment(progressDeadlineSeconds=2**31 - 1))
    world.settle()
    assert [entry["type"] for entry in world.get("Deployment", "web")["status"]["conditions"]] == ["Available"]


def test_scaled_to_zero_and_back() -> None:
    """At zero everything is available and complete; back from zero no deadline starts for an old template."""
    world = World()
    world.add(deployment(replicas=2))
    world.settle()
    world.patch("Deployment", "web", {"spec": {"replicas": 0}})
    world.settle()
    assert not world.view.all("Pod")
    status = world.get("Deployment", "web")["status"]
    assert not {"replicas", "updatedReplicas", "availableReplicas"} & status.keys()
    assert world.condition("Available")[0] == "True"
    world.patch("Deployment", "web", {"spec": {"replicas": 3}})
    world.settle()
    assert world.get("Deployment", "web")["status"]["availableReplicas"] == 3
    assert world.condition("Progressing")[1] == "NewReplicaSetAvailable"


def test_new_image_at_zero_replicas() -> None:
    """A revision made while nothing runs is complete at once: that is how a canary target is updated."""
    world = World()
    world.add(deployment(replicas=0))
    world.settle()
    world.image("web", "web:2")
    world.settle()
    assert world.condition("Progressing")[1] == "NewReplicaSetAvailable"
    world.patch("Deployment", "web", {"spec": {"replicas": 1}})
    world.settle()
    assert [pod["spec"]["containers"][0]["image"] for pod in world.view.all("Pod")] == ["web:2"]


def test_recreate_waits_for_the_old_to_go() -> None:
    """No pod of the new template exists while one of the old does."""
    world = World()
    world.add(deployment(replicas=2, strategy={"type": "Recreate"}))
    world.settle()
    world.image("web", "web:2")

    def apart() -> None:
        assert len({pod["spec"]["containers"][0]["image"] for pod in world.view.all("Pod")}) <= 1

    world.settle(apart)
    assert world.sizes() == [0, 2]


def test_pause_and_resume() -> None:
    """Paused: no new ReplicaSet, but scaling works; resumed: the rollout goes on. The deadline does not run."""
    world = World()
    world.add(deployment(replicas=1, progressDeadlineSeconds=10))
    world.settle()
    world.patch("Deployment", "web", {"spec": {"paused": True}})
    world.image("web", "web:2")
    world.patch("Deployment", "web", {"spec": {"replicas": 2}})
    world.settle()
    assert world.sizes() == [2]
    assert world.condition("Progressing") == ("Unknown", "DeploymentPaused", "Deployment is paused")
    assert world.look("deployment", "web").look_again is None
    world.later(60)
    assert world.condition("Progressing")[1] == "DeploymentPaused"
    world.patch("Deployment", "web", {"spec": {"paused": False}})
    world.apply(world.look("deployment", "web"))
    assert world.condition("Progressing")[1] in ("DeploymentResumed", "NewReplicaSetCreated")
    world.settle()
    assert world.sizes() == [0, 2]


def test_undo_reuses_the_old_replicaset() -> None:
    """The old template again: its ReplicaSet comes back as the newest revision and remembers the first one."""
    world = World()
    world.add(deployment(replicas=1))
    world.settle()
    first = world.view.all("ReplicaSet")[0]["metadata"]["name"]
    world.image("web", "web:2")
    world.settle()
    world.image("web", "web:1")
    world.settle()
    back = world.get("ReplicaSet", first)
    assert revision(back) == 3
    assert back["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert revision(world.get("Deployment", "web")) == 3
    assert world.sizes() == [0, 1]
    assert len(world.view.all("ReplicaSet")) == 2


def test_history_is_limited() -> None:
    """Only as many old revisions are kept as asked for, the newest ones."""
    world = World()
    world.add(deployment(replicas=1, revisionHistoryLimit=2))
    for number in range(5):
        world.image("web", f"web:{number}")
        world.settle()
    images = [rs["spec"]["template"]["spec"]["containers"][0]["image"] for rs in world.view.all("ReplicaSet")]
    assert sorted(images) == ["web:2", "web:3", "web:4"]


def test_history_waits_for_the_rollout() -> None:
    """While a rollout is stuck nothing of the history is deleted."""
    world = World()
    world.add(deployment(replicas=1, revisionHistoryLimit=0))
    world.settle()
    world.image("web", "web:broken")
    world.settle()
    assert not [write for write in world.writes if isinstance(write, Delete) and write.ref.kind == "ReplicaSet"]
    assert len(world.view.all("ReplicaSet")) == 2


def test_change_cause_is_carried_to_the_revision() -> None:
    """`kubectl rollout history` shows the annotation of each revision; what kubectl applied last is not copied."""
    world = World()
    world.add(deployment())
    annotations = {"kubernetes.io/change-cause": "why", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    world.patch("Deployment", "web", {"metadata": {"annotations": annotations}})
    world.settle()
    copied = world.view.all("ReplicaSet")[0]["metadata"]["annotations"]
    assert copied["kubernetes.io/change-cause"] == "why"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in copied


def test_orphans_that_match_are_adopted() -> None:
    """A ReplicaSet without an owner that the selector matches becomes the Deployment's own."""
    world = World()
    world.add(deployment(replicas=1))
    world.settle()
    owned = copy.deepcopy(world.view.all("ReplicaSet")[0])
    del owned["metadata"]["ownerReferences"]
    world.view.put(owned)
    world.settle()
    assert world.view.all("ReplicaSet")[0]["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    assert len(world.view.all("ReplicaSet")) == 1


def test_a_deployment_being_deleted_is_left_alone() -> None:
    """Its children are the garbage collector's; nothing is made anew."""
    world = World()
    obj = deployment()
    world.add(obj)
    world.patch("Deployment", "web", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert world.settle() == 0
    assert not world.view.all("ReplicaSet")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"spec": {"a": 1}}, {"spec": {"a": 1, "b": None}}, True),
        ({"metadata": {"labels": {"x": "y"}}}, {"metadata": {"labels": {"x": "y", "pod-template-hash": "z"}}}, True),
        ({"spec": {"a": [1, 2]}}, {"spec": {"a": [2, 1]}}, False),
        ({"metadata": {"annotations": {"x": "1"}}}, {"metadata": {"annotations": {"x": "2"}}}, False),
    ],
)
def test_template_hash(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    """Nulls and the hash label do not count, everything else does."""
    assert (template_hash(one) == template_hash(other)) is same


@pytest.mark.parametrize(
    ("selector", "labels", "wanted"),
    [
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchLabels": {"a": "1"}}, None, False),
        (None, {"a": "1"}, False),
        ({}, {"a": "1"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}, {"a": "2"}, False),
    ],
)
def test_selectors(selector: Any, labels: Any, wanted: bool) -> None:
    """Label selectors as the API means them; none selects nothing."""
    assert matches(selector, labels) is wanted
