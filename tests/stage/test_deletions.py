"""Anything is deleted at any moment: nobody else waits, traffic never jumps, and the release comes to its end.

What people made is put back after a while, as they would once they noticed; what is ours comes back by itself.
"""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.kube.errors import NotFound
from pyflagger.objects import Obj
from stage.manifests import MAX, STEP, analysis, canary, image, scaler
from stage.trouble import Pair

pytestmark = pytest.mark.looptime

PATIENCE_SECONDS, POD_SECONDS = 15, 3
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
TEMPLATE: Obj = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "MetricTemplate",
    "metadata": {"name": "errors"},
    "spec": {"provider": {"type": "prometheus", "address": "http://prometheus.sick"}, "query": "errors"},
}
THEIRS = (
    ("Ingress", "sick"),
    ("Deployment", "sick"),
    ("ConfigMap", "sick-env"),
    ("HorizontalPodAutoscaler", "sick"),
    ("MetricTemplate", "errors"),
)
OURS = (
    ("Service", "sick"),
    ("Service", "sick-canary"),
    ("Service", "sick-primary"),
    ("Ingress", "sick-canary"),
    ("Deployment", "sick-primary"),
    ("ConfigMap", "sick-env-primary"),
    ("HorizontalPodAutoscaler", "sick-primary"),
)
RESTING = ("Initialized", "Succeeded", "Failed")
MOMENTS = ("Progressing", "Promoting", *RESTING)
OFTEN = ("Progressing", *(pytest.param(each, marks=pytest.mark.long) for each in MOMENTS[1:]))
"""The moments, of which all but one are left to the long tests."""


async def begun(moment: str) -> Pair:
    """A pair whose sick canary has come to this moment of a release, with a template and an autoscaler."""
    metric = {"name": "errors", "interval": "1m", "templateRef": {"name": "errors"}, "thresholdRange": {"min": 1}}
    scaled = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "sick"}
    pair = Pair(pods_take=POD_SECONDS)
    await pair.begin(spoilt=canary("sick", analysis=analysis(metrics=[metric], threshold=9), autoscalerRef=scaled))
    for obj in (TEMPLATE, scaler("sick")):
        await pair.stage.create(obj, "sick")
    await pair.phase("sick", "Initialized")
    if moment == "Failed":
        await pair.stage.set_image("sick", "sick", image("sick", "broken"), "sick")
    elif moment != "Initialized":
        await pair.release("sick")
    await pair.phase("sick", moment)
    if moment == "Progressing":
        await pair.weight(STEP)
    await pair.release("calm", version="3")
    return pair


async def weight(pair: Pair) -> int:
    """Where visitors go, in percent to the canary; without its Ingress there is nobody there."""
    annotations = (await pair.traffic())[0] or {}
    return int(annotations.get(WEIGHT, 0))


async def restore(pair: Pair, kept: Obj) -> None:
    """What `kubectl apply` of the manifest makes of it."""
    own = {key: kept["metadata"][key] for key in ("name", "labels", "annotations") if key in kept["metadata"]}
    body = {key: kept[key] for key in ("apiVersion", "kind", "spec", "data") if key in kept}
    await pair.stage.create({**body, "metadata": own}, "sick")


async def is_there(pair: Pair, kind: str, name: str) -> bool:
    """Whether it exists."""
    try:
        await pair.stage.get(kind, name, "sick")
    except NotFound:
        return False
    return True


async def ends_well(pair: Pair, moment: str) -> None:
    """What was under way is promoted; what rested goes on resting, and the next release is none the worse for it."""
    if moment not in RESTING:
        await pair.phase("sick", "Succeeded")
    await pair.stage.set_image("sick", "sick", image("sick", "4"), "sick")
    await pair.phase("sick", "Progressing", "Promoting")
    await pair.phase("sick", "Succeeded")
    primary = await pair.stage.get("Deployment", "sick-primary", "sick")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == image("sick", "4")
    assert await weight(pair) == 0
    assert pair.operator.controller.wedged() is None


@pytest.mark.parametrize("moment", OFTEN)
@pytest.mark.parametrize("kind, name", THEIRS)
async def test_what_people_made(kind: str, name: str, moment: str) -> None:
    """It is missed for a while and put back."""
    pair = await begun(moment)
    before, kept = await weight(pair), await pair.stage.get(kind, name, "sick")
    await pair.stage.delete(kind, name, "sick")
    for _ in range(PATIENCE_SECONDS):
        await pair.stage.clock.sleep(1)
        assert await weight(pair) <= max(before, MAX)
    await pair.calm_is_prompt()
    await pair.was_foreseen()
    await restore(pair, kept)
    await ends_well(pair, moment)


@pytest.mark.parametrize("moment", OFTEN)
@pytest.mark.parametrize("kind, name", OURS)
async def test_what_is_ours(kind: str, name: str, moment: str) -> None:
    """It comes back by itself, but for a primary of which nothing but an unproved template is left.

    Without a primary the canary has everybody: nobody else could serve them.
    """
    pair = await begun(moment)
    before = 100 if (kind, name) == ("Deployment", "sick-primary") else await weight(pair)
    await pair.stage.delete(kind, name, "sick")
    for _ in range(PATIENCE_SECONDS):
        await pair.stage.clock.sleep(1)
        assert await weight(pair) <= max(before, MAX)
    await pair.calm_is_prompt()
    await pair.was_foreseen()
    if (kind, name) == ("Deployment", "sick-primary") and not await is_there(pair, kind, name):
        await pair.tells(r"sick-primary\.sick (does not exist|not ready: it does not exist)")
        await pair.stage.set_image("sick", "sick", image("sick", "1"), "sick")
        await pair.stage.clock.sleep(4 * POD_SECONDS)
        assert await is_there(pair, kind, name)
        moment = "Initialized"
    # After a failed run nobody knows whether the target's configs are those that the primary had.
    assert await is_there(pair, kind, name) or (kind, moment) == ("ConfigMap", "Failed")
    await ends_well(pair, moment)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_the_canary_itself(moment: str) -> None:
    """Everything of ours goes with it, the target is left as it is, and a new Canary of that name begins anew."""
    pair = await begun(moment)
    kept: dict[str, Any] = await pair.stage.get("Canary", "sick", "sick")
    await pair.stage.delete("Canary", "sick", "sick")
    await pair.calm_is_prompt()
    await pair.was_foreseen()
    for kind, name in OURS:
        if (kind, name) != ("Service", "sick"):
            assert not await is_there(pair, kind, name), name
    assert await is_there(pair, "Deployment", "sick")
    await pair.stage.set_image("sick", "sick", image("sick", "2"), "sick")
    await restore(pair, kept)
    await pair.phase("sick", "Initialized")
    await ends_well(pair, "Initialized")
