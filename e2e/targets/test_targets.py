"""Releases of DaemonSets, ScaledObjects, Services and Knative Services: good, bad, and deleted in the middle."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from e2e.apps import IMAGE
from e2e.environment import Environment, until
from e2e.targets.apps import BAD, DELETED, FLOOR, GOOD, NEW, OLD
from e2e.targets.conftest import KindSetUp
from pyflagger.objects import Obj, part

Houses = Mapping[str, KindSetUp]
PAUSED, MARK = "autoscaling.keda.sh/paused-replicas", "flagger.app/scale-to-zero"
PRIMARY_REVISION = "flagger.app/primary-revision"
KSVC = "services.serving.knative.dev"
SPLITS = [(0, 100), (20, 80), (40, 60), (0, 100)]
"""Percent of the newest Revision and of the primary's."""


def image(obj: Obj) -> str:
    """What a workload's pods run."""
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"]).removeprefix(f"{IMAGE}:")


def mark(obj: Obj) -> str | None:
    """DaemonSets: the mark that stands for zero."""
    found: str | None = part(obj["spec"]["template"]["spec"], "nodeSelector").get(MARK)
    return found


def pause(obj: Obj) -> str | None:
    """ScaledObjects: the number at which it is paused."""
    found: str | None = part(obj["metadata"], "annotations").get(PAUSED)
    return found


def split(obj: Obj) -> tuple[int, ...]:
    """Knative Services: the percentages that are there."""
    return tuple(entry["percent"] for entry in obj["spec"]["traffic"] if "percent" in entry)


def rolled_back(env: Environment, name: str, why: str) -> None:
    """The canary failed, at no weight, and said why."""
    status = env.wait(name, "Failed")
    assert status["canaryWeight"] == 0
    assert why in env.said(name)


def deleted(env: Environment, name: str) -> None:
    """Delete a Canary whose release is under way, and wait for all that is the operator's to be gone."""
    env.wait(name, "Progressing")
    env.kubectl("delete", "canary", name, "--timeout=60s")
    assert "Terminated canary" in env.said(name)


def gone(env: Environment, *objects: str) -> None:
    """The garbage collector has taken them."""
    until(lambda: not env.kubectl("get", *objects, "--ignore-not-found"), lambda: env.kubectl("get", *objects))


def test_a_good_daemonset(kind_setups: Houses, figure: Callable[[str], None]) -> None:
    """The mark comes, goes for the release, and comes back; the primary runs the new version on every node."""
    env, name = kind_setups["daemonset"].env, f"daemonset-{GOOD}"
    assert env.wait(name, "Succeeded")["lastPromotedSpec"]
    primary = env.get("daemonset", f"{name}-primary")
    assert image(primary) == NEW and mark(primary) is None
    assert primary["status"]["numberAvailable"] == primary["status"]["desiredNumberScheduled"] == 2
    until(lambda: env.get("daemonset", name)["status"]["currentNumberScheduled"] == 0)
    seen = kind_setups["daemonset"].history.of(name, mark)
    assert seen == [None, "true", None, "true"]
    assert env.get("service", name)["spec"]["selector"] == {"app": f"{name}-primary"}
    figure(f"{name}: mark of zero {seen}, primary on 2 nodes")


def test_a_bad_daemonset(kind_setups: Houses) -> None:
    """Its pods never listen: when its time is up the mark is back, and the primary is what it was."""
    env, name = kind_setups["daemonset"].env, f"daemonset-{BAD}"
    rolled_back(env, name, "exceeded its progressDeadlineSeconds: 15")
    primary = env.get("daemonset", f"{name}-primary")
    assert image(primary) == OLD and primary["status"]["numberAvailable"] == 2
    assert mark(env.get("daemonset", name)) == "true"


def test_a_deleted_daemonset(kind_setups: Houses) -> None:
    """The user's runs again, without the mark, and nothing else."""
    env, name = kind_setups["daemonset"].env, f"daemonset-{DELETED}"
    deleted(env, name)
    target = env.get("daemonset", name)
    assert mark(target) is None and image(target) == NEW and target["status"]["numberAvailable"] == 2
    gone(env, f"daemonset/{name}-primary", f"service/{name}-canary", f"configmap/{name}-settings-primary")
    assert not env.refused()


def test_a_good_scaled_object(kind_setups: Houses, figure: Callable[[str], None]) -> None:
    """Paused, resumed for the release, paused again; the primary's asks about the primary and is never paused."""
    env, name = kind_setups["scaledobject"].env, f"scaledobject-{GOOD}"
    env.wait(name, "Succeeded")
    scaler, target = (env.get(kind, f"{name}-primary") for kind in ("scaledobject", "deployment"))
    query = scaler["spec"]["triggers"][0]["metadata"]["query"]
    assert query == (
        f'sum(rate(http_requests_total{{pod=~"{name}-primary-[0-9a-z]+-.+"}}[1m])) / sum(up{{app="{name}-primary"}})'
    )
    assert scaler["spec"]["scaleTargetRef"]["name"] == f"{name}-primary"
    assert scaler["spec"]["minReplicaCount"] == FLOOR and image(target) == NEW
    assert target["status"]["availableReplicas"] == FLOOR
    history = kind_setups["scaledobject"].history
    until(lambda: env.get("deployment", name)["spec"]["replicas"] == 0)
    assert history.of(name, pause) == [None, "0", None, "0"]
    assert history.of(f"{name}-primary", pause) == [None]
    figure(f"{name}: paused {history.of(name, pause)}, primary's query {query}")


