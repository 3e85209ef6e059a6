"""States 17 to 19: an autoscaler or somebody else decides how many pods the target has."""

from __future__ import annotations

import asyncio
from typing import Any

from explain.corpus import State
from explain.shop import STANDS_SECONDS, Shop, promoted
from pyflagger.api.durations import stamp
from pyflagger.kube.client import Client
from pyflagger.objects import Obj
from pyflagger.seeing.pods import is_current, is_owned
from pyflagger_sandbox.apiserver.faults import server_error
from pyflagger_sandbox.apiserver.messages import Request
from pyflagger_sandbox.apiserver.transport import InProcess
from pyflagger_sandbox.network.routes import KEDA as DEFINITIONS
from stage import fakes, manifests
from stage.routes import APPLY
from stage.stage import MERGE, path_of
from stage.targets import scaled_object
from stage.test_scaled_by_people import HPA, KEDA

LIMITED = {
    "type": "ScalingLimited",
    "status": "True",
    "reason": "TooManyReplicas",
    "message": "the desired replica count is more than the maximum replica count",
}
CONTROLLER = "autoscaler with metrics"
AGAIN_SECONDS = 5
"""The pause of others between two writes. Pods take longer until they are ready."""

PAUSED = "autoscaling.keda.sh/paused-replicas"


async def begin(shop: Shop, scaler: Obj, reference: Obj, **parts: Any) -> None:
    """To Initialized, with an autoscaler."""
    await shop.stage.start(**parts)
    await shop.stage.namespace("test")
    made = (manifests.settings("shop"), manifests.deployment("shop"), manifests.ingress("shop"), scaler)
    for obj in (*made, manifests.canary("shop", autoscalerRef=reference)):
        await shop.stage.create(obj)
    await shop.until("Initialized")


async def at_maximum(shop: Shop) -> None:
    """One pod cannot carry the load, and the autoscaler allows no second one."""
    scaler = manifests.scaler("shop")
    scaler["spec"] |= {"minReplicas": 1, "maxReplicas": 1}
    await begin(shop, scaler, HPA)
    shop.stage.server.faults.fail(lambda request: server_error(), _status_of_scaler, times=10**9)
    path = f"{path_of('HorizontalPodAutoscaler', 'test', 'shop')}/status"
    controller = Client(InProcess(shop.stage.server, CONTROLLER), shop.stage.clock)
    await controller.call("PATCH", path, {"status": {"conditions": [LIMITED]}}, MERGE)
    shop.kubelet.sick |= {"-primary-": "", "shop-": "unready"}
    await shop.release("2")
    await shop.passes(STANDS_SECONDS)


def _status_of_scaler(request: Request) -> bool:
    return request.path.endswith("/horizontalpodautoscalers/shop/status") and request.agent != CONTROLLER


async def raised(shop: Shop) -> None:
    """The autoscaler allows two pods, and they carry the load."""
    shop.stage.server.faults.rules.clear()
    await shop.stage.patch("HorizontalPodAutoscaler", "shop", {"spec": {"minReplicas": 2, "maxReplicas": 2}})
    shop.kubelet.mended.set()
    await promoted(shop)


async def paused(shop: Shop) -> None:
    """A GitOps tool applies the annotation that pauses the autoscaler again and again."""
    await begin(shop, scaled_object("shop"), KEDA, definitions=DEFINITIONS, controllers=(fakes.KEDA,))
    shop.kubelet.takes = 4 * AGAIN_SECONDS
    shop.beside = asyncio.ensure_future(_pause(shop))
    await shop.release("2")
    await shop.passes(6 * AGAIN_SECONDS)


async def _pause(shop: Shop) -> None:
    head = {"apiVersion": KEDA["apiVersion"], "kind": KEDA["kind"]}
    body = {**head, "metadata": {"name": "shop", "annotations": {PAUSED: "0"}}}
    while True:
        path, query = path_of("ScaledObject", "test", "shop"), {"fieldManager": "argocd-controller", "force": "true"}
        await shop.stage.client.call("PATCH", path, body, APPLY, query)
        await shop.passes(AGAIN_SECONDS)


async def without_annotation(shop: Shop) -> None:
    """The annotation leaves Git and the object."""
    assert shop.beside is not None
    shop.beside.cancel()
    await shop.stage.patch("ScaledObject", "shop", {"metadata": {"annotations": {PAUSED: None}}})
    await promoted(shop)


async def scaled(shop: Shop) -> None:
    """A job scales the target to zero again and again."""
    await shop.begin()
    shop.kubelet.takes = 4 * AGAIN_SECONDS
    shop.beside = asyncio.ensure_future(_scale(shop))
    await shop.release("2")
    await shop.passes(2 * STANDS_SECONDS)
    await _tell(shop)


async def _scale(shop: Shop) -> None:
    while True:
        path = f"{path_of('Deployment', 'test', 'shop')}/scale"
        await shop.stage.client.call("PATCH", path, {"spec": {"replicas": 0}}, MERGE, {"fieldManager": "night-saver"})
        await shop.passes(AGAIN_SECONDS)


async def _tell(shop: Shop) -> None:
    """The Event of the Deployment's controller."""
    deployment = await shop.stage.get("Deployment", "shop")
    listed = await shop.stage.client.call("GET", "/apis/apps/v1/namespaces/test/replicasets")
    owned = next(each for each in listed["items"] if is_current(each, deployment) and is_owned(each, deployment))
    await shop.stage.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "shop.1"},
            "type": "Normal",
            "reason": "ScalingReplicaSet",
            "message": f"Scaled down replica set {owned['metadata']['name']} to 0 from 2",
            "involvedObject": {"kind": "Deployment", "name": "shop", "uid": deployment["metadata"]["uid"]},
            "lastTimestamp": stamp(shop.stage.clock.now()),
            "count": 9,
        }
    )


async def stopped(shop: Shop) -> None:
    """The job stops."""
    assert shop.beside is not None
    shop.beside.cancel()
    await promoted(shop)


STATES = (
    State(17, at_maximum, "autoscaler-max", "at its maximum of 1", "Raise its maximum", raised,
          "Waiting CanaryNotReady"),
    State(18, paused, "autoscaler-paused", f"paused by its annotation {PAUSED}=0", f"{PAUSED}-", without_annotation,
          "Waiting CanaryNotReady"),
    State(19, scaled, "scaled-by-other", "deployment/shop is scaled to 0 by", "the release needs its pods", stopped,
          "Waiting CanaryNotReady"),
)  # fmt: skip
