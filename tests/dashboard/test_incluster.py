"""Who a dashboard in a cluster answers, what each user sees, and when that ends."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from dashboard.clustering import ACCOUNT, ALL, HOST, URL, VIEW, bearing, in_cluster
from dashboard.test_pages import moving, words
from pyflagger.dashboard.chosen import Chosen
from pyflagger.dashboard.entrance import COOKIE
from pyflagger.dashboard.guard import HEADERS, Place, public
from pyflagger.dashboard.pages import FleetRegions, canary_regions
from pyflagger.dashboard.people import KEPT_SECONDS, STREAMS_MAX
from pyflagger.dashboard.sessions import IDLE_SECONDS, LIFE_SECONDS, PER_USER
from pyflagger.dashboard.streams import messages, while_true
from pyflagger.dashboard.visit import Visit
from pyflagger.kube.errors import NotFound
from pyflagger.objects import Key
from seeing.test_single import Scene
from stage import manifests

pytestmark = pytest.mark.looptime
CANARY, ONE = "/c/test/shop", "/api/v1/namespaces/test/canaries/shop"
ANYBODY = {"/login", "/static/{digest}/{file}", "/healthz"}
"""The paths that answer everybody."""


async def two() -> Scene:
    """A canary in each of two namespaces; one of them has a release under way."""
    scene = Scene()
    await moving(scene)
    await scene.stage.namespace("other")
    await scene.stage.create(manifests.canary("cart"), "other")
    await scene.stage.clock.sleep(2)
    return scene


def jwt(**claims: object) -> str:
    """A token that says something of itself."""
    said = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{said}.c2ln"


# Who ------------------------------------------------------------------------------------------------------------------


async def test_without_a_user() -> None:
    """No path answers but the login, static files and the health check: not without a token, nor with a wrong one."""
    async with in_cluster(await two()) as shown:
        routes = {each.resource.canonical for each in shown.browser._app.router.routes() if each.resource}
        assert routes >= ANYBODY
        for pattern in routes - ANYBODY:
            path = re.sub(r"{\w+}", "x", pattern)
            for headers in ({}, bearing("wrong"), {"Cookie": f"{COOKIE}=wrong"}):
                answer = await shown.browser.get(path, **headers)
                assert answer.status == 401, pattern
                assert "shop" not in answer.text
        assert (await shown.browser.get("/nowhere")).status == 401
        assert (await shown.browser.get("/healthz", Host="10.0.0.7:8490")).text == "ok\n"


async def test_a_token() -> None:
    """Each request brings its own, and the pages are those of its user."""
    async with in_cluster(await two()) as shown:
        who = (await shown.get("/api/v1/whoami", "t-ann")).json
        assert (who["user"], who["groups"], who["mode"]) == ("ann", ["system:authenticated"], "bearer")
        page = await shown.get("/", "t-ann")
        assert page.status == 200 and "user ann" in words(page.text) and "Log out" not in page.text
        assert "user viv" in words((await shown.get("/", "t-view")).text)
        assert "ann" in (await shown.get("/whoami", "t-ann")).text
        for wrong in ("Basic YTpi", "Bearer", "Bearer ", "Bearer a b", "t-ann"):
            answer = await shown.browser.get("/", Authorization=wrong)
            assert answer.status in (400, 401) and "shop" not in answer.text, wrong


async def test_a_login() -> None:
    """The token becomes a cookie that scripts and other sites do not get, and is on no page."""
    async with in_cluster(await two()) as shown:
        first = await shown.browser.get(f"{CANARY}?a=b")
        assert first.status == 401 and first.headers["WWW-Authenticate"] == "Bearer"
        assert 'href="/login?next=/c/test/shop%3Fa%3Db"' in first.text
        assert (await shown.browser.get("/login?next=/c/test/shop")).status == 200
        answer = await shown.login("t-ann", CANARY)
        assert (answer.status, answer.headers["Location"]) == (303, CANARY)
        page = await shown.browser.get(CANARY)
        assert page.status == 200 and "user ann" in words(page.text) and "Log out" in page.text
        assert "t-ann" not in page.text and shown.browser.cookies[COOKIE] not in page.text
        assert (await shown.browser.get("/api/v1/whoami")).json["mode"] == "session"
        assert len(shown.browser.cookies[COOKIE]) >= 43


async def test_the_cookie() -> None:
    """As browsers ask of a name that begins with __Host-."""
    async with in_cluster(await two()) as shown:
        request = shown.browser.request("/login", "POST", b"bearer=t-ann", Origin=URL,
                                        Content_Type="application/x-www-form-urlencoded")  # fmt: skip
        answer = await shown.browser._app._handle(request)
        told = answer.cookies[COOKIE]
        assert (told["secure"], told["httponly"], told["path"], told["samesite"]) == (True, True, "/", "Strict")
        assert not told["domain"]


@pytest.mark.parametrize("token", ["", "wrong", "two words", "x" * 20_000, "t-ann\r\nX-A: b", jwt(exp=1)])
async def test_a_login_that_fails(token: str) -> None:
    """No session, and the token is not repeated."""
    async with in_cluster(await two()) as shown:
        shown.cluster.users[jwt(exp=1)] = "ann"
        answer = await shown.login(token)
        assert answer.status == 401 and "<form" in answer.text and not shown.browser.cookies
        assert not token or token not in answer.text
        assert all(user == ACCOUNT for user, *_ in shown.cluster.asked)


async def test_an_anonymous_user() -> None:
    """Nobody is logged in, even where the API server gives rights to everybody."""
    async with in_cluster(await two(), **{"system:anonymous": ALL}) as shown:
        shown.cluster.users["t-odd"] = "system:anonymous"
        assert (await shown.get("/", "t-odd")).status == 401 and (await shown.login("t-odd")).status == 401


@pytest.mark.parametrize(
    "following", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "/login", "", "c"]
)
async def test_where_a_login_leads(following: str) -> None:
    """Never to another site."""
    async with in_cluster(await two()) as shown:
        assert (await shown.login("t-ann", following)).headers["Location"] == "/"


async def test_a_link_of_another_site() -> None:
    """The browser sends no cookie with it: the page loads itself once more, from here."""
    async with in_cluster(await two()) as shown:
        followed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
        assert 'http-equiv="refresh"' in (await shown.browser.get(CANARY, **followed)).text
        assert 'http-equiv="refresh"' not in (await shown.browser.get(CANARY, Sec_Fetch_Site="same-origin")).text


# From where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", f"{HOST}:80", f"{HOST}.evil.example", "127.0.0.1:8490", "10.1.2.3", ""]
)
async def test_other_hosts(host: str) -> None:
    """421, with a good token too: neither the address of the pod nor a name that was pointed at it is ours."""
    async with in_cluster(await two()) as shown:
        for path in ("/", "/login", "/api/v1/canaries", CANARY):
            assert (await shown.get(path, "t-ann", Host=host)).status == 421
        assert (await shown.get("/", "t-ann", Host=f"{HOST}:443")).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://{HOST}"}, {"Origin": f"{URL}:444"},
     {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}],
)  # fmt: skip
async def test_pages_of_other_sites(headers: dict[str, str]) -> None:
    """403, for tokens that a proxy adds as well as for sessions."""
    async with in_cluster(await two()) as shown:
        for path in ("/", "/api/v1/canaries", CANARY, "/login"):
            assert (await shown.get(path, "t-ann", **headers)).status == 403
        await shown.login("t-ann")
        assert (await shown.browser.get("/", **headers)).status == 403
        for where in ("/login", "/logout", f"{CANARY}/act/pause", f"{ONE}/actions"):
            answer = await shown.browser.post(where, {"bearer": "t-ann"}, **{"Origin": "", **headers})
            assert answer.status == 403


@pytest.mark.parametrize(
    ("url", "wrong"),
    [("http://flagger.example.com", "in the clear"), ("ftp://x", "no URL"), ("flagger.example.com", "no URL"),
     ("https://x/path", "more than"), ("https://a:b@x", "more than"), ("https://x?y", "more than"), ("", "no URL"),
     ("http://localhost.evil.example", "in the clear")],
)  # fmt: skip
def test_public_urls(url: str, wrong: str) -> None:
    """https, or loopback."""
    with pytest.raises(ValueError, match=wrong):
        public(url)
    assert public("http://localhost:8490").hosts == {"localhost:8490"}
    assert public("https://X.example/").origins == {"https://x.example"}
    for given in ("https://x.example", "https://x.example:443"):
        assert public(given) == Place(
            "https://x.example/", frozenset({"x.example", "x.example:443"}), frozenset({"https://x.example"})
        )


async def test_headers_of_answers() -> None:
    """On the login, pages, documents and refusals."""
    async with in_cluster(await two()) as shown:
        for answer in (await shown.get("/login"), await shown.get("/", "t-ann"), await shown.get("/"),
                       await shown.get("/api/v1/whoami", "t-ann"), await shown.get("/", Host="evil")):  # fmt: skip
            assert all(answer.headers[name] == value for name, value in HEADERS.items())


# What -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "names"), [("t-ann", {"shop"}), ("t-view", {"shop"}), ("t-all", {"shop", "cart"}), ("t-none", set())]
)
async def test_the_fleet_of_a_user(token: str, names: set[str]) -> None:
    """What the user may list, in pages, documents, filters and streams, and no count of the rest."""
    async with in_cluster(await two()) as shown:
        rows = (await shown.get("/api/v1/canaries", token)).json["items"]
        assert {each["name"] for each in rows} == names
        page = (await shown.get("/", token)).text
        assert {name for name in ("shop", "cart") if f"/{name}" in page} == names
        assert ("other" in page) == ("cart" in names)
        visit = await shown.browser.visited("/", **bearing(token))
        regions = FleetRegions(visit.fleet, Chosen())()
        assert {name for name in ("shop", "cart") if f"/{name}" in "".join(regions.values())} == names


async def test_what_may_not_be_seen_is_not_there() -> None:
    """The same answer as for what does not exist, and names that are no names reach no API server."""
    async with in_cluster(await two()) as shown:
        hidden = await shown.get("/api/v1/namespaces/other/canaries/cart", "t-ann")
        absent = await shown.get("/api/v1/namespaces/other/canaries/gone", "t-all")
        assert hidden.status == absent.status == 404
        assert hidden.text.replace("cart", "gone") == absent.text
        assert hidden.headers["Content-Type"].startswith("application/problem+json")
        assert (await shown.get("/c/other/cart", "t-ann")).status == 404
        for odd in ("/c/test/..%2Fshop", "/c/te%2Fst/shop", "/c/test/Shop", "/c/test/shop%3Fwatch"):
            assert (await shown.get(odd, "t-all")).status == 404
        named = [call for call in shown.cluster.asked if call[:3] == ("root", "get", "canaries")]
        assert named == [("root", "get", "canaries", "other")], "only that of the canary that is gone"


async def test_everything_else_is_asked_with_the_users_rights() -> None:
    """The dashboard's own account reads canaries and nothing else, whatever its users open."""
    async with in_cluster(await two()) as shown:
        await shown.login("t-ann")
        for path in ("/", CANARY, ONE, f"{ONE}/events", f"{ONE}/actions", f"{ONE}/releases", f"{CANARY}/act/pause"):
            assert (await shown.browser.get(path)).status == 200
        own = {(verb, resource) for user, verb, resource, _ in shown.cluster.asked if user == ACCOUNT}
        assert own == {("list", "canaries"), ("watch", "canaries"), ("create", "selfsubjectreviews")}
        theirs = {resource for user, _, resource, _ in shown.cluster.asked if user == "ann"}
        assert {"deployments", "pods", "events", "canaryreleases", "canaryactions"} <= theirs
        assert not theirs & {"secrets"}


