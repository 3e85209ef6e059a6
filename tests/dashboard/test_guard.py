"""Who may ask a dashboard, from where, and what every answer carries."""

from __future__ import annotations

import pytest

from dashboard.browsing import HOST, PORT, dashboard
from pyflagger.dashboard.guard import HEADERS
from pyflagger.dashboard.local import cookie
from seeing.test_single import Scene

pytestmark = pytest.mark.looptime

EVERY = (
    "/", "/c/test/shop", "/c/test/shop/objects/Canary/shop", "/static/x/dashboard.css", "/nowhere",
    "/api/v1/whoami", "/api/v1/openapi.json", "/api/v1/canaries", "/api/v1/namespaces/test/canaries/shop",
    "/api/v1/namespaces/test/canaries/shop/explain", "/api/v1/namespaces/test/canaries/shop/events",
    "/api/v1/stream/fleet", "/api/v1/stream/canaries/test/shop", "/c/test/shop/releases/1", "/c/test/shop/compare",
    "/api/v1/namespaces/test/canaries/shop/actions",
    "/api/v1/namespaces/test/canaries/shop/releases", "/api/v1/namespaces/test/canaries/shop/releases/1",
)  # fmt: skip
"""Every route, and one that does not exist."""


async def scene() -> Scene:
    """A canary that is initialized."""
    found = Scene()
    await found.begin()
    return found


async def test_every_route_is_in_the_table() -> None:
    """A route that this file does not know would be open by mistake."""
    async with dashboard(await scene()) as shown:
        paths = {route.resource.canonical for route in shown.browser._app.router.routes() if route.resource}
        assert len(paths) == len(EVERY) - 1


async def test_without_a_session() -> None:
    """No path answers: not without a cookie, nor with another one, nor with another key."""
    async with dashboard(await scene()) as shown:
        kept, shown.browser.cookies = dict(shown.browser.cookies), {}
        for path in EVERY:
            assert (await shown.browser.get(path)).status == 401
            assert (await shown.browser.get(path, Cookie=f"{cookie(PORT)}=wrong")).status == 401
            assert (await shown.browser.get(f"{path}?key=wrong")).status == 401
            assert (await shown.browser.get(path, Cookie=f"flagger-1={kept[cookie(PORT)]}")).status == 401
        told = (await shown.browser.get("/")).text
        assert "flagger dashboard" in told and "shop" not in told


async def test_the_key_becomes_a_cookie() -> None:
    """The address loses the key and keeps the rest; scripts and other sites cannot read the cookie."""
    async with dashboard(await scene()) as shown:
        answer = await shown.browser.get(f"/?q=shop&key={shown.door.key}")
        assert (answer.status, answer.headers["Location"]) == (303, "/?q=shop")
        assert shown.door.key not in shown.browser.cookies.values()
        for path in (f"//evil.example/?key={shown.door.key}",):
            assert not (await shown.browser.get(path)).headers["Location"].startswith("//")


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1.evil.example:{PORT}", ""]
)
async def test_other_hosts(host: str) -> None:
    """421, also with the cookie: a name that was pointed at this machine is not ours."""
    async with dashboard(await scene()) as shown:
        for path in EVERY:
            assert (await shown.browser.get(path, Host=host)).status == 421
        assert (await shown.browser.get("/", Host=f"localhost:{PORT}")).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"https://{HOST}"}, {"Origin": "http://127.0.0.1:1"},
     {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
     {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}],
)  # fmt: skip
async def test_pages_of_other_sites(headers: dict[str, str]) -> None:
    """403, also with the cookie."""
    async with dashboard(await scene()) as shown:
        for path in EVERY:
            assert (await shown.browser.get(path, **headers)).status == 403
        assert (await shown.browser.get("/", Origin=f"http://{HOST}", Sec_Fetch_Site="same-origin")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_it_only_reads(method: str) -> None:
    """No other method answers, and nothing but reads reaches the API server."""
    async with dashboard(await scene()) as shown:
        for path in EVERY:
            assert (await shown.browser.get(path, method)).status == 405


async def test_headers() -> None:
    """On pages, documents, files, redirects and refusals."""
    async with dashboard(await scene()) as shown:
        answers = [await shown.browser.get(path) for path in EVERY if "stream" not in path]
        answers += [await shown.browser.get("/", Host="evil"), await shown.browser.get("/", "POST")]
        for answer in answers:
            for name, value in HEADERS.items():
                assert answer.headers[name] == value
        assert "unsafe" not in HEADERS["Content-Security-Policy"] and "*" not in HEADERS["Content-Security-Policy"]
