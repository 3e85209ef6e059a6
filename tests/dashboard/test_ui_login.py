"""The login of a dashboard in a cluster in a real Chromium: its pages, sessions that end, and the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest

from dashboard.clustering import ACCOUNT, Cluster, Way
from dashboard.test_ui import AXE, CHROMIUM, api
from pyflagger.clock import SystemClock
from pyflagger.dashboard.guard import loopback
from pyflagger.dashboard.incluster import Settings, running
from pyflagger.dashboard.people import Ways
from pyflagger.operator.options import Options
from pyflagger_sandbox.network.ingress import free_port
from seeing.test_single import Scene
from stage import manifests

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(not CHROMIUM, reason="this machine has no Chromium: apt-get install chromium"),
]
CANARY = "/c/test/shop"
EXPECTED = ("status of 401", "status 401", "status of 404")
"""What a browser says of answers that these tests ask for."""


class Site(NamedTuple):
    """A dashboard of a cluster, and a browser."""

    cluster: Cluster
    url: str
    browser: Any
    complaints: list[str]

    async def page(self, path: str = "/", **options: Any) -> Any:
        """A page without a session."""
        page = await (await self.browser.new_context(**options)).new_page()
        page.on("console", lambda said: self._said(said))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(self.url + path)
        return page

    def _said(self, said: Any) -> None:
        if said.type in ("error", "warning") and not any(each in said.text for each in EXPECTED):
            self.complaints.append(said.text)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A canary that is initialized, and a dashboard for the users of its cluster. Nothing may be complained of."""
    async with opened() as found:
        yield found
        assert found.complaints == []


@asynccontextmanager
async def opened() -> AsyncIterator[Site]:
    """The parts of the fixture."""
    scene, port = Scene(), free_port()
    async with AsyncExitStack() as stack:
        await scene.begin(analysis=manifests.analysis(threshold=3))
        stack.push_async_callback(scene.stage.stop)
        cluster = Cluster(scene)
        own, users = Way(cluster, ACCOUNT), Way(cluster)
        settings = Settings(loopback(port), None, "", port, "127.0.0.1")
        ways = Ways(own, users, users)
        await stack.enter_async_context(running(ways, SystemClock(), settings, Options(mesh_provider="")))
        driver = await stack.enter_async_context(api.async_playwright())
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.push_async_callback(browser.close)
        yield Site(cluster, f"http://localhost:{port}", browser, [])


async def login(page: Any, token: str) -> None:
    """Type a token, and send it with Enter."""
    await page.get_by_label("Token").fill(token)
    await page.keyboard.press("Enter")


async def test_login_by_keyboard(site: Site) -> None:
    """From the page that was asked for over the login back to it, without a mouse; then out again."""
    page = await site.page(f"{CANARY}?x=1")
    assert "you are not logged in here" in await page.locator("h1").text_content()
    await tab_to(page, "a", "Log in")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/login?next=**")
    assert await page.evaluate("document.activeElement.id") == "bearer"
    await page.keyboard.type("t-ann")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site.url}{CANARY}?x=1")
    assert "ann" in await page.locator(".where").inner_text()
    await page.locator("#live", has_text="live").wait_for()
    await tab_to(page, "button", "Log out")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/login")
    await page.goto(site.url)
    assert "you are not logged in here" in await page.locator("h1").text_content()


async def tab_to(page: Any, tag: str, text: str) -> None:
    """Press Tab until this element has the focus."""
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await page.evaluate("[document.activeElement.localName, document.activeElement.innerText]") == [tag, text]:
            return
    raise AssertionError(f"no {tag} {text} by Tab")


@pytest.mark.parametrize("script", [True, False])
async def test_a_wrong_token(site: Site, script: bool) -> None:
    """The page says what is wrong and what to do, and shows no token. The right one goes on to the same page."""
    page = await site.page(f"/login?next={CANARY}", java_script_enabled=script)
    await login(page, "wrong")
    alert = page.get_by_role("alert")
    await alert.wait_for()
    assert "the API server does not know this token, or it has expired" in await alert.text_content()
    assert "wrong" not in await page.get_by_label("Token").input_value()
    await login(page, "t-ann")
    await page.wait_for_url(f"{site.url}{CANARY}")
    assert "shop" in await page.locator("h1").text_content()


async def test_a_token_that_ends(site: Site) -> None:
    """An open page says that its session ended; a reload leads to the login, and from there back to the page."""
    page = await site.page(f"/login?next={CANARY}")
    await login(page, "t-ann")
    await page.locator("#live", has_text="live").wait_for()
    other = await page.context.new_page()
    await other.goto(site.url)
    await other.get_by_role("button", name="Log out").click()
    await other.wait_for_url("**/login")
    await page.locator("#ended", has_text="The session of this page has ended").wait_for(timeout=30_000)
    assert await page.locator("#live").inner_text() == "ended" and not await page.locator("#stale").is_visible()
    await page.locator("#ended a").click()
    assert "you are not logged in here" in await page.locator("h1").text_content()
    await page.get_by_role("link", name="Log in").click()
    await login(page, "t-view")
    await page.wait_for_url(f"{site.url}{CANARY}")
    assert "viv" in await page.locator(".where").inner_text()


async def test_reload_after_a_login(site: Site) -> None:
    """A reload shows the same page, and sends no token twice."""
    page = await site.page("/login")
    await login(page, "t-ann")
    await page.wait_for_url(f"{site.url}/")
    await page.reload()
    assert page.url == f"{site.url}/" and "ann" in await page.locator(".where").inner_text()
    await page.go_back()
    assert await page.get_by_label("Token").input_value() == ""


async def wrong(page: Any) -> None:
    """The login that refused a token."""
    await login(page, "wrong")
    await page.get_by_role("alert").wait_for()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: make test-ui installs it where there is npm")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_accessible(site: Site, scheme: str) -> None:
    """axe-core finds nothing on the pages of the login, wide and narrow, and none scrolls sideways."""
    found = list[str]()
    for width in (1280, 360):
        options = {"viewport": {"width": width, "height": 740}, "color_scheme": scheme}
        page = await site.page("/login", **options)
        found += await looked(page, "login", width)
        await wrong(page)
        found += await looked(page, "wrong token", width)
        await login(page, "t-ann")
        await page.wait_for_url(f"{site.url}/")
        for path in ("/", "/whoami", f"{CANARY}/act/pause"):
            await page.goto(site.url + path)
            found += await looked(page, path, width)
        found += await looked(await site.page(CANARY, **options), "not logged in", width)
    assert found == []


async def looked(page: Any, name: str, width: int) -> list[str]:
    """What is wrong with a page."""
    await page.evaluate(AXE.read_text())
    result = await page.evaluate("axe.run()")
    wide = await page.evaluate("document.documentElement.scrollWidth")
    said = [f"{name} {width} {each['id']}: {each['nodes'][0]['html'][:120]}" for each in result["violations"]]
    return said + ([f"{name} is {wide} wide"] if wide > width else [])