async def test_a_user_who_may_read_the_canary_alone() -> None:
    """Its page, and what is missing."""
    async with in_cluster(await two(), viv={("get", "canaries", "test")}) as shown:
        page = await shown.get(CANARY, "t-view")
        assert page.status == 200 and "shop" not in (await shown.get("/", "t-view")).text
        assert "/secrets" not in page.text


async def test_a_server_that_is_too_old() -> None:
    """It does not start, and says so."""
    with pytest.raises(NotFound, match=r"Kubernetes 1\.28 or newer"):
        async with in_cluster(await two(), old=True):
            pass


# How long -------------------------------------------------------------------------------------------------------------


async def test_sessions_end() -> None:
    """After eight hours of use, after an hour without, at a logout, and with the token."""
    scene = await two()
    sleep = scene.stage.clock.sleep
    async with in_cluster(scene) as shown:
        await shown.login("t-ann")
        for _ in range(int(LIFE_SECONDS / 3000)):
            assert (await shown.browser.get("/api/v1/whoami")).status == 200
            await sleep(3000)
        assert (await shown.browser.get("/api/v1/whoami")).status == 200
        await sleep(LIFE_SECONDS % 3000 + 1)
        assert (await shown.browser.get("/api/v1/whoami")).status == 401
        await shown.login("t-ann")
        await sleep(IDLE_SECONDS)
        assert (await shown.browser.get("/")).status == 401
        token = jwt(exp=scene.stage.clock.now() + 600, sub="ann")
        shown.cluster.users[token] = "ann"
        await shown.login(token)
        await sleep(599)
        assert (await shown.browser.get("/")).status == 200
        await sleep(2)
        assert (await shown.browser.get("/")).status == 401


