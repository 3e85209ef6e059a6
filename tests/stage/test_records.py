"""The records of releases on an API server: what they hold, how many are kept, and what a release does without them."""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.admission.errors import ApiError
from pyflagger.api.crds import crds
from pyflagger.kube.errors import NotFound
from pyflagger.kube.resources import RELEASES
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from pyflagger_sandbox.apiserver.messages import Request
from stage.manifests import INTERVAL, MAX, STEP, analysis, canary, deployment, image, ingress, settings
from stage.stage import Stage, healthy, vector

pytestmark = pytest.mark.looptime

RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}


class Play:
    """A canary `shop` and its releases."""

    def __init__(self, **options: Any) -> None:
        self.stage = Stage(self._answer, **options)
        self.success = "100"
        self.version = 1

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector(self.success))
        return await healthy(request)

    async def begin(self) -> None:
        """To Initialized."""
        await self.stage.start()
        await self.stage.namespace("test")
        made = canary("shop", analysis=analysis(threshold=1, metrics=[RATE]))
        for obj in (settings("shop"), deployment("shop"), ingress("shop"), made):
            await self.stage.create(obj)
        await self.until("Initialized")

    async def change(self, version: int) -> None:
        """Another image."""
        await self.stage.set_image("shop", "shop", image("shop", str(version)))

    async def until(self, *phases: str) -> None:
        """Wait for a phase, and until the pods of the canary are gone."""
        end = self.stage.clock.now() + 400
        while (await self.stage.status("shop")).get("phase") not in phases:
            assert self.stage.clock.now() < end, f"never {phases}: {await self.stage.status('shop')}"
            await self.stage.clock.sleep(0.25)
        await self.stage.clock.sleep(3)

    async def weight(self, least: int) -> None:
        """Wait until the canary has this weight."""
        while (await self.stage.status("shop")).get("canaryWeight", 0) < least:
            await self.stage.clock.sleep(0.25)

    async def release(self, version: int) -> None:
        """A release that is promoted."""
        await self.change(version)
        await self.until("Progressing")
        await self.until("Succeeded")

    async def records(self) -> dict[int, Obj]:
        """All records by number."""
        found = await self.stage.client.call("GET", RELEASES.path("test"))
        return {each["spec"]["number"]: each for each in found["items"]}

    async def outcomes(self) -> dict[int, str]:
        """How each release ended, as status and label say alike."""
        found = await self.records()
        for each in found.values():
            assert each["metadata"]["labels"]["flagger.app/outcome"] == each["status"]["outcome"]
        return {number: found[number]["status"]["outcome"] for number in sorted(found)}

    def asked(self) -> list[str]:
        """The verbs of the operator's requests to records."""
        return [each.verb for each in self.stage.audit if each.agent == "flagger" and "canaryreleases" in each.path]


