"""The pages and documents of a dashboard over a cluster on virtual time."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from dashboard.browsing import dashboard
from pyflagger.api.settings import NAME
from pyflagger.dashboard.objects import found_object
from pyflagger.kube.protocol import ApiRequest
from pyflagger.kube.resources import CONFIG_MAPS, SECRETS
from pyflagger.objects import Key
from pyflagger.seeing.settings import AGAIN_SECONDS
from seeing.test_single import Scene
from seeing.test_waiting import release
from stage import manifests

pytestmark = pytest.mark.looptime


async def moving(scene: Scene) -> None:
    """A release at its first step."""
    await scene.begin()
    await release(scene, "2")
    while (await scene.stage.status("shop")).get("canaryWeight") != 25:
        await scene.stage.clock.sleep(1)


def words(page: str) -> str:
    """The text of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


async def test_the_fleet() -> None:
    """A row, the counts, the context and the user."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        page = await shown.browser.get("/")
        told = words(page.text)
        assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
        assert "context prod user ann" in told and "1 ▶ moving" in told and "0 ⊘ blocked" in told
        assert 'href="/c/test/shop"' in page.text and "25 % 1/2 0/2" in told
        assert "1 → 2" in told


async def test_a_fleet_that_changes() -> None:
    """A row that is at rest is computed once, and again when its canary changes."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene) as shown:
        (first,) = shown.fleet.rows
        rung = shown.fleet.bell.rung
        await scene.stage.clock.sleep(60)
        assert shown.fleet.rows[0] is first and shown.fleet.bell.rung == rung
        await release(scene, "2")
        await scene.until("Progressing")
        await scene.stage.clock.sleep(2)
        assert "1 ▶ moving" in words((await shown.browser.get("/")).text)


@pytest.mark.parametrize(
    ("query", "found"),
    [("?q=sho", True), ("?q=nothing", False), ("?ns=test", True), ("?ns=other", False), ("?verdict=moving", True),
     ("?verdict=idle", False), ("?verdict=nonsense", True), ("?page=999", True), ("?page=-1", True), ("?sort=x", True)],
)  # fmt: skip
async def test_filters(query: str, found: bool) -> None:
    """In the address; values that make no sense are the default."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        page = await shown.browser.get(f"/{query}")
        assert ('href="/c/test/shop"' in page.text, page.status) == (found, 200)
        assert ("No canary matches." in page.text) != found


async def test_a_release_under_way() -> None:
    """The split of traffic, the steps, the checks, the pods, the events and the objects."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        told = words((await shown.browser.get("/c/test/shop")).text)
        assert "Ingress shop-canary sends 75 % to the primary and 25 % to the canary." in told
        assert "To the canary 25 %" in told and "Step 1 of 2" in told and "Judged again at" in told
        assert "now: 25 % to come: 50 % to come: promotion" in told
        assert "· request-success-rate – % not judged yet at least 99 %" in told
        assert "All is well" in told and "Advance shop.test canary weight 25" in told
        assert "primary , 75 %: Deployment shop-primary, 2 of 2 ready" in told
        assert "Inside the cluster: Service shop , port 80" in told
        while (await scene.stage.status("shop")).get("canaryWeight") != 50:
            await scene.stage.clock.sleep(1)
        await scene.stage.clock.sleep(2)
        told = words((await shown.browser.get("/c/test/shop")).text)
        assert "✔ request-success-rate 100 % at least 99 %" in told and "done: 25 % now: 50 %" in told


async def test_a_failing_release() -> None:
    """The cause is on the page, and the check that failed is marked."""
    scene = Scene()
    await scene.begin()
    scene.bad = True
    await release(scene, "2")
    while (await scene.stage.status("shop")).get("failedChecks") != 1:
        await scene.stage.clock.sleep(1)
    async with dashboard(scene) as shown:
        page = await shown.browser.get("/c/test/shop")
        told = words(page.text)
        assert "▼ failing" in told and "Why it stands" in told and "✖ request-success-rate : bad 50 %" in told
        assert "check c-bad" in page.text


