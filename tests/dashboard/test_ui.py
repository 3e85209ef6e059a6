"""The dashboard in a real Chromium, over a cluster whose time runs ten times as fast. `make test-ui` runs this.

Every page is watched for what a browser complains of: errors, reports of the content security policy, other hosts.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from dashboard.fast import hastened
from pyflagger.dashboard.local import Running, running
from pyflagger.kube.client import Client
from pyflagger.kube.resources import ACTIONS
from pyflagger.operator.options import Options
from pyflagger_sandbox.apiserver.transport import InProcess
from seeing.test_single import Scene
from seeing.test_waiting import release
from stage import manifests

api = pytest.importorskip("playwright.async_api", reason="make test-ui installs playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
AXE = Path(__file__).resolve().parents[2] / ".venv" / "npm" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [
    pytest.mark.ui,
    pytest.mark.skipif(not CHROMIUM, reason="this machine has no Chromium: apt-get install chromium"),
]
LONG = 30_000
"""Milliseconds for a release to end."""


class Ui(NamedTuple):
    """A dashboard over a scene, and a browser."""

    scene: Scene
    dashboard: Running
    browser: Any
    complaints: list[str]

    @property
    def base(self) -> str:
        """The address without the key."""
        return self.dashboard.url.partition("/?")[0]

    async def page(self, path: str = "/", **options: Any) -> Any:
        """A page of a browser with a session."""
        context = await self.browser.new_context(**options)
        page = await context.new_page()
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request))
        await page.goto(self.dashboard.url)
        assert "key" not in page.url
        await page.goto(self.base + path)
        return page

    def _asked(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.base).netloc and not request.url.startswith("data:"):
            self.complaints.append(f"a request to another host: {request.url}")


@pytest.fixture
async def ui() -> AsyncIterator[Ui]:
    """A canary that is initialized, its dashboard, and a browser. Nothing may be complained of."""
    async with opened() as found:
        yield found
        assert found.complaints == []


@asynccontextmanager
async def opened() -> AsyncIterator[Ui]:
    """The parts of the fixture."""
    scene = Scene()
    async with AsyncExitStack() as stack:
        stack.enter_context(hastened())
        await scene.begin(analysis=manifests.analysis(threshold=3))
        stack.push_async_callback(scene.stage.stop)
        client = Client(InProcess(scene.stage.server, "ann"), scene.stage.clock)
        options = Options(mesh_provider="")
        served = running(client, scene.stage.clock, "", options, "prod", "127.0.0.1", 0)
        dashboard = await stack.enter_async_context(served)
        driver = await stack.enter_async_context(api.async_playwright())
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.push_async_callback(browser.close)
        yield Ui(scene, dashboard, browser, [])


async def test_a_good_release(ui: Ui) -> None:
    """From the first step to the promotion on one page that is never loaded again, and on the fleet's."""
    page, fleet = await ui.page("/c/test/shop"), await ui.page("/")
    await page.evaluate("window.same = true; document.querySelector('#objects a').focus()")
    await release(ui.scene, "2")
    for text in ("25 % to the canary", "50 % to the canary"):
        await page.get_by_text(text).first.wait_for(timeout=LONG)
    await page.locator(".steps .s-now", has_text="50 %").wait_for(timeout=LONG)
    await fleet.locator("tr.r-moving", has_text="1 → 2").wait_for(timeout=LONG)
    await page.locator("#head .verdict", has_text="idle").wait_for(timeout=LONG)
    await fleet.locator("tr.r-idle").wait_for(timeout=LONG)
    assert "registry.example/shop:2" in await page.locator("#head").inner_text()
    assert await page.evaluate("window.same && document.activeElement.textContent") == "Canary shop"
    assert (await page.title()).startswith("● shop.test")


async def test_a_bad_release(ui: Ui) -> None:
    """The check that fails, the cause, and the end."""
    page = await ui.page("/c/test/shop")
    ui.scene.bad = True
    await release(ui.scene, "2")
    await page.locator(".check.c-bad", has_text="50").wait_for(timeout=LONG)
    await page.locator("#why", has_text="Why it stands").wait_for(timeout=LONG)
    await page.locator("#head .verdict", has_text="failed").wait_for(timeout=LONG)
    await page.locator("#traffic", has_text="100 % to the primary").wait_for(timeout=LONG)


