"""What is released in the stories about targets: for each kind its objects, a new version of it, and who serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyflagger.objects import Obj
from pyflagger_sandbox.network.routes import KEDA
from stage import fakes
from stage.manifests import analysis, canary, deployment, image, ingress
from stage.stage import Stage


@dataclass(frozen=True)
class Cast:
    """One kind of target. `facts`: what must be the same at a story's end whoever brought it about."""

    name: str
    objects: tuple[Obj, ...]
    canary: Obj
    change: Callable[[Stage, str], Awaitable[None]]
    facts: Mapping[str, Callable[[Obj], Any]]
    definitions: tuple[Obj, ...] = ()
    controllers: tuple[Any, ...] = ()
    helper: Callable[[Stage], Awaitable[None]] | None = None
    """Started beside the cluster's own controllers."""


def iterated(**more: Any) -> Obj:
    """Two iterations, each judged by one metric."""
    weights = ("stepWeight", "maxWeight")
    return {key: value for key, value in analysis().items() if key not in weights} | {"iterations": 2} | more


def daemonset(name: str) -> Obj:
    """A pod on each node."""
    of = deployment(name)
    spec = {key: of["spec"][key] for key in ("selector", "template")}
    spec["template"]["spec"]["containers"][0].pop("envFrom")
    return {**of, "kind": "DaemonSet", "spec": spec}


async def new_daemonset(stage: Stage, version: str) -> None:
    """Another image."""
    await stage.set_image("shop", "shop", image("shop", version), kind="DaemonSet")


def pods(workload: Obj) -> Any:
    """What a workload runs, and where."""
    pod = workload["spec"]["template"]["spec"]
    return [entry["image"] for entry in pod["containers"]], pod.get("nodeSelector") or {}


def released(kind: str, version: str, provider: str, judged: Obj, **more: Any) -> Obj:
    """The Canary of a target."""
    ref = {"apiVersion": version, "kind": kind, "name": "shop"}
    return canary("shop", provider=provider, targetRef=ref, analysis=judged, revertOnDeletion=True, **more)


DAEMONSET = Cast(
    "daemonset",
    (daemonset("shop"),),
    released("DaemonSet", "apps/v1", "kubernetes", iterated()),
    new_daemonset,
    {"DaemonSet": pods, "Service": lambda obj: obj["spec"].get("selector")},
)


async def new_deployment(stage: Stage, version: str) -> None:
    """Another image."""
    await stage.set_image("shop", "shop", image("shop", version))


def plain(name: str) -> Obj:
    """A Deployment without configs."""
    of = deployment(name)
    of["spec"]["template"]["spec"]["containers"][0].pop("envFrom")
    return of


def scaled_object(name: str) -> Obj:
    """By a query, with a floor of two."""
    trigger = {
        "type": "prometheus",
        "name": "load",
        "metadata": {"query": f'sum(rate(http_total{{app="{name}"}}[1m]))'},
    }
    spec = {"scaleTargetRef": {"name": name}, "minReplicaCount": 2, "maxReplicaCount": 5, "triggers": [trigger]}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": spec}


def scaler(obj: Obj) -> Any:
    """Whether it is paused, and its queries."""
    triggers = [trigger["metadata"]["query"] for trigger in obj["spec"]["triggers"]]
    return (obj["metadata"].get("annotations") or {}).get("autoscaling.keda.sh/paused-replicas"), triggers


KEDA = Cast(
    "scaledobject",
    (plain("shop"), scaled_object("shop"), ingress("shop")),
    released(
        "Deployment",
        "apps/v1",
        "nginx",
        analysis(),
        autoscalerRef={"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "shop"},
    ),
    new_deployment,
    {"Deployment": lambda obj: (*pods(obj), obj["spec"]["replicas"]), "ScaledObject": scaler},
    KEDA,
    (fakes.KEDA,),
)


def service(name: str) -> Obj:
    """A Service that leads to version 1 of something."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"type": "NodePort", "selector": {"app": name, "version": "1"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


async def new_service(stage: Stage, version: str) -> None:
    """It leads elsewhere."""
    await stage.patch("Service", "shop", {"spec": {"selector": {"version": version}}})


SERVICE = Cast(
    "service",
    (service("shop"),),
    released("Service", "v1", "kubernetes", iterated()),
    new_service,
    {
        "Service": lambda obj: (
            obj["spec"]["selector"],
            obj["spec"]["type"],
            sorted(obj["metadata"].get("labels") or {}),
        )
    },
)


def knative(name: str) -> Obj:
    """A Knative Service; its newest Revision has an address of its own."""
    spec = {
        "template": {"spec": {"containers": [{"image": image(name, "1")}]}},
        "traffic": [{"latestRevision": True, "percent": 100, "tag": "candidate"}],
    }
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


async def new_knative(stage: Stage, version: str) -> None:
    """Another image."""
    template = {"spec": {"containers": [{"image": image("shop", version)}]}}
    await stage.patch("KnativeService", "shop", {"spec": {"template": template}})


KNATIVE = Cast(
    "knative",
    (knative("shop"),),
    released("Service", "serving.knative.dev/v1", "knative", analysis()),
    new_knative,
    {"KnativeService": lambda obj: (obj["spec"]["traffic"], obj["metadata"].get("annotations") or {})},
    (fakes.KNATIVE_SERVICES, fakes.REVISIONS),
    helper=fakes.knative,
)

CASTS = (DAEMONSET, KEDA, SERVICE, KNATIVE)