async def test_the_settings_of_the_operator() -> None:
    """They stand on the page as published, and the document says that they are known. Without the right: assumed.

    While the page is open, the ConfigMap is read once in AGAIN_SECONDS. Users may not watch it.
    """
    scene = Scene(ingress_annotations_prefix="custom.example")
    scene.stage.home = "flagger-system"
    await scene.stage.namespace("flagger-system")
    await moving(scene)
    async with dashboard(scene) as shown:
        page = words((await shown.browser.get("/c/test/shop")).text)
        assert "ingress-annotations-prefix custom.example" in page and "mesh-provider nginx" in page
        assert "assumes the defaults" not in page
        document = (await shown.browser.get("/api/v1/namespaces/test/canaries/shop")).json
        assert document["operator"]["settings"] == "known" and document["traffic"]["source"] == "route"
        opened = await shown.canaries.open(Key("test", "shop"))
        opened.viewers += 1
        await scene.stage.clock.sleep(AGAIN_SECONDS / 2)
        assert len(asked_for(shown.person.asked, NAME)) == 1
        await scene.stage.patch("ConfigMap", NAME, {"data": {"ingress-class": "other"}}, "flagger-system")
        await scene.stage.clock.sleep(AGAIN_SECONDS)
        assert opened.sight is not None and opened.sight.settings["ingress-class"] == "other"
    async with dashboard(scene, lambda request: "/configmaps/" in request.path) as shown:
        assert "this page assumes the defaults" in words((await shown.browser.get("/c/test/shop")).text)


def asked_for(paths: Sequence[str], name: str) -> list[str]:
    """The paths that end with a name."""
    return [path for path in paths if path.endswith(f"/{name}")]


async def test_objects_as_yaml() -> None:
    """Those of the canary, and no Secret or ConfigMap; another canary's are not there."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        for kind, name in (("Canary", "shop"), ("Deployment", "shop-primary"), ("Ingress", "shop-canary")):
            page = await shown.browser.get(f"/c/test/shop/objects/{kind}/{name}")
            assert page.status == 200 and f"kind: {kind}" in page.text and "managedFields" not in page.text
        for kind, name in (("ConfigMap", "shop-env"), ("Secret", "x"), ("Deployment", "other")):
            assert (await shown.browser.get(f"/c/test/shop/objects/{kind}/{name}")).status == 404


async def test_secrets_are_no_objects() -> None:
    """Not even if a later read model reads one."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene) as shown:
        sight = (await shown.canaries.open(Key("test", "shop"))).sight
        assert sight is not None
        for resource in (SECRETS, CONFIG_MAPS):
            obj = {"apiVersion": "v1", "kind": resource.kind, "metadata": {"name": "x", "namespace": "test"}}
            sight.look.cache.put(resource, resource.ref("test", "x"), obj)
            assert found_object(sight, resource.kind, "x") is None
        assert found_object(sight, "Canary", "shop") is not None


