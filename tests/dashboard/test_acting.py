"""Act pages: what they show, what they ask for, and who is kept from them."""

from __future__ import annotations

import json
import re

import pytest

from dashboard.browsing import HOST, Browser, dashboard
from dashboard.test_pages import EVIL, moving, words
from pyflagger.dashboard.forms import FORMS
from pyflagger.dashboard.visit import ACTIONS_A_MINUTE
from pyflagger.kube.protocol import ApiRequest
from pyflagger.kube.resources import ACTIONS
from pyflagger.objects import Obj
from seeing.test_single import KEY, Scene

pytestmark = pytest.mark.looptime
CANARY = "/c/test/shop"
API = "/api/v1/namespaces/test/canaries/shop/actions"


async def asked(scene: Scene) -> list[Obj]:
    """The requests that the cluster has."""
    found = await scene.stage.client.call("GET", ACTIONS.path("test"))
    return list(found["items"])


async def form(browser: Browser, verb: str, **fields: str) -> dict[str, str]:
    """The form of an act page with its hidden fields, filled."""
    page = (await browser.get(f"{CANARY}/act/{verb}")).text
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)) | fields


@pytest.mark.parametrize("verb", FORMS)
async def test_pages(verb: str) -> None:
    """The effect, the images, the weight, the user, and the API server's answer to a dry run. It asks for nothing."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        page = await shown.browser.get(f"{CANARY}/act/{verb}")
        told = words(page.text)
        for part in (
            "Context prod",
            "25 % to the canary",
            "registry.example/shop:2",
            "Asked by ann",
            "2 of 2 pods ready",
        ):
            assert part in told, part
        assert "The API server accepts this request from you." in told and "disabled" not in page.text
        assert await asked(scene) == []


FIELDS = {
    "weight": {"weight": "40"},
    "open-gate": {"gate": "approve"},
    "close-gate": {"gate": "approve"},
    "undo": {"to": "1"},
}


@pytest.mark.parametrize("verb", FORMS)
async def test_requests(verb: str) -> None:
    """The form creates one, by the user, for the revision that the page showed, and leads to what becomes of it."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        filled = await form(shown.browser, verb, reason="a <b>reason</b>", **FIELDS.get(verb, {}))
        answer = await shown.browser.post(f"{CANARY}/act/{verb}", filled)
        assert answer.status == 303, answer.text
        (made,) = await asked(scene)
        spec, applied = made["spec"], (await scene.stage.status("shop"))["lastAppliedSpec"]
        assert (spec["by"], spec["via"], spec["canary"], spec["action"]) == (
            "ann", "dashboard", "shop", FORMS[verb].spec["action"]
        )  # fmt: skip
        assert spec.get("revision", "") == ("" if FORMS[verb].any_revision else applied)
        assert made["metadata"]["ownerReferences"][0]["name"] == "shop" and spec["expires"]
        page = await shown.browser.get(answer.headers["Location"])
        assert page.status == 200 and "Asked by ann" in words(page.text) and "a &lt;b&gt;reason" in page.text
        assert made["metadata"]["name"] in page.text


async def decide(scene: Scene, **status: str) -> None:
    """What the operator answers to the only request."""
    (made,) = await asked(scene)
    path = ACTIONS.path("test", made["metadata"]["name"])
    await scene.stage.client.call("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")


async def test_the_answer_of_the_operator() -> None:
    """The page loads itself again until there is one; the canary's page has it too."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        answer = await shown.browser.post(f"{CANARY}/act/pause", await form(shown.browser, "pause"))
        where = answer.headers["Location"]
        if not (await asked(scene))[0].get("status"):
            assert 'http-equiv="refresh"' in (await shown.browser.get(where)).text
        await decide(scene, state="Refused", code="copied", text=f"too late {EVIL}")
        page = (await shown.browser.get(where)).text
        assert "✖ refused" in words(page) and 'http-equiv="refresh"' not in page and "<script>alert" not in page
        await scene.stage.clock.sleep(1)
        canary = (await shown.browser.get(CANARY)).text
        assert "✖ refused pause by ann" in words(canary) and "<script>alert" not in canary


@pytest.mark.parametrize(
    ("verb", "fields", "text"),
    [("abort", {}, "needs a reason"), ("weight", {"weight": "x", "reason": "y"}, "no whole number"),
     ("weight", {"weight": "101", "reason": "y"}, "invalid"), ("weight", {"reason": "y"}, "spec.weight is required"),
     ("open-gate", {}, "spec.gate is required"), ("pause", {"for": "soon"}, "no duration"),
     ("pause", {"for": "0s"}, "longer than nothing"), ("undo", {"to": "0", "reason": "y"}, "invalid")],
)  # fmt: skip
async def test_forms_that_make_no_sense(verb: str, fields: dict[str, str], text: str) -> None:
    """The page again, with what is wrong, and no request."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        answer = await shown.browser.post(f"{CANARY}/act/{verb}", await form(shown.browser, verb, **fields))
        assert answer.status == 400 and text in answer.text and await asked(scene) == []


