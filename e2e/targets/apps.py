"""What is released: for each kind of target an app a story, how a new version of it comes, and how it may be bad."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from e2e import apps
from e2e.environment import Environment
from pyflagger.objects import Obj

GOOD, BAD, DELETED = "good", "bad", "deleted"
STORIES = (GOOD, BAD, DELETED)
OLD, NEW = "6.0.0", "6.0.1"
MEANS = {GOOD: NEW, BAD: f"{NEW}-unready", DELETED: NEW}
"""The tag that is released in each story."""

FLOOR = 2
LATE_SECONDS = 15
"""What bad releases have before they are late."""

SPLIT = {"stepWeight": 20, "maxWeight": 40}
ROUNDS = {"iterations": 2}
LASTING = {"interval": "60s"}
"""Deleted in the middle, so the middle has to last."""

Objects = Callable[[str, str], tuple[Obj, ...]]
Change = Callable[[Environment, str, str], None]


@dataclass(frozen=True)
class Kind:
    """One kind of target: its objects by app and story, and a change of one by app and story."""

    objects: Objects
    change: Change


def house(kind: str) -> str:
    """The namespace in which a kind is played."""
    return f"targets-{kind}"


def released(name: str, story: str, target: tuple[str, str], provider: str, analysis: Obj, **more: Any) -> Obj:
    """The Canary of an app."""
    version, kind = target
    canary = apps.canary(
        name,
        provider,
        targetRef={"apiVersion": version, "kind": kind, "name": name},
        revertOnDeletion=True,
        progressDeadlineSeconds=LATE_SECONDS if story == BAD else 60,
        **more,
    )
    canary["spec"]["analysis"] = {"interval": "1s", "threshold": 3, **analysis, **(LASTING if story == DELETED else {})}
    return canary


def new_image(kind: str) -> Change:
    """Another image for a workload."""

    def change(env: Environment, name: str, story: str) -> None:
        env.kubectl("set", "image", f"{kind}/{name}", f"web={apps.IMAGE}:{MEANS[story]}")

    return change


def daemonset(name: str, story: str) -> tuple[Obj, ...]:
    """A pod on each node."""
    made = apps.app(name)
    made = made | {"kind": "DaemonSet", "spec": {k: v for k, v in made["spec"].items() if k != "replicas"}}
    return apps.settings(name), made, released(name, story, ("apps/v1", "DaemonSet"), "kubernetes", ROUNDS)


def scaled(name: str, story: str) -> tuple[Obj, ...]:
    """A Deployment with KEDA's ScaledObject."""
    query = f'sum(rate(http_requests_total{{pod=~"{name}-[0-9a-z]+-.+"}}[1m])) / sum(up{{app="{name}"}})'
    trigger = {
        "type": "prometheus",
        "name": "load",
        "metadata": {"serverAddress": "http://prometheus", "query": query, "threshold": "5"},
    }
    spec = {"scaleTargetRef": {"name": name}, "minReplicaCount": FLOOR, "maxReplicaCount": 5, "triggers": [trigger]}
    scaler = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": spec}
    ref = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": name}
    canary = released(name, story, ("apps/v1", "Deployment"), "nginx", SPLIT, autoscalerRef=ref)
    return apps.settings(name), apps.app(name, replicas=FLOOR), scaler, apps.ingress(name), canary


def service(name: str, story: str) -> tuple[Obj, ...]:
    """A Service, and behind it two Deployments of the user's own; the third version that it may lead to is nowhere."""
    pods = tuple(_versioned(name, version) for version in ("old", "new"))
    ports = [{"name": "http", "port": 80, "targetPort": 9898}]
    spec = {"type": "NodePort", "selector": {"app": name, "version": "old"}, "ports": ports}
    made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    smoke = {"name": "smoke", "type": "pre-rollout", "url": f"http://{name}-canary.{house('service')}/status/200"}
    rounds = {**ROUNDS, "webhooks": [smoke]}
    return apps.settings(name), *pods, made, released(name, story, ("v1", "Service"), "kubernetes", rounds)


def _versioned(name: str, version: str) -> Obj:
    made = apps.app(name)
    pods = made["spec"]["template"]
    pods["metadata"]["labels"] = made["spec"]["selector"]["matchLabels"] = {"app": name, "version": version}
    return made | {"metadata": {"name": f"{name}-{version}"}}


def lead_elsewhere(env: Environment, name: str, story: str) -> None:
    """The Service selects another version."""
    version = "nowhere" if story == BAD else "new"
    env.kubectl("patch", "service", name, "--type=merge", "-p", f'{{"spec":{{"selector":{{"version":"{version}"}}}}}}')


def knative(name: str, story: str) -> tuple[Obj, ...]:
    """A Knative Service; its newest Revision has an address of its own."""
    template = {"spec": {"containers": [{"image": f"{apps.IMAGE}:{OLD}"}]}}
    traffic = [{"latestRevision": True, "percent": 100, "tag": "candidate"}]
    version = "serving.knative.dev/v1"
    made = {"apiVersion": version, "kind": "Service", "metadata": {"name": name}}
    canary = released(name, story, (version, "Service"), "knative", SPLIT)
    del canary["spec"]["service"]
    return made | {"spec": {"template": template, "traffic": traffic}}, canary


def new_revision(env: Environment, name: str, story: str) -> None:
    """Another image for a Knative Service."""
    image = (
        f'[{{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"{apps.IMAGE}:{MEANS[story]}"}}]'
    )
    env.kubectl("patch", "services.serving.knative.dev", name, "--type=json", "-p", image)


KINDS: Mapping[str, Kind] = {
    "daemonset": Kind(daemonset, new_image("daemonset")),
    "scaledobject": Kind(scaled, new_image("deployment")),
    "service": Kind(service, lead_elsewhere),
    "knative": Kind(knative, new_revision),
}
