"""Who steers releases over a dashboard in a cluster, and what other sites cannot make a browser do."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

import pytest

from dashboard.browsing import Answer, Browser
from dashboard.clustering import ACCOUNT, ACT, HOST, URL, Open, bearing, in_cluster
from dashboard.test_acting import asked
from dashboard.test_incluster import CANARY, ONE, two
from pyflagger.dashboard.visit import ACTIONS_A_MINUTE

pytestmark = pytest.mark.looptime
ACTIONS, PAUSE = f"{ONE}/actions", f"{CANARY}/act/pause"
JSON = {"Content_Type": "application/json"}


async def form(browser: Browser, **headers: str) -> dict[str, str]:
    """The form that pauses, with its hidden fields."""
    page = (await browser.get(PAUSE, **headers)).text
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.partition(f'action="{PAUSE}"')[2]))


async def sent(shown: Open, token: str, body: object, **headers: str) -> Answer:
    """The answer to a program that asks for an action."""
    text = body if isinstance(body, str) else json.dumps(body)
    return await shown.browser.get(ACTIONS, "POST", text.encode(), **{**JSON, **bearing(token), **headers})


async def test_a_form_of_a_session() -> None:
    """The user's token creates the request, and `by` is the user."""
    scene = await two()
    async with in_cluster(scene) as shown:
        await shown.login("t-ann")
        answer = await shown.browser.post(PAUSE, await form(shown.browser))
        assert answer.status == 303, answer.text
        (made,) = await asked(scene)
        assert (made["spec"]["by"], made["spec"]["via"]) == ("ann", "dashboard")
        assert ("ann", "create", "canaryactions", "test") in shown.cluster.asked
        assert not any(user == ACCOUNT and verb == "create" and "review" not in resource
                       for user, verb, resource, _ in shown.cluster.asked)  # fmt: skip


async def test_a_user_who_may_not() -> None:
    """The API server's words, whoever the body names."""
    scene = await two()
    async with in_cluster(scene) as shown:
        answer = await sent(shown, "t-view", {"action": "pause", "by": "ann"})
        assert answer.status == 403 and 'User "viv" cannot create' in answer.json["detail"]
        page = await shown.get(PAUSE, "t-view")
        assert page.status == 200 and " disabled>" in page.text
        assert (await sent(shown, "t-none", {"action": "pause"})).status == 404
        assert await asked(scene) == []


async def test_a_program() -> None:
    """A token needs no form, but JSON; a page of another site cannot use a token that a proxy adds."""
    scene = await two()
    async with in_cluster(scene) as shown:
        for forged in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
            assert (await sent(shown, "t-ann", {"action": "pause"}, **forged)).status == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            assert (await sent(shown, "t-ann", {"action": "pause"}, Content_Type=kind)).status == 415
        good = await form(shown.browser, **bearing("t-ann"))
        kind = {"Content_Type": "application/x-www-form-urlencoded"}
        silent = await shown.browser.get(PAUSE, "POST", urlencode(good).encode(), **bearing("t-ann"), **kind)
        assert silent.status == 403, "a form without an Origin"
        for origin, bad in ((URL, {**good, "token": "x"}), ("https://evil.example", good)):
            assert (await shown.browser.post(PAUSE, bad, Origin=origin, **bearing("t-ann"))).status == 403
        assert await asked(scene) == []
        answer = await sent(shown, "t-ann", {"action": "pause", "by": "somebody"})
        assert answer.status == 201 and answer.json["spec"]["by"] == "ann" and len(await asked(scene)) == 1


async def test_forged_posts() -> None:
    """Without the token of the session, with that of another session, from another origin or from none."""
    scene = await two()
    async with in_cluster(scene) as shown:
        await shown.login("t-ann")
        other = shown.another()
        await other.post("/login", {"bearer": "t-ann"})
        good = await form(shown.browser)
        for bad in ({**good, "token": "x"}, {**good, "token": ""}, {}, {**good, "token": (await form(other))["token"]}):
            assert (await shown.browser.post(PAUSE, bad)).status == 403
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://{HOST}"},
                        {"Origin": "", "Sec_Fetch_Site": "cross-site"}, {"Origin": ""}):  # fmt: skip
            assert (await shown.browser.post(PAUSE, good, **headers)).status == 403
        assert (await shown.browser.post(PAUSE, good, Host="evil.example")).status == 421
        assert (await shown.browser.post(PAUSE, good, Cookie="a=b")).status == 401
        assert (await shown.browser.post(ACTIONS, '{"action": "pause"}', **JSON)).status == 403
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert (await shown.browser.get(PAUSE, method, Origin=URL)).status == 405
        assert await asked(scene) == []
        assert (await shown.browser.post(PAUSE, good)).status == 303


async def test_reading_changes_nothing() -> None:
    """No GET creates anything, not even the pages that act: their dry run stays one."""
    scene = await two()
    async with in_cluster(scene) as shown:
        await shown.login("t-ann")
        for route in shown.browser._app.router.routes():
            if route.resource and "stream" not in route.resource.canonical:
                path = route.resource.canonical.format(
                    ns="test",
                    name="shop",
                    verb="pause",
                    kind="Canary",
                    object="shop",
                    number=1,
                    digest="x",
                    file="x",
                    request="x",
                )
                await shown.browser.get(path)
        assert await asked(scene) == []


async def test_a_dashboard_that_only_reads() -> None:
    """With --read-only nothing but the login takes a POST."""
    scene = await two()
    async with in_cluster(scene, read_only=True) as shown:
        assert (await shown.login("t-ann")).status == 303
        assert "/act/" not in (await shown.browser.get(CANARY)).text
        assert (await shown.browser.post(PAUSE, {})).status == 405
        assert (await sent(shown, "t-ann", {"action": "pause"})).status == 405


async def test_too_many() -> None:
    """A minute has room for so many of one user, with whatever tokens; other users have their own."""
    scene = await two()
    async with in_cluster(scene, viv=ACT) as shown:
        shown.cluster.users["t-ann-2"] = "ann"
        for number in range(ACTIONS_A_MINUTE):
            token = ("t-ann", "t-ann-2")[number % 2]
            assert (await sent(shown, token, {"action": "pause"}, **{"X-Flagger-Token": ""})).status == 201
        assert (await sent(shown, "t-ann-2", {"action": "pause"})).status == 429
        assert (await sent(shown, "t-view", {"action": "pause"})).status == 201
        await scene.stage.clock.sleep(61)
        assert (await sent(shown, "t-ann", {"action": "pause"})).status == 201


async def test_a_large_body() -> None:
    """413 beyond 64 KiB, also at the login."""
    async with in_cluster(await two()) as shown:
        assert (await sent(shown, "t-ann", {"action": "pause", "reason": "x" * 70_000})).status == 413
        assert (await shown.login("x" * 70_000)).status == 413