async def test_a_logout() -> None:
    """By the form of the session alone; its streams end, and other sessions go on."""
    async with in_cluster(await two()) as shown:
        other = shown.another()
        await other.post("/login", {"bearer": "t-ann"})
        await shown.login("t-ann")
        page, kept = (await shown.browser.get("/")).text, dict(shown.browser.cookies)
        visit = await shown.browser.visited("/")
        (token,) = re.findall(r'name="token" value="(\w+)"', page)
        for bad in ("", "x", re.findall(r'name="token" value="(\w+)"', (await other.get("/")).text)[0]):
            assert (await shown.browser.post("/logout", {"token": bad})).status == 403
        assert visit.lives()
        answer = await shown.browser.post("/logout", {"token": token})
        assert (answer.status, answer.headers["Location"]) == (303, "/login")
        shown.browser.cookies = kept
        assert (await shown.browser.get("/")).status == 401 and not visit.lives()
        assert (await other.get("/")).status == 200


async def test_sessions_of_one_user() -> None:
    """The one that was unused for longest ends when there are too many."""
    async with in_cluster(await two()) as shown:
        many = [shown.another() for _ in range(PER_USER + 1)]
        for each in many:
            await each.post("/login", {"bearer": "t-ann"})
            await shown.cluster.scene.stage.clock.sleep(1)
        assert [(await each.get("/")).status for each in many] == [401] + [200] * PER_USER


