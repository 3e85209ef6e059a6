"""Whole releases on the routes of meshes, in virtual time: each strategy, good and bad."""

from __future__ import annotations

import pytest

from pyflagger.objects import Obj
from stage.manifests import analysis
from stage.story import Story

pytestmark = pytest.mark.looptime

PROVIDERS = ("gatewayapi:v1", "gatewayapi:v1beta1", "istio")
TESTER = {"headers": {"x-canary": {"exact": "insider"}}}
AFFINITY = {"cookieName": "ck", "primaryCookieName": "pk"}
BY_WEIGHT = analysis()
ITERATED = {key: BY_WEIGHT[key] for key in ("interval", "threshold", "metrics")} | {"iterations": 2}


STORIES: list[tuple[str, Obj, bool, str]] = [
    ("weights", BY_WEIGHT, False, "Succeeded"),
    ("weights-bad", BY_WEIGHT, True, "Failed"),
    ("a-b", ITERATED | {"match": [TESTER]}, False, "Succeeded"),
    ("affinity", BY_WEIGHT | {"sessionAffinity": AFFINITY}, False, "Succeeded"),
    ("testers", BY_WEIGHT | {"testers": [TESTER]}, False, "Succeeded"),
    ("mirror", BY_WEIGHT | {"mirror": True, "mirrorWeight": 50}, False, "Succeeded"),
    ("blue-green", ITERATED, False, "Succeeded"),
]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("judged", "bad", "end"), [story[1:] for story in STORIES], ids=[story[0] for story in STORIES]
)
async def test_a_release(provider: str, judged: Obj, bad: bool, end: str) -> None:
    """Everybody is back on the primary at its end, whatever the end; weights rise in the steps asked for."""
    story = Story(provider, bad=bad, analysis=judged)
    await story.begin()
    await story.change()
    assert await story.until("Succeeded", "Failed") == end
    assert story.seen[0] == 0 and story.seen[-1] == 0
    if "stepWeight" in judged and not bad:
        assert [weight for weight in story.seen if weight] == [25, 50]
    if "match" in judged:
        assert story.seen == [0], "nobody else is led to the canary"
    if "sessionAffinity" in judged:
        status = await story.stage.status("shop")
        assert status["previousSessionAffinityCookie"].startswith("ck=")
        spec = (await story.route())["spec"]
        assert len(spec.get("rules") or spec["http"]) == 2, "the cookie is taken away"