async def test_documents() -> None:
    """The same as `-o json` of the commands."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        one = "/api/v1/namespaces/test/canaries/shop"
        found = {path: await shown.browser.get(path) for path in ("/api/v1/whoami", "/api/v1/canaries", one,
                                                                   f"{one}/explain", f"{one}/events")}  # fmt: skip
        assert {answer.status for answer in found.values()} == {200}
        assert [answer.json["kind"] for answer in found.values()] == [
            "Who", "Fleet", "CanaryView", "Explanation", "EventList"
        ]  # fmt: skip
        assert found["/api/v1/whoami"].json["user"] == "ann"
        assert found["/api/v1/canaries"].json["items"][0]["name"] == "shop"
        assert found[one].json["traffic"]["canary"] == 25
        assert (await shown.browser.get("/api/v1/canaries?verdict=idle")).json["items"] == []
        shown.fleet.rows = [*shown.fleet.rows] * 3
        pages = [(await shown.browser.get(f"/api/v1/canaries?limit=2&continue={at}")).json for at in (0, 2)]
        assert [(len(each["items"]), each["continue"]) for each in pages] == [(2, "2"), (1, "")]
        assert (await shown.browser.get("/api/v1/canaries?limit=x")).status == 400
        for selector, count in (("!team", 3), ("team", 0), ("team%20notin%20(a,b)", 3)):
            chosen = await shown.browser.get(f"/api/v1/canaries?selector={selector}")
            assert len(chosen.json["items"]) == count
        assert (await shown.browser.get("/api/v1/canaries?selector=%3D")).status == 400


async def test_nothing_there() -> None:
    """A page and a problem document, with what to do."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene) as shown:
        page = await shown.browser.get("/c/test/other")
        assert page.status == 404 and "flagger" in page.text
        problem = await shown.browser.get("/api/v1/namespaces/test/canaries/other")
        assert problem.status == 404 and problem.headers["Content-Type"].startswith("application/problem+json")
        assert problem.json["title"] == "Not Found" and problem.json["fault"]
        assert (await shown.browser.get("/nowhere")).status == 404


async def test_parts_that_the_user_may_not_see() -> None:
    """They are named, and the rest is shown."""

    def pods(request: ApiRequest) -> bool:
        return request.path.endswith("/pods")

    scene = Scene()
    await moving(scene)
    async with dashboard(scene, pods) as shown:
        told = words((await shown.browser.get("/c/test/shop")).text)
        assert "Not visible to you: pods" in told and "25 % to the canary" in told


async def test_one_namespace_at_a_time() -> None:
    """Where one list of all is forbidden, the namespaces that may be listed are shown, and the others are counted."""

    def all_or_hidden(request: ApiRequest) -> bool:
        return request.path in (
            "/apis/flagger.app/v1beta1/canaries",
            "/apis/flagger.app/v1beta1/namespaces/hidden/canaries",
        )

    scene = Scene()
    await moving(scene)
    await scene.stage.namespace("hidden")
    async with dashboard(scene, all_or_hidden) as shown:
        told = words((await shown.browser.get("/")).text)
        assert "shop" in told and shown.fleet.hidden == 1
        assert "You may not list the canaries of 1 more namespaces." in told


async def test_the_api_server_goes_away() -> None:
    """The pages stay and say since when they are stale; they say nothing of it afterwards."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        await shown.browser.get("/c/test/shop")
        shown.person.away = True
        scene.stage.server.break_watches()
        await scene.stage.clock.sleep(20)
        for path in ("/", "/c/test/shop"):
            page = await shown.browser.get(path)
            assert page.status == 200 and "Stale since" in page.text and "connection refused" in page.text
        assert (await shown.browser.get("/c/test/other")).status == 503
        shown.person.away = False
        await scene.stage.clock.sleep(60)
        assert "Stale since" not in (await shown.browser.get("/")).text


async def test_a_canary_that_no_page_shows_is_followed_no_more() -> None:
    """Its watches end after a while."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        await shown.browser.get("/c/test/shop")
        opened = await shown.canaries.open(Key("test", "shop"))
        await scene.stage.clock.sleep(100)
        assert await shown.canaries.open(Key("test", "shop")) is not opened