async def test_a_token_that_expires() -> None:
    """Within a minute neither pages nor streams go on, in a session or without."""
    scene = await two()
    async with in_cluster(scene) as shown:
        await shown.login("t-ann")
        visit = await shown.browser.visited("/")
        with visit.watching():
            del shown.cluster.users["t-ann"]
            await scene.stage.clock.sleep(60)
            assert not visit.lives()
        assert (await shown.browser.get("/")).status == (await shown.get("/", "t-ann")).status == 401


async def fleet_stream(visit: Visit, scene: Scene) -> AsyncIterator[str]:
    """What the stream of the fleet sends to a user."""
    regions = FleetRegions(visit.fleet, Chosen())
    return while_true(visit.lives, messages(regions, visit.fleet.bell, scene.stage.clock))


async def test_a_right_that_is_revoked_in_a_stream_of_the_fleet() -> None:
    """Within a minute the row is gone, and it comes back with the right."""
    scene = await two()
    async with in_cluster(scene) as shown:
        visit = await shown.browser.visited("/", **bearing("t-view"))
        with visit.watching():
            stream = await fleet_stream(visit, scene)
            assert "/shop" in await anext(stream)
            await scene.stage.clock.sleep(10)
            shown.cluster.rules["viv"] = set()
            await until(stream, "has no canaries yet", 60)
            shown.cluster.rules["viv"] = VIEW
            await until(stream, "/c/test/shop", 60)


