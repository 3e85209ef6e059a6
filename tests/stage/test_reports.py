"""Reports of users of such operators, built again in small: broken pods, GitOps controllers, autoscalers, deletions.

Where each comes from, and what else was tried: docs/contributing/tried.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage import targets
from stage.manifests import analysis, canary, image, ingress, scaler
from stage.stage import MERGE, Stage, healthy, vector
from stage.targets import daemonset, iterated, plain
from stage.visitors import Visitors

pytestmark = pytest.mark.looptime

PODS = "/api/v1/namespaces/test/pods"
HPA = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "shop"}
DEADLINE = 60
SERVICE: Obj = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop"},
    "spec": {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}


class Report:
    """A cluster as a report describes it, the visitors of `shop`, and what people and controllers do to it."""

    def __init__(self, provider: str = "nginx", takes: float = 0.0) -> None:
        self.bad = False
        self.stage = Stage(self._answer)
        self.stage.pods_take = takes
        self.visitors = Visitors(self.stage, provider)

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if self.bad and "/api/v1/query" in request.url and "vector" not in request.url:
            return HttpAnswer(200, vector("50"))
        return await healthy(request)

    async def begin(self, *objs: Obj, **parts: Any) -> None:
        """To Initialized; visitors come from then on."""
        await self.stage.start(**parts)
        await self.stage.namespace("test")
        for obj in objs:
            await self.stage.create(obj)
        await self.phase("Initialized")
        await self.visitors.start()
        self.began = self.visitors.now

    async def phase(self, *wanted: str, seconds: float = 400) -> float:
        """Wait for a phase; how many seconds that took."""
        began = self.stage.clock.now()
        while (status := await self.stage.status("shop")).get("phase") not in wanted:
            assert self.stage.clock.now() < began + seconds, (status, await self.told())
            await self.stage.clock.sleep(0.5)
        return self.stage.clock.now() - began

    async def weight(self, wanted: int) -> None:
        """Wait for the canary's share."""
        while (await self.stage.status("shop")).get("canaryWeight", 0) < wanted:
            await self.stage.clock.sleep(0.5)

    async def image(self, version: str, container: str = "shop", kind: str = "Deployment") -> None:
        """A new version."""
        await self.stage.set_image("shop", container, image("shop", version), kind=kind)

    async def crash(self, of: str, version: str, seconds: int) -> None:
        """For so long, every pod of the primary or of the canary that runs a version is not ready."""
        for _ in range(seconds):
            for pod in (await self.stage.client.call("GET", PODS))["items"]:
                name, conditions = pod["metadata"]["name"], pod["status"].get("conditions") or []
                mine = ("-primary-" in name) == (of == "primary")
                if mine and pod["spec"]["containers"][0]["image"].endswith(version):
                    down = [{**each, "status": "False" if "Ready" in each["type"] else "True"} for each in conditions]
                    if down != conditions:
                        body = {"status": {"conditions": down}}
                        await self.stage.client.call("PATCH", f"{PODS}/{name}/status", body, MERGE)
            await self.stage.clock.sleep(1)

    async def told(self) -> list[str]:
        """The texts of the Canary's Events."""
        listed = await self.stage.client.call("GET", "/api/v1/namespaces/test/events")
        return [each["message"] for each in listed["items"] if each["involvedObject"]["kind"] == "Canary"]

    async def conditions(self) -> dict[str, str]:
        """Their messages by type."""
        return {each["type"]: each["message"] for each in (await self.stage.status("shop"))["conditions"]}

    async def runs(self) -> str:
        """The image of the primary."""
        primary = await self.stage.get("Deployment", "shop-primary")
        return str(primary["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]

    @property
    def failed(self) -> int:
        """Visits that failed."""
        return self.visitors.failed(self.began)


def shop(**more: Any) -> tuple[Obj, ...]:
    """The usual objects."""
    return plain("shop"), ingress("shop"), canary("shop", progressDeadlineSeconds=DEADLINE, **more)


async def test_a_primary_that_crashes_does_not_hold_up_its_fix() -> None:
    """The fix is judged on its own pods a deadline after the crash, and promoted; nobody waits for the old pods."""
    report = Report()
    await report.begin(*shop(autoscalerRef=HPA), scaler("shop"))
    await report.crash("primary", ":1", 5)
    await report.image("2")
    await report.crash("primary", ":1", DEADLINE)
    assert await report.phase("Succeeded", "Failed") < 100
    assert (await report.stage.status("shop"))["phase"] == "Succeeded" and await report.runs() == "2"
    covered = "shop.test gets all traffic as soon as it is ready, and is judged with it"
    assert any(text.endswith(covered) for text in await report.told())
    assert report.failed <= 50 * (DEADLINE + 15)


async def test_a_daemonset_whose_primary_crashes() -> None:
    """Its status knows no time: the deadline counts from when the release had to wait."""
    report = Report("kubernetes")
    ref = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "shop"}
    spec = {"provider": "kubernetes", "targetRef": ref, "analysis": iterated(), "progressDeadlineSeconds": DEADLINE}
    await report.begin(daemonset("shop"), canary("shop", **spec))
    await report.crash("primary", ":1", 5)
    await report.image("2", kind="DaemonSet")
    assert await report.phase("Succeeded", "Failed") < 2 * DEADLINE
    assert (await report.stage.status("shop"))["phase"] == "Succeeded"


async def test_visitors_leave_a_canary_that_crashes() -> None:
    """At once, and not by the deadline; pods that come and go are failed checks."""
    report = Report()
    target, route, made = shop()
    made["spec"]["progressDeadlineSeconds"] = 300
    await report.begin(target, route, made)
    await report.image("2")
    await report.weight(25)
    await report.crash("canary", ":2", 320)
    assert (await report.stage.status("shop"))["phase"] == "Failed"
    lost = "Halt shop.test advancement no pod of shop.test is available: all traffic goes to the primary"
    assert (await report.told()).count(lost) == 1
    assert 0 < report.failed <= 50 * 0.25 * 3


@pytest.mark.parametrize("every", [6, 20, 60])
async def test_helm_resets_the_selector_again_and_again(every: int) -> None:
    """The Service selects nobody's pods then: it is mended at once, however often that was in vain."""
    report = Report()
    await report.begin(SERVICE, *shop())
    path, theirs = "/api/v1/namespaces/test/services/shop", {"spec": {"selector": {"app": "shop"}}}
    astray = 0
    for at in range(300):
        if at % every == 0:
            await report.stage.client.call("PATCH", path, theirs, MERGE)
        await report.stage.clock.sleep(1)
        astray += (await report.stage.get("Service", "shop"))["spec"]["selector"] != {"app": "shop-primary"}
    assert astray == 0


async def test_slow_pods_at_the_promotion() -> None:
    """Readiness takes forty seconds: the canary keeps its pods until the primary's are ready."""
    report = Report(takes=40.0)
    target, route, made = shop()
    made["spec"]["progressDeadlineSeconds"] = 300
    await report.begin(target, route, made)
    await report.image("2")
    await report.phase("Succeeded")
    assert report.failed == 0 and await report.runs() == "2"


async def test_a_sidecar_that_never_gets_ready() -> None:
    """The deadline ends the run, with an alert's text, and the next version is released."""
    report = Report()
    target, route, made = shop()
    target["spec"]["template"]["spec"]["containers"].append({"name": "agent", "image": image("shop", "1")})
    await report.begin(target, route, made)
    await report.image("broken", container="agent")
    assert await report.phase("Failed") <= DEADLINE + 5
    assert "progress deadline exceeded" in (await report.conditions())["Halted"]
    await report.image("2", container="agent")
    await report.phase("Succeeded")
    assert report.failed == 0


async def test_a_promotion_that_failed_without_analysis_is_mended_by_the_next_version() -> None:
    """The canary serves meanwhile."""
    report = Report()
    await report.begin(*shop(skipAnalysis=True))
    await report.image("brokenprimary")
    await report.phase("Failed")
    await report.image("3")
    await report.phase("Succeeded")
    assert report.failed == 0 and await report.runs() == "3"


async def test_a_failed_release_is_retried_by_the_pod_template_alone() -> None:
    """An annotation of the Deployment is none of the pods'; putting the old version back restarts no pod."""
    report = Report()
    report.bad = True
    await report.begin(*shop())
    uids = {pod["metadata"]["uid"] for pod in (await report.stage.client.call("GET", PODS))["items"]}
    await report.image("2")
    await report.phase("Failed")
    report.bad = False
    await report.stage.patch("Deployment", "shop", {"metadata": {"annotations": {"retry": "1"}}})
    await report.image("1")
    await report.stage.clock.sleep(60)
    assert (await report.stage.status("shop"))["phase"] == "Failed"
    left = {pod["metadata"]["uid"] for pod in (await report.stage.client.call("GET", PODS))["items"]}
    assert left and left <= uids
    await report.image("2")
    await report.phase("Succeeded")
    assert report.failed == 0


async def test_replicas_and_image_in_one_upgrade() -> None:
    """Without an autoscaler the primary gets the new size with the new version."""
    report = Report()
    await report.begin(*shop())
    await report.stage.patch("Deployment", "shop", {"spec": {"replicas": 4}})
    await report.image("2")
    await report.phase("Succeeded")
    assert (await report.stage.get("Deployment", "shop-primary"))["spec"]["replicas"] == 4
    assert report.failed == 0


async def test_deleting_a_canary_with_slow_pods() -> None:
    """The user's Service leads to the target again when its pods are ready, not before."""
    report = Report("kubernetes", takes=40.0)
    await report.begin(SERVICE, scaler("shop"), *shop(autoscalerRef=HPA, revertOnDeletion=True))
    await report.stage.delete("Canary", "shop")
    for _ in range(120):
        await report.stage.clock.sleep(1)
        assert report.visitors.pods["shop"][-1][1]
    assert (await report.stage.get("Service", "shop"))["spec"]["selector"] == {"app": "shop"}
    assert (await report.stage.get("Deployment", "shop"))["status"]["readyReplicas"] == 2


async def test_a_scaled_object_stays_unpaused_after_a_failure() -> None:
    """A new revision after a failed release begins, and the primary's ScaledObject never inherits the pause."""
    report, cast = Report(), targets.KEDA
    report.bad = True
    await report.begin(*cast.objects, cast.canary, definitions=cast.definitions, controllers=cast.controllers)
    await report.image("2")
    await report.phase("Failed")
    report.bad = False
    body = {"spec": {"template": {"spec": {"hostUsers": False}}}}
    await report.stage.patch("Deployment", "shop", body)
    await report.phase("Progressing", seconds=20)
    await report.phase("Succeeded")
    notes = (await report.stage.get("ScaledObject", "shop-primary"))["metadata"].get("annotations") or {}
    assert "autoscaling.keda.sh/paused-replicas" not in notes


async def test_an_ingress_of_many_paths_and_no_annotations() -> None:
    """Each path of each rule gets a twin; empty annotations and a rule without a host are fine."""
    report = Report()
    target, route, made = shop(analysis=analysis())
    backend = route["spec"]["rules"][0]["http"]["paths"][0]["backend"]
    paths = [{"path": f"/path{n}/", "pathType": "Prefix", "backend": backend} for n in range(4)]
    route["metadata"]["annotations"] = {}
    route["spec"]["rules"] = [{"host": "ui.example", "http": {"paths": paths[:1]}}, {"http": {"paths": paths[1:]}}]
    await report.begin(target, route, made)
    await report.image("2")
    await report.weight(25)
    twin = await report.stage.get("Ingress", "shop-canary")
    led = [path["backend"]["service"]["name"] for rule in twin["spec"]["rules"] for path in rule["http"]["paths"]]
    assert led == ["shop-canary"] * 4
    await report.phase("Succeeded")