async def test_a_canary_that_is_deleted() -> None:
    """The row goes, the page is not found."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene) as shown:
        await shown.browser.get("/c/test/shop")
        await scene.stage.delete("Canary", "shop")
        await scene.stage.clock.sleep(30)
        assert "has no canaries yet" in (await shown.browser.get("/")).text
        assert (await shown.browser.get("/c/test/shop")).status == 404


EVIL = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'><hx-partial hx-target='body'>"


async def test_markup_in_every_text_of_others() -> None:
    """Names of metrics and hooks, messages of conditions and Events, images, labels: all are text."""
    scene = Scene()
    metric = {"name": EVIL, "query": EVIL, "interval": "1m", "thresholdRange": {"min": 1}}
    hook = {"name": EVIL, "type": "rollout", "url": "http://hook.example/"}
    await scene.begin(analysis=manifests.analysis(metrics=[metric], webhooks=[hook]))
    await release(scene, "2")
    await scene.stage.clock.sleep(30)
    status = {"conditions": [{"type": "Waiting", "status": "True", "reason": EVIL, "message": EVIL}]}
    await scene.stage.client.call(
        "PATCH", "/apis/flagger.app/v1beta1/namespaces/test/canaries/shop/status", {"status": status},
        "application/merge-patch+json",
    )  # fmt: skip
    event = {
        "metadata": {"name": "evil", "namespace": "test"}, "reason": EVIL, "message": EVIL, "type": "Warning",
        "involvedObject": {"kind": "Canary", "name": "shop", "namespace": "test"},
    }  # fmt: skip
    await scene.stage.client.call("POST", "/api/v1/namespaces/test/events", event)
    async with dashboard(scene) as shown:
        for path in ("/", f"/?q={EVIL.replace(' ', '+')}", "/c/test/shop", "/c/test/shop/objects/Canary/shop"):
            page = (await shown.browser.get(path)).text
            assert "<script>alert" not in page and "<img" not in page and "<hx-" not in page
        assert "&lt;script&gt;alert(1)" in (await shown.browser.get("/c/test/shop")).text


# Releases -------------------------------------------------------------------------------------------------------------


async def two_releases(scene: Scene) -> None:
    """A good release, and one that is rolled back."""
    await scene.begin()
    await release(scene, "2")
    await scene.until("Succeeded")
    scene.bad = True
    await release(scene, "3")
    await scene.until("Failed")


async def test_releases_of_a_canary() -> None:
    """A row each on the page of the canary, with its end, and the charts of the newest."""
    scene = Scene()
    await two_releases(scene)
    async with dashboard(scene) as shown:
        page = (await shown.browser.get("/c/test/shop")).text
        told = words(page)
        assert re.search(r"Release 3 ✖ rolled back 2 → 3 25 % 2/2", told)
        assert "Release 2 ✔ promoted 1 → 2 50 % 0/2" in told and "Release 1 ● initialized" in told
        assert "Checks release 3" in told and 'class="chart"' in page and 'href="/c/test/shop/releases/3"' in page


async def test_a_release() -> None:
    """Its end, its reason, what it changed, and each round as a point and as a row."""
    scene = Scene()
    await two_releases(scene)
    async with dashboard(scene) as shown:
        page = (await shown.browser.get("/c/test/shop/releases/3")).text
        told = words(page)
        for part in ("✖ rolled back", "Failed checks 2 of 2", "Instead of release 2", "containers[shop].image",
                     "canary by nginx", "25 ✖ 50 bad", "halted", "weight 25: 50 bad", "not kept"):  # fmt: skip
            assert part in told, part
        good = (await shown.browser.get("/c/test/shop/releases/2")).text
        assert "As promoted" in good and "image: registry.example/shop:2" in good and "✔ 100" in words(good)
        assert page.count('class="point m-bad"') == 2 and 'class="point m-bad"' not in good


async def test_a_release_under_way_has_rounds_that_are_not_written_yet() -> None:
    """The record is written once a minute; the last round is in the status."""
    scene = Scene()
    await moving(scene)
    while (await scene.stage.status("shop")).get("canaryWeight") != 50:
        await scene.stage.clock.sleep(1)
    async with dashboard(scene) as shown:
        page = (await shown.browser.get("/c/test/shop")).text
        assert "▶ under way 1 → 2 50 %" in words(page) and page.count('class="point m-pass"') == 1
        assert "It is under way" in (await shown.browser.get("/c/test/shop/releases/2")).text


async def test_two_releases_beside_each_other() -> None:
    """The smaller number first, whatever the order of the query: ends, charts of both, and the diff."""
    scene = Scene()
    await two_releases(scene)
    async with dashboard(scene) as shown:
        pages = [
            (await shown.browser.get(f"/c/test/shop/compare?{query}")).text for query in ("from=3&to=2", "from=2&to=3")
        ]
        assert pages[0] == pages[1]
        told = words(pages[0])
        assert "Release 2 Release 3" in told and "✔ promoted ✖ rolled back" in told
        assert "release 3, after" in told and "release 2, after" in told
        assert "-template.spec.containers[shop].image: registry.example/shop:2" in told
        assert (await shown.browser.get("/c/test/shop/compare?from=2&to=2")).text.count(
            "Nothing that the records keep differs."
        )


@pytest.mark.parametrize("path", ["releases/9", "releases/x", "releases/-1", "compare", "compare?from=1&to=9",
                                  "compare?from=²&to=1", "releases/99999999999999999999"])  # fmt: skip
async def test_releases_that_are_not_there(path: str) -> None:
    """404, with the numbers that there are."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene) as shown:
        page = await shown.browser.get(f"/c/test/shop/{path}")
        assert page.status == 404 and "there are: 1" in page.text
        document = await shown.browser.get("/api/v1/namespaces/test/canaries/shop/releases/9")
        assert document.status == 404 and "there are: 1" in document.json["detail"]


