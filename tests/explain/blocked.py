"""States 59 to 72: a manifest, a route, a right or an operator is missing or wrong."""

from __future__ import annotations

import asyncio
from typing import Any

from explain.checks import template
from explain.corpus import Act, State
from explain.shop import Shop, promoted
from pyflagger.admission.errors import ApiError
from pyflagger.kube.client import NotFound
from pyflagger.objects import Obj
from pyflagger_sandbox.apiserver.messages import Request
from stage import manifests
from stage.routes import Else, accept, definitions, main_kind

GATEWAY = "gatewayapi:v1"
SCALED = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "shop"}
TEMPLATES = "/apis/flagger.app/v1beta1/metrictemplates"
DENIED = 'User "flagger" cannot list resource "metrictemplates" in API group "flagger.app" at the cluster scope'
METRIC = {"name": "errors", "interval": "1m", "thresholdRange": {"max": 1000}, "templateRef": {"name": "errors"}}
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def edited(**spec: Any) -> Act:
    """The Canary is changed while a release is under way."""

    async def made(shop: Shop) -> None:
        await shop.begin()
        await shop.release_until("canaryWeight", 25)
        await shop.stage.patch("Canary", "shop", {"spec": spec})
        await shop.passes(5)

    return made


def corrected(**spec: Any) -> Act:
    """The Canary is corrected, and the release goes on."""

    async def mended(shop: Shop) -> None:
        await shop.stage.patch("Canary", "shop", {"spec": spec})
        await shop.until("Succeeded")

    return mended


async def no_target(shop: Shop) -> None:
    """Somebody deletes the target."""
    await shop.begin()
    await shop.stage.delete("Deployment", "shop")
    await shop.passes(5)


async def target_again(shop: Shop) -> None:
    """Somebody creates the target again, and releases a new version."""
    await shop.stage.create(manifests.deployment("shop"))
    await released(shop)


async def released(shop: Shop) -> None:
    """A new version is promoted."""
    await shop.passes(5)
    await shop.release("2")
    await promoted(shop)


async def second(shop: Shop) -> None:
    """An older Canary has the same target."""
    stage = shop.stage
    await stage.start()
    await stage.namespace("test")
    for obj in (manifests.settings("shop"), manifests.deployment("shop"), manifests.ingress("shop")):
        await stage.create(obj)
    older = manifests.canary("shop")
    await stage.create({**older, "metadata": {"name": "elder"}})
    await shop.passes(10)
    await stage.create(manifests.canary("shop"))
    await shop.passes(10)


async def alone(shop: Shop) -> None:
    """One of the two is deleted."""
    await shop.stage.delete("Canary", "elder")
    await shop.until("Initialized")
    await released(shop)


async def no_ingress(shop: Shop) -> None:
    """Somebody deletes the Ingress."""
    await shop.begin()
    await shop.stage.delete("Ingress", "shop")
    await shop.passes(5)


def with_port(port: int) -> Act:
    """The Ingress leads to another port."""

    async def made(shop: Shop) -> None:
        await shop.begin()
        await shop.stage.patch("Ingress", "shop", {"spec": manifests.ingress("shop", port)["spec"]})
        await shop.passes(5)

    return made


async def ingress_again(shop: Shop) -> None:
    """Somebody creates the Ingress again."""
    await shop.stage.create(manifests.ingress("shop"))
    await released(shop)


async def right_port(shop: Shop) -> None:
    """The Ingress leads to the port of the Service again."""
    await shop.stage.patch("Ingress", "shop", {"spec": manifests.ingress("shop")["spec"]})
    await released(shop)


async def no_listener(shop: Shop) -> None:
    """The Gateway has no listener for the route, so it does not accept the weights of a release."""
    stage = shop.stage
    await stage.start(definitions=definitions(GATEWAY))
    await stage.namespace("test")
    for obj in (manifests.settings("shop"), manifests.deployment("shop")):
        await stage.create(obj)
    service = {"port": 80, "targetPort": 8080, "gatewayRefs": [{"name": "gw"}]}
    made = manifests.canary("shop", provider=GATEWAY, service=service)
    del made["spec"]["ingressRef"]
    stage.beside(_gateway(shop))
    await stage.create(made)
    await shop.until("Initialized")
    shop.kubelet.sick["gateway"] = "NoMatchingParent"
    await shop.release("2")
    await shop.passes(25)


async def _gateway(shop: Shop) -> None:
    """A Gateway that accepts routes while it has a listener for them."""
    while True:
        listed = await shop.stage.client.call("GET", main_kind(GATEWAY).path("test"))
        for route in listed["items"]:
            await (_reject(shop, route) if "gateway" in shop.kubelet.sick else accept(shop.stage, route))
        await asyncio.sleep(0.5)


async def _reject(shop: Shop, route: Obj) -> None:
    told = {
        "type": "Accepted",
        "status": "False",
        "reason": "NoMatchingParent",
        "message": "no listener of Gateway gw matches section web",
        "observedGeneration": route["metadata"].get("generation", 1),
    }
    parents = [
        {"parentRef": ref, "controllerName": "example.net/gateway", "conditions": [told]}
        for ref in route["spec"]["parentRefs"]
    ]
    if (route.get("status") or {}).get("parents") != parents:
        path = main_kind(GATEWAY).path("test", route["metadata"]["name"], "status")
        await shop.stage.client.call(
            "PATCH", path, {"status": {"parents": parents}}, content_type="application/merge-patch+json"
        )


async def listener(shop: Shop) -> None:
    """The Gateway gets the listener."""
    shop.kubelet.sick.clear()
    await promoted(shop)