async def test_a_good_release() -> None:
    """Its plan, its rounds with their results, its end and its template; two requests, and none that reads."""
    play = Play()
    await play.begin()
    await play.release(2)
    assert play.asked() == ["post", "post", "patch"]
    found = await play.records()
    first, second = found[1], found[2]
    assert first["status"]["outcome"] == "Initialized" and first["spec"]["cause"] == "initial"
    assert second["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is False
    spec, status = second["spec"], second["status"]
    assert spec["from"] == {"number": 1, "revision": first["spec"]["revision"]}
    assert spec["images"] == [{"container": "shop", "old": image("shop", "1"), "new": image("shop", "2")}]
    assert spec["changes"] == ["containers[shop].image"] and spec["cause"] == "template"
    assert spec["plan"]["weights"] == [STEP, MAX] and spec["checks"][0]["min"] == 99
    assert (status["outcome"], status["weight"]) == ("Promoted", MAX) and "took" in status
    ends = [(each["weight"], each["end"], each["checks"][0]["verdict"]) for each in status["rounds"]]
    assert ends == [(STEP, "advanced", "pass"), (MAX, "promoted", "pass")]
    assert status["template"]["spec"]["containers"][0]["image"] == image("shop", "2")


async def test_a_bad_release() -> None:
    """Why it ended, and no template."""
    play = Play()
    await play.begin()
    await play.change(2)
    await play.weight(STEP)
    play.success = "50"
    await play.until("Failed")
    status = (await play.records())[2]["status"]
    assert (status["outcome"], status["failedChecks"], status["weight"]) == ("RolledBack", 1, STEP)
    assert "success rate 50.00% < 99%" in status["reason"]["text"]
    assert status["rounds"][-1]["end"] == "halted" and status["rounds"][-1]["checks"][0]["verdict"] == "bad"
    assert "template" not in status and "templateOmitted" not in status


async def test_another_revision_and_the_promoted_one_again() -> None:
    """The first one is superseded, and the second one is cancelled."""
    play = Play()
    await play.begin()
    await play.change(2)
    await play.weight(STEP)
    await play.change(3)
    await play.until("Progressing")
    await play.change(1)
    await play.until("Initialized")
    assert await play.outcomes() == {1: "Initialized", 2: "Superseded", 3: "Cancelled"}


async def test_old_records_go() -> None:
    """Two are kept, and those of the promoted release and of the one before it."""
    play = Play(release_history=2)
    await play.begin()
    await play.release(2)
    for version in (3, 4, 5):
        await play.change(version)
        await play.weight(STEP)
        play.success = "50"
        await play.until("Failed")
        play.success = "100"
    assert await play.outcomes() == {1: "Initialized", 2: "Promoted", 4: "RolledBack", 5: "RolledBack"}
    before = len(play.asked())
    await play.release(6)
    assert play.asked()[before:] == ["post", "patch", "delete", "delete"], "the replaced one goes, too"
    assert await play.outcomes() == {2: "Promoted", 5: "RolledBack", 6: "Promoted"}


async def test_nothing_is_asked_at_rest_or_without_history() -> None:
    """An operator that starts beside idle canaries reads no record, and one with 0 writes none."""
    play = Play(release_history=0)
    await play.begin()
    await play.release(2)
    assert play.asked() == [] and await play.records() == {}
    await play.stage.stop_operator()
    await play.stage.start_operator()
    await play.stage.clock.sleep(5 * INTERVAL)
    assert play.asked() == []


async def test_what_a_release_costs() -> None:
    """Two requests more than without records, and a third one that deletes the oldest."""

    async def requests(history: int) -> list[int]:
        play, costs = Play(release_history=history), list[int]()
        await play.begin()
        for version in (2, 3, 4):
            before = sum(each.agent == "flagger" and each.verb != "watch" for each in play.stage.audit)
            await play.release(version)
            costs.append(sum(each.agent == "flagger" and each.verb != "watch" for each in play.stage.audit) - before)
        await play.stage.stop()
        return costs

    without, found = await requests(0), await requests(1)
    print(without, found)
    assert [more - less for more, less in zip(found, without, strict=True)] == [2, 3, 3]


@pytest.mark.parametrize("status", [403, 422])
async def test_records_are_refused(status: int) -> None:
    """The release goes on, and flagger does not ask again."""
    play = Play()

    def strikes(request: Request) -> bool:
        return request.agent == "flagger" and "canaryreleases" in request.path

    play.stage.server.faults.fail(lambda _: ApiError(status, "No", "not here", {}), strikes, times=1_000_000)
    await play.begin()
    await play.release(2)
    assert play.asked() == ["post"]


async def test_the_definition_is_missing() -> None:
    """The same."""
    play = Play()
    play.stage.crds = [each for each in crds() if each["spec"]["names"]["kind"] != "CanaryRelease"]
    await play.begin()
    await play.release(2)
    assert play.asked() == ["post"]


async def test_a_canary_that_another_operator_left() -> None:
    """Its primary's release gets a record with its template, once, and the next release counts on."""
    play = Play(release_history=0)
    await play.begin()
    await play.stage.stop_operator()
    await play.stage.client.call(
        "PATCH",
        "/apis/flagger.app/v1beta1/namespaces/test/canaries/shop/status",
        {"status": {"release": None}},
        "application/merge-patch+json",
    )
    play.stage.options = Stage(release_history=10).options
    await play.stage.start_operator()
    await play.stage.clock.sleep(INTERVAL)
    (first,) = (await play.records()).values()
    assert first["spec"]["cause"] == "adopted" and "template" in first["status"]
    await play.release(2)
    assert await play.outcomes() == {1: "Initialized", 2: "Promoted"}


async def failed_without_primary(play: Play) -> Obj:
    """A release fails, and somebody deletes the primary. Returns the primary as it was."""
    await play.begin()
    play.success = "50"
    await play.change(2)
    await play.until("Progressing")
    await play.until("Failed")
    found = await play.stage.get("Deployment", "shop-primary")
    await play.stage.delete("Deployment", "shop-primary")
    return found


async def test_a_deleted_primary_is_made_again_from_its_record() -> None:
    """With the template and the configs that it had, although the target has another template."""
    play = Play()
    before = await failed_without_primary(play)
    await play.stage.clock.sleep(5)
    again = await play.stage.get("Deployment", "shop-primary")
    images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in (before, again)]
    assert images == [image("shop", "1")] * 2
    sources = [each["spec"]["template"]["spec"]["containers"][0]["envFrom"] for each in (before, again)]
    assert sources == [[{"configMapRef": {"name": "shop-env-primary"}}]] * 2
    assert again["spec"]["replicas"] == 2 and again["status"]["availableReplicas"] == 2
    assert again["metadata"]["annotations"] == before["metadata"]["annotations"]
    play.success = "100"
    await play.release(3)
    assert await play.outcomes() == {1: "Initialized", 2: "RolledBack", 3: "Promoted"}