async def test_a_right_that_is_revoked_in_a_stream_of_a_canary() -> None:
    """Within a minute the page shows nothing more, without a change and although the watches were allowed."""
    scene = await two()
    async with in_cluster(scene) as shown:
        visit = await shown.browser.visited(CANARY, **bearing("t-view"))
        opened = await visit.open(Key("test", "shop"))
        opened.viewers += 1
        with visit.watching():
            stream = while_true(
                visit.lives, messages(lambda: canary_regions(visit.site, opened), opened.bell, scene.stage.clock)
            )
            assert "shop" in await anext(stream)
            shown.cluster.rules["viv"] = set()
            await until(stream, "<h1>Gone</h1>", 60)
        assert (await shown.get(CANARY, "t-view")).status == 404


async def test_a_right_to_read_pods_that_is_revoked() -> None:
    """Within a minute the pods that were read before are gone, while the canary stays."""
    scene = await two()
    async with in_cluster(scene) as shown:
        visit = await shown.browser.visited(CANARY, **bearing("t-view"))
        opened = await visit.open(Key("test", "shop"))
        opened.viewers += 1
        assert opened.sight and opened.sight.look.pods
        with visit.watching():
            rest = ("canaries", "deployments", "replicasets", "services", "ingresses", "events")
            shown.cluster.rules["viv"] = {(verb, each, "test") for verb in ("get", "list", "watch") for each in rest}
            await scene.stage.clock.sleep(60)
        assert opened.sight and opened.sight.look.sets and not opened.sight.look.pods


async def until(stream: AsyncIterator[str], text: str, seconds: float) -> None:
    """Read a stream until it says something. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while text not in await anext(stream):
            pass


async def test_a_namespace_that_is_new() -> None:
    """The user is asked about as soon as it has a canary."""
    scene = await two()
    async with in_cluster(scene, viv=VIEW | {(verb, "*", "new") for verb in ("get", "list", "watch")}) as shown:
        visit = await shown.browser.visited("/", **bearing("t-view"))
        with visit.watching():
            stream = await fleet_stream(visit, scene)
            await anext(stream)
            await scene.stage.namespace("new")
            await scene.stage.create(manifests.canary("late"), "new")
            await until(stream, "/c/new/late", 10)


async def test_an_api_server_that_is_away() -> None:
    """503; what was known of rights counts for a minute and no longer."""
    scene = await two()
    async with in_cluster(scene) as shown:
        visit = await shown.browser.visited("/", **bearing("t-view"))
        shown.cluster.away = True
        assert (await shown.get("/", "t-view")).status == 200
        assert (await shown.get("/", "t-all")).status == 503
        with visit.watching():
            await scene.stage.clock.sleep(60)
            assert not visit.fleet.rows and visit.lives()
        assert (await shown.get("/", "t-view")).status == 503
        shown.cluster.away = False
        assert (await shown.get("/", "t-view")).status == 200


async def test_streams_of_one_user() -> None:
    """One user does not take all of them."""
    async with in_cluster(await two()) as shown:
        visit = await shown.browser.visited("/", **bearing("t-ann"))
        with ExitStack() as stack:
            for _ in range(STREAMS_MAX):
                stack.enter_context(visit.watching())
            answer = await shown.get("/api/v1/stream/fleet", "t-ann")
            assert answer.status == 429 and answer.headers["Content-Type"] == "application/problem+json"
        assert visit.lives()


async def test_users_are_forgotten() -> None:
    """Nothing is followed for a user without open pages."""
    scene = await two()
    async with in_cluster(scene) as shown:
        await shown.get(CANARY, "t-view")
        await scene.stage.clock.sleep(KEPT_SECONDS + 5)
        shown.cluster.asked.clear()
        await scene.stage.clock.sleep(400)
        assert {user for user, *_ in shown.cluster.asked} <= {ACCOUNT}


async def test_how_often_the_api_server_is_asked_about_a_user() -> None:
    """Not more than three times a minute, however many requests come."""
    scene = await two()
    async with in_cluster(scene) as shown:
        for _ in range(60):
            await shown.get("/", "t-all")
            await scene.stage.clock.sleep(1)
        reviews = [resource for user, _, resource, _ in shown.cluster.asked if user == "root"]
        assert len(reviews) <= 4 and {each[:4] for each in reviews} == {"self"}