async def test_documents_of_releases() -> None:
    """The same as `flagger history -o json`."""
    scene = Scene()
    await two_releases(scene)
    async with dashboard(scene) as shown:
        one = "/api/v1/namespaces/test/canaries/shop/releases"
        listed, found = await shown.browser.get(one), await shown.browser.get(f"{one}/2")
        assert listed.json["kind"] == "ReleaseList" and [each["number"] for each in listed.json["items"]] == [3, 2, 1]
        assert found.json["kind"] == "ReleaseRecord" and found.json["release"]["outcome"] == "Promoted"


async def test_the_timeline_without_events() -> None:
    """The record of the newest release tells it: begin, rounds and end, and the page says so."""
    scene = Scene()
    await moving(scene)
    await scene.until("Succeeded")
    async with dashboard(scene, lambda request: request.path.endswith("/events")) as shown:
        told = words((await shown.browser.get("/c/test/shop")).text)
        assert "began" in told and "round at weight 25: all passed Release 2" in told
        assert "From the record of the release" in told
    async with dashboard(scene) as shown:
        assert "From the record of the release" not in (await shown.browser.get("/c/test/shop")).text


async def test_what_users_did_stands_in_the_charts() -> None:
    """A flag at its time, with who and why, on the pages of the canary and of the release."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        token = (await shown.browser.get("/api/v1/whoami")).json["token"]
        headers = {"Content-Type": "application/json", "X-Flagger-Token": token}
        await scene.stage.clock.sleep(15)
        path = "/api/v1/namespaces/test/canaries/shop/actions"
        for action in ("pause", "resume"):
            body = json.dumps({"action": action, "reason": "to <look>"})
            assert (await shown.browser.post(path, body, **headers)).status == 201
            await scene.stage.clock.sleep(60)
        await scene.until("Succeeded")
        for page in ("/c/test/shop", "/c/test/shop/releases/2"):
            text = (await shown.browser.get(page)).text
            assert 'class="flagged"' in text and "pause by ann: to &lt;look&gt;</title>" in text


async def test_records_that_the_user_may_not_see() -> None:
    """Said so, and nothing else is missing. Without their definition there are none."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene, lambda request: "canaryreleases" in request.path) as shown:
        told = words((await shown.browser.get("/c/test/shop")).text)
        assert "Not visible to you: canaryreleases.flagger.app." in told and "100 % to the primary" in told
