"""Autoscalers under people's hands: deleted, paused and edited, while a release runs and between releases."""

from __future__ import annotations

import pytest

from pyflagger.objects import Obj
from pyflagger_sandbox.network.routes import KEDA as DEFINITIONS
from stage import fakes, manifests
from stage.story import Story
from stage.targets import scaled_object

pytestmark = pytest.mark.looptime

HPA = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "shop"}
KEDA = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "shop"}
PAUSE = {"autoscaling.keda.sh/paused": "true"}


async def begun(kind: str) -> Story:
    """To Initialized, with an autoscaler of this kind."""
    hpa = kind == "HorizontalPodAutoscaler"
    through = manifests.canary("shop")["spec"]["ingressRef"]
    story = Story("nginx", autoscalerRef=HPA if hpa else KEDA, ingressRef=through)
    parts = {} if hpa else {"definitions": DEFINITIONS, "controllers": (fakes.KEDA,)}
    await story.stage.start(**parts)
    await story.stage.namespace("test")
    made = (manifests.settings("shop"), manifests.deployment("shop"), manifests.ingress("shop"), scaler(kind))
    for obj in (*made, story.canary()):
        await story.stage.create(obj)
    await story.until("Initialized")
    return story


def scaler(kind: str) -> Obj:
    """The target's autoscaler."""
    return manifests.scaler("shop") if kind == "HorizontalPodAutoscaler" else scaled_object("shop")


async def told(story: Story, kind: str) -> str:
    """The message of a condition."""
    conditions = (await story.stage.status("shop")).get("conditions") or []
    return next((str(each["message"]) for each in conditions if each["type"] == kind), "")


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
async def test_deleted_in_a_run(kind: str) -> None:
    """The release goes on to its end. A condition says what is missing, until it is back."""
    story = await begun(kind)
    await story.change()
    await story.until("Progressing")
    await story.stage.delete(kind, "shop")
    assert await story.until("Succeeded", "Failed") == "Succeeded"
    primary = await story.stage.get("Deployment", "shop-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == manifests.image("shop", "2")
    assert "the primary keeps its current autoscaler" in await told(story, "Degraded")
    assert not await told(story, "Blocked") and await story.stage.get(kind, "shop-primary")
    await story.stage.create(scaler(kind))
    await story.stage.clock.sleep(2)
    assert not await told(story, "Degraded")
    assert len([text for text in await story.said() if "keeps its current autoscaler" in text]) == 1


async def test_paused_by_people() -> None:
    """A pause of the primary's ScaledObject stays, through a release, and is told once."""
    story = await begun("ScaledObject")
    await story.stage.patch("ScaledObject", "shop-primary", {"metadata": {"annotations": PAUSE}})
    await story.stage.clock.sleep(5)
    await story.change()
    await story.until("Succeeded")
    annotations = (await story.stage.get("ScaledObject", "shop-primary"))["metadata"]["annotations"]
    assert annotations["autoscaling.keda.sh/paused"] == "true"
    assert "it does not scale the primary" in await told(story, "Degraded")
    assert len([text for text in await story.said() if "it does not scale the primary" in text]) == 1


async def bounds(story: Story, name: str = "shop-primary") -> tuple[int, int]:
    """Of an HPA."""
    spec: Obj = (await story.stage.get("HorizontalPodAutoscaler", name))["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


async def test_bounds_between_releases_and_in_one() -> None:
    """At once when nothing runs; with its end in a run. What people set in the primary's stays until a promotion."""
    story = await begun("HorizontalPodAutoscaler")
    await story.stage.patch("HorizontalPodAutoscaler", "shop", {"spec": {"minReplicas": 3}})
    await story.stage.clock.sleep(2)
    assert await bounds(story) == (3, 4)
    assert "HorizontalPodAutoscaler shop-primary.test follows shop: minReplicas 2 → 3" in await story.said()
    await story.stage.patch("HorizontalPodAutoscaler", "shop-primary", {"spec": {"maxReplicas": 9}})
    await story.stage.clock.sleep(60)
    assert await bounds(story) == (3, 9), "nobody changed the target's"
    await story.change()
    await story.until("Progressing")
    await story.stage.patch("HorizontalPodAutoscaler", "shop", {"spec": {"minReplicas": 2}})
    await story.stage.clock.sleep(2)
    assert await bounds(story) == (3, 9), "a run is under way"
    await story.until("Succeeded")
    assert await bounds(story) == (2, 4)
    assert "HorizontalPodAutoscaler shop-primary.test follows shop: maxReplicas 9 → 4, minReplicas 3 → 2" in (
        await story.said()
    )