async def test_by_keyboard(ui: Ui) -> None:
    """Filter, rows, a canary, the list of keys and the skip link, without a mouse."""
    page = await ui.page("/")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("?")
    assert await page.locator("#keys").is_visible()
    await page.keyboard.press("Escape")
    assert not await page.locator("#keys").is_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("sho")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/?q=sho**")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/c/test/shop")
    await page.keyboard.press("f")
    await page.wait_for_url(f"{ui.base}/")


async def test_without_script(ui: Ui) -> None:
    """Everything is there, and the times are those of the page."""
    page = await ui.page("/c/test/shop", java_script_enabled=False)
    text = await page.locator("body").inner_text()
    for each in (
        "idle",
        "100 % to the primary",
        "request-success-rate",
        "TIMELINE",
        "Deployment shop-primary",
        "Reload",
    ):
        assert each in text
    assert not await page.locator("#live").is_visible() and not await page.locator("#theme").is_visible()
    await page.locator("a", has_text="Deployment shop-primary").first.click()
    assert "kind: Deployment" in await page.locator("pre").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone(ui: Ui, scheme: str) -> None:
    """No page is wider than 360 pixels, nor than a desktop at 200 %."""
    await release(ui.scene, "2")
    await ui.scene.until("Progressing")
    for width in (360, 640):
        for path in PATHS:
            page = await ui.page(path, viewport={"width": width, "height": 740}, color_scheme=scheme)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
            await page.context.close()
    ui.complaints[:] = [each for each in ui.complaints if "404" not in each]


PATHS = (
    "/",
    "/?q=nothing",
    "/c/test/shop",
    "/c/test/shop/releases/2",
    "/c/test/shop/compare?from=1&to=2",
    "/c/test/shop/act/weight",
    "/c/test/shop/objects/Canary/shop",
    "/c/test/none",
)


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: make test-ui installs it where there is npm")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_accessible(ui: Ui, scheme: str) -> None:
    """axe-core finds nothing serious on any page, wide and narrow, while a release fails."""
    ui.scene.bad = True
    await release(ui.scene, "2")
    while (await ui.scene.stage.status("shop")).get("failedChecks") != 1:
        await ui.scene.stage.clock.sleep(1)
    found = list[str]()
    for width in (1280, 360):
        for path in PATHS:
            page = await ui.page(path, viewport={"width": width, "height": 900}, color_scheme=scheme)
            await page.evaluate(AXE.read_text())
            result = await page.evaluate("axe.run()")
            found += [
                f"{path} {width} {each['id']}: {each['nodes'][0]['html'][:120]} {each['nodes'][0]['failureSummary']}"
                for each in result["violations"]
                if each["impact"] in ("serious", "critical")
            ]
            await page.context.close()
    assert found == []
    ui.complaints[:] = [each for each in ui.complaints if "404" not in each]


async def test_the_theme_is_kept(ui: Ui) -> None:
    """By the switch, over pages."""
    page = await ui.page("/", color_scheme="light")
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.locator("#theme").click()
    await page.goto(f"{ui.base}/c/test/shop")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != light


async def test_a_dashboard_that_ended(ui: Ui) -> None:
    """An open page says since when it is stale."""
    page = await ui.page("/c/test/shop")
    await page.locator("#live", has_text="live").wait_for()
    await page.context.set_offline(True)
    await page.evaluate("(real => { Date.now = () => real() + 40000 })(Date.now.bind(Date))")
    await page.locator("#stale", has_text="Stale since").wait_for(timeout=LONG)
    ui.complaints.clear()


@pytest.mark.parametrize("script", [True, False])
async def test_steering(ui: Ui, script: bool) -> None:
    """From the page of the canary over the form to the request, with and without script."""
    await release(ui.scene, "2")
    await ui.scene.until("Progressing")
    page = await ui.page("/c/test/shop", java_script_enabled=script)
    await page.locator(".acts a", has_text="Abort").click()
    await page.locator("#verdict", has_text="The API server accepts this request from you.").wait_for()
    await page.locator("#reason").fill("looks wrong")
    await page.locator("button.go").click()
    await page.wait_for_url("**/requests/**")
    assert "looks wrong" in await page.locator("main").inner_text()
    (made,) = (await ui.scene.stage.client.call("GET", ACTIONS.path("test")))["items"]
    assert made["spec"]["action"] == "abort" and made["spec"]["via"] == "dashboard"