async def test_a_user_who_may_not() -> None:
    """The API server's words, and no button."""

    def creates(request: ApiRequest) -> bool:
        return request.method == "POST"

    scene = Scene()
    await moving(scene)
    async with dashboard(scene, creates, acting=True) as shown:
        page = await shown.browser.get(f"{CANARY}/act/abort")
        assert "no &lt;b&gt;role&lt;/b&gt;" in page.text and " disabled>" in page.text
        answer = await shown.browser.post(f"{CANARY}/act/pause", await form(shown.browser, "pause"))
        assert answer.status == 403 and await asked(scene) == []


async def test_forged_posts() -> None:
    """Without the token, from another origin or from none, without a session: nothing is asked for."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        good = await form(shown.browser, "pause")
        where = f"{CANARY}/act/pause"
        for bad in ({**good, "token": "x"}, {**good, "token": ""}, {}):
            assert (await shown.browser.post(where, bad)).status == 403
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"https://{HOST}"):
            assert (await shown.browser.post(where, good, Origin=origin)).status == 403
        assert (await shown.browser.post(where, good, Origin="", Sec_Fetch_Site="cross-site")).status == 403
        assert (await shown.browser.get(where, "POST", b"")).status == 403
        assert (await shown.browser.post(where, good, Host="evil.example")).status == 421
        assert (await shown.browser.post(where, good, Cookie="a=b")).status == 401
        for method in ("PUT", "DELETE", "PATCH"):
            assert (await shown.browser.get(where, method)).status == 405
        assert (await shown.browser.post(API, "{}")).status == 403
        assert await asked(scene) == []
        forged = {"Origin": "null", "Sec_Fetch_Site": "cross-site"}
        assert (await shown.browser.post(where, good, **forged)).status == 403
        assert (await shown.browser.post(where, good, Origin="null", Sec_Fetch_Site="same-origin")).status == 303
        assert (await shown.browser.post(where, good)).status == 303


async def test_read_only() -> None:
    """No routes, no links, and no other method than reading."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        assert (await shown.browser.get(f"{CANARY}/act/pause")).status == 404
        assert "/act/" not in (await shown.browser.get(CANARY)).text
        assert (await shown.browser.post(f"{CANARY}/act/pause", {})).status == 405
        assert (await shown.browser.post(API, "{}")).status == 405


async def test_what_a_canary_offers() -> None:
    """By its phase: an idle one may be paused or undone, one under way more."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        links = re.findall(r"/act/([\w-]+)", (await shown.browser.get(CANARY)).text)
        assert links == ["promote", "promote-full", "pause", "abort", "restart", "weight"]
        assert (await shown.browser.get(f"{CANARY}/act/explode")).status == 404


async def test_too_many() -> None:
    """A minute has room for so many, dry runs included."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        good = await form(shown.browser, "pause")
        for _ in range(ACTIONS_A_MINUTE - 1):
            assert (await shown.browser.get(f"{CANARY}/act/pause")).status == 200
        assert (await shown.browser.post(f"{CANARY}/act/pause", good)).status == 429
        await scene.stage.clock.sleep(61)
        assert (await shown.browser.post(f"{CANARY}/act/pause", good)).status == 303


async def test_documents() -> None:
    """201 with the object; `by` is the user whatever the body says; a dry run creates nothing; a refusal is 409."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene, acting=True) as shown:
        token = (await shown.browser.get("/api/v1/whoami")).json["token"]

        async def post(body: object, query: str = "") -> tuple[int, Obj]:
            text = body if isinstance(body, str) else json.dumps(body)
            kind = {"Content-Type": "application/json", "X-Flagger-Token": token}
            answer = await shown.browser.post(API + query, text, **kind)
            return answer.status, answer.json

        assert (await post({"action": "pause"}, "?dryRun=All"))[0] == 201 and await asked(scene) == []
        for bad in ("{", "[]", {"action": "explode"}, {"action": "weight"}):
            assert (await post(bad))[0] == 400
        assert (await post({"action": "pause"}, "?wait=soon"))[0] == 400
        status, made = await post({"action": "pause", "by": "somebody", "canary": "other"})
        assert status == 201 and made["spec"]["by"] == "ann" and made["spec"]["canary"] == KEY.name
        listed = (await shown.browser.get(API)).json
        assert listed["kind"] == "ActionList"
        assert (await shown.browser.get(f"{CANARY}/requests/none")).status == 404