async def contested(shop: Shop) -> None:
    """Another controller sets the route to what it was, again and again."""
    stage = shop.stage
    await stage.start(definitions=definitions(GATEWAY))
    await stage.namespace("test")
    for obj in (manifests.settings("shop"), manifests.deployment("shop")):
        await stage.create(obj)
    made = manifests.canary(
        "shop", provider=GATEWAY, service={"port": 80, "targetPort": 8080, "gatewayRefs": [{"name": "gw"}]}
    )
    del made["spec"]["ingressRef"]
    stage.beside(_gateway(shop))
    await stage.create(made)
    await shop.until("Initialized")
    await shop.release_until("canaryWeight", 25)
    shop.beside = Else(stage, main_kind(GATEWAY), "test", "shop", _elsewhere).start()
    await shop.passes(60)


def _elsewhere(obj: Obj) -> None:
    obj["spec"]["hostnames"] = ["evil.example"]


async def left_alone(shop: Shop) -> None:
    """The other controller leaves the route alone."""
    assert shop.beside is not None
    shop.beside.cancel()
    await shop.until("Succeeded", seconds=1200)
    await shop.passes(700)


async def moved(shop: Shop) -> None:
    """Somebody sets the weight."""
    await shop.begin()
    await shop.release_until("canaryWeight", 25)
    await shop.passes(1)
    await shop.stage.patch("Ingress", "shop-canary", {"metadata": {"annotations": {WEIGHT: "10"}}})
    await shop.passes(3)


async def forbidden(shop: Shop) -> None:
    """The operator may not list MetricTemplates."""
    shop.stage.server.faults.fail(lambda request: ApiError(403, "Forbidden", DENIED, {}), _templates, times=10**9)
    await shop.begin()
    await shop.stage.patch("Canary", "shop", {"spec": {"analysis": {"metrics": [METRIC]}}})
    await shop.passes(10)


def _templates(request: Request) -> bool:
    return request.agent == "flagger" and request.path == TEMPLATES


async def permitted(shop: Shop) -> None:
    """The rule is there, and so is the MetricTemplate."""
    shop.stage.server.faults.rules.clear()
    await shop.stage.create(template())
    await shop.passes(120)
    await released(shop)


async def no_kind(shop: Shop) -> None:
    """The Canary refers to a kind that is not installed."""
    await shop.begin()
    await shop.stage.patch("Canary", "shop", {"spec": {"autoscalerRef": SCALED}})
    await shop.passes(5)


async def without_kind(shop: Shop) -> None:
    """The Canary does without it."""
    await shop.stage.patch("Canary", "shop", {"spec": {"autoscalerRef": None}})
    await released(shop)


async def silence(shop: Shop) -> None:
    """The operator stops in the middle of a release."""
    await shop.begin()
    await shop.release_until("canaryWeight", 25)
    await shop.stage.stop_operator()
    await shop.passes(60)


async def operator_again(shop: Shop) -> None:
    """The operator starts."""
    await shop.stage.start_operator()
    await promoted(shop)


async def deleted(shop: Shop) -> None:
    """The Canary is deleted, and the target's pods do not get ready."""
    await shop.begin(revertOnDeletion=True)
    shop.kubelet.sick |= {"-primary-": "", "shop-": "unready"}
    await shop.stage.delete("Canary", "shop")
    await shop.passes(20)


async def gone(shop: Shop) -> None:
    """The target's pods get ready, and the deletion ends."""
    shop.kubelet.mended.set()
    for _ in range(60):
        await shop.passes(1)
        try:
            await shop.stage.get("Canary", "shop")
        except NotFound:
            return
    raise AssertionError("the Canary is still there")


STATES = (
    State(59, edited(service={"port": 99999}), "manifest", "spec.service.port", "", corrected(service={"port": 80}),
          "Blocked Manifest"),
    State(60, edited(provider="nope"), "manifest", "spec.provider", "nginx", corrected(provider="nginx"),
          "Blocked Manifest", quick=True),
    State(61, edited(analysis={"stepWeight": 0}), "manifest", "no steps",
          "Set one of stepWeight", corrected(analysis={"stepWeight": 25}), ""),
    State(62, no_target, "target-missing", "deployment", "Create deployment shop", target_again, "Blocked", quick=True),
    State(63, second, "rival", "elder", "Delete one of the two", alone, "Blocked Manifest"),
    State(64, no_ingress, "route-missing", "ingress", "Create", ingress_again, "Blocked"),
    State(65, with_port(9898), "port-mismatch", "sends to port 9898 of service shop", "port", right_port, "Blocked"),
    State(66, no_listener, "route-not-ready", "no listener of Gateway gw", "parents", listener,
          "Waiting RouteNotReady"),
    State(67, contested, "contested", "argocd-controller changes httproute shop.test", "Stop argocd-controller",
          left_alone, "Blocked Cluster"),
    State(68, moved, "route-moved", "canary weight of shop.test to 10", "Let the release set the weights", promoted,
          "Another client set the canary weight"),
    State(69, forbidden, "forbidden", "cannot list resource", "", permitted, "Blocked"),
    State(70, no_kind, "kind-missing", "scaledobjects.keda.sh", "Install scaledobjects.keda.sh", without_kind,
          "Blocked"),
    State(71, silence, "silent", "no operator has looked at it", "Check that flagger runs", operator_again, "",
          quick=True),
    State(72, deleted, "handing-back-holds", "readiness probe fails", "readiness probe", gone,
          "not ready during finalizing"),
)  # fmt: skip