def test_a_primary_under_its_floor_holds_the_next_release(kind_setups: Houses) -> None:
    """A higher floor comes at once. No KEDA runs here, so the release waits until we bring the pods."""
    env, name = kind_setups["scaledobject"].env, f"scaledobject-{GOOD}"
    env.wait(name, "Succeeded")
    env.kubectl("patch", "scaledobject", name, "--type=merge", "-p", f'{{"spec":{{"minReplicaCount":{FLOOR + 1}}}}}')
    until(lambda: env.get("scaledobject", f"{name}-primary")["spec"]["minReplicaCount"] == FLOOR + 1)
    env.kubectl("set", "image", f"deployment/{name}", f"web={IMAGE}:{OLD}")
    words = f"{FLOOR} of at least {FLOOR + 1} replicas of its autoscaler are available"
    until(lambda: words in env.said(name), lambda: env.said(name))
    assert env.status(name)["phase"] == "Succeeded" and image(env.get("deployment", f"{name}-primary")) == NEW
    env.kubectl("scale", f"deployment/{name}-primary", f"--replicas={FLOOR + 1}")
    until(lambda: image(env.get("deployment", f"{name}-primary")) == OLD, lambda: env.said(name))
    env.wait(name, "Succeeded")


def test_a_bad_scaled_object(kind_setups: Houses) -> None:
    """Its pods never listen: paused again at zero, the primary as it was."""
    env, name = kind_setups["scaledobject"].env, f"scaledobject-{BAD}"
    rolled_back(env, name, "not ready")
    assert pause(env.get("scaledobject", name)) == "0"
    assert env.get("deployment", name)["spec"]["replicas"] == 0
    primary = env.get("deployment", f"{name}-primary")
    assert image(primary) == OLD and primary["status"]["availableReplicas"] == FLOOR


def test_a_deleted_scaled_object(kind_setups: Houses) -> None:
    """Neither paused nor at zero: the user's Deployment serves, and KEDA may scale it."""
    env, name = kind_setups["scaledobject"].env, f"scaledobject-{DELETED}"
    deleted(env, name)
    target = env.get("deployment", name)
    assert pause(env.get("scaledobject", name)) is None
    assert image(target) == NEW and target["status"]["availableReplicas"] == target["spec"]["replicas"] == FLOOR
    gone(env, f"scaledobject/{name}-primary", f"deployment/{name}-primary", f"ingress/{name}-canary")
    assert not env.refused()


def selected(obj: Obj) -> str:
    """Services: the version that is led to."""
    return str(obj["spec"]["selector"]["version"])


def test_a_good_service(kind_setups: Houses, figure: Callable[[str], None]) -> None:
    """The primary's copy leads to the new version once it is promoted, and not before."""
    env, name = kind_setups["service"].env, f"service-{GOOD}"
    env.wait(name, "Succeeded")
    history = kind_setups["service"].history
    assert history.of(f"{name}-primary", selected) == history.of(name, selected) == ["old", "new"]
    assert history.of(f"{name}-canary", selected) == ["old", "new"]
    assert env.get("service", f"{name}-primary")["spec"]["type"] == "NodePort"
    figure(f"{name}: the primary's copy led to {history.of(f'{name}-primary', selected)}")


def test_a_bad_service(kind_setups: Houses) -> None:
    """What it is to lead to is nowhere, as a smoke test finds: the primary's copy leads where it did."""
    env, name = kind_setups["service"].env, f"service-{BAD}"
    rolled_back(env, name, "pre-rollout check smoke failed")
    assert kind_setups["service"].history.of(f"{name}-primary", selected) == ["old"]


def test_a_deleted_service(kind_setups: Houses) -> None:
    """The user's Service is the user's; the copies go."""
    env, name = kind_setups["service"].env, f"service-{DELETED}"
    deleted(env, name)
    assert selected(env.get("service", name)) == "new"
    gone(env, f"service/{name}-primary", f"service/{name}-canary")
    assert not env.refused()


def test_a_good_knative_service(kind_setups: Houses, figure: Callable[[str], None]) -> None:
    """The newest Revision gets its shares, and is the primary in the end."""
    env, name = kind_setups["knative"].env, f"knative-{GOOD}"
    env.wait(name, "Succeeded")
    seen = kind_setups["knative"].history.of(name, split)
    assert seen == [(100,), *SPLITS]
    service = env.get(KSVC, name)
    assert service["metadata"]["annotations"][PRIMARY_REVISION] == f"{name}-00002"
    newest, primary = service["spec"]["traffic"]
    assert newest["latestRevision"] and newest["tag"] == "candidate"
    assert primary == {"revisionName": f"{name}-00002", "percent": 100}
    assert "has no Revision" not in env.said(name)
    figure(f"{name}: percent of the newest Revision and the primary's {seen}")


def test_a_bad_knative_service(kind_setups: Houses) -> None:
    """A Revision that never is ready gets no traffic."""
    env, name = kind_setups["knative"].env, f"knative-{BAD}"
    rolled_back(env, name, f"Knative Revision {name}-00002.{env.namespace} is not ready: it does not listen")
    assert kind_setups["knative"].history.of(name, split) == [(100,), (0, 100)]
    assert env.get(KSVC, name)["metadata"]["annotations"][PRIMARY_REVISION] == f"{name}-00001"


def test_a_deleted_knative_service(kind_setups: Houses) -> None:
    """Its traffic is as the user had it, and no annotation is left."""
    env, name = kind_setups["knative"].env, f"knative-{DELETED}"
    deleted(env, name)
    service = env.get(KSVC, name)
    assert service["spec"]["traffic"] == [{"latestRevision": True, "percent": 100, "tag": "candidate"}]
    assert not [key for key in part(service["metadata"], "annotations") if key.startswith("flagger.app/")]
    assert not env.refused()