async def test_a_record_that_somebody_changed() -> None:
    """No pod runs a template that flagger did not judge: the canary stays blocked, and says why."""
    play = Play()
    await play.begin()
    template = (await play.records())[1]["status"]["template"]
    template["spec"]["containers"][0]["image"] = "evil"
    await play.stage.client.call(
        "PATCH", f"{RELEASES.path('test')}/shop-1", {"status": {"template": template}}, "application/merge-patch+json"
    )
    play.success = "50"
    await play.change(2)
    await play.until("Progressing")
    await play.until("Failed")
    await play.stage.delete("Deployment", "shop-primary")
    await play.stage.clock.sleep(30)
    (blocked,) = [c for c in (await play.stage.status("shop"))["conditions"] if c["type"] == "Blocked"]
    assert "the template of release 1 is not that of its revision" in blocked["message"]
    asked = len(play.asked())
    await play.stage.clock.sleep(600)
    assert len(play.asked()) == asked, "a blocked canary asks again and again"
    with pytest.raises(NotFound):
        await play.stage.get("Deployment", "shop-primary")


async def test_a_config_of_the_recorded_template_is_gone() -> None:
    """The condition names it, and once it is back, the primary is."""
    play = Play()
    await play.begin()
    play.success = "50"
    container = {"name": "shop", "image": image("shop", "2"), "ports": [{"name": "http", "containerPort": 8080}]}
    await play.stage.patch("Deployment", "shop", {"spec": {"template": {"spec": {"containers": [container]}}}})
    await play.until("Progressing")
    await play.until("Failed")
    for kind, name in (("ConfigMap", "shop-env"), ("Deployment", "shop-primary")):
        await play.stage.delete(kind, name)
    await play.stage.clock.sleep(30)
    (blocked,) = [c for c in (await play.stage.status("shop"))["conditions"] if c["type"] == "Blocked"]
    assert "configmap shop-env.test" in blocked["message"]
