"""Takes the pictures of docs/how-to/dashboard.md: `make pictures`, or `python -m dashboard.pictures DIRECTORY`.

A fleet of made-up canaries on the stage, whose time runs fast, and Chromium. Look at each picture before you commit it.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from playwright.async_api import async_playwright

from dashboard.fast import Pace, hastened
from dashboard.test_ui import CHROMIUM
from pyflagger.dashboard.local import running
from pyflagger.kube.client import Client
from pyflagger.operator.options import Options
from pyflagger.wire import HttpAnswer, HttpRequest
from pyflagger_sandbox.apiserver.transport import InProcess
from stage import manifests
from stage.stage import Stage, vector

DIRECTORY = Path(__file__).resolve().parents[2] / "docs" / "assets" / "dashboard"
NAMESPACES: Mapping[str, tuple[str, ...]] = {
    "shop": ("cart", "checkout", "search", "web"),
    "pay": ("billing", "ledger"),
}
DURATION = {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}}
RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
GATE = {"name": "approve", "type": "confirm-promotion", "url": "http://gate.example/approve"}


class Shot(NamedTuple):
    """A picture: the page, its width and height, and the scheme of colours."""

    name: str
    path: str
    width: int = 1280
    height: int = 800
    scheme: str = "light"


class Shop:
    """Six canaries: the requests of `cart` fail from its third release on."""

    def __init__(self) -> None:
        self.stage = Stage(self._answer)
        self.clock = self.stage.clock
        self.bad = False

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        """Values that move a little, so that charts look like charts."""
        asked = unquote_plus(request.url)
        if "gate.example" in asked:
            return HttpAnswer(403, b"")
        if "/api/v1/query" not in asked:
            return HttpAnswer(200, b"ok")
        if "vector" in asked:
            return HttpAnswer(200, vector("1"))
        wave = math.sin(self.clock.now() / 47) + math.sin(self.clock.now() / 19) / 2
        ill = self.bad and "cart" in asked
        slow = "duration" in asked or "latenc" in asked
        value = 212 + 20 * wave if slow else (95.2 if ill else 99.7) + wave / 8
        return HttpAnswer(200, vector(f"{value:.3f}"))

    async def begin(self) -> None:
        """To Initialized, all of them."""
        await self.stage.start()
        for namespace, names in NAMESPACES.items():
            await self.stage.namespace(namespace)
            for name in names:
                await self._create(namespace, name)
        for namespace, names in NAMESPACES.items():
            for name in names:
                await self.until(namespace, name, phase="Initialized")

    async def _create(self, namespace: str, name: str) -> None:
        for obj in (manifests.settings(name), manifests.deployment(name), manifests.ingress(name)):
            await self.stage.create(obj, namespace)
        hooks = {"webhooks": [GATE]} if name == "web" else {}
        analysis = manifests.analysis(
            interval="30s", threshold=3, stepWeight=10, maxWeight=50, metrics=[RATE, DURATION]
        )
        await self.stage.create(manifests.canary(name, analysis=analysis | hooks), namespace)

    async def release(self, namespace: str, name: str, version: str) -> None:
        """A new image."""
        await self.stage.set_image(name, name, manifests.image(name, version), namespace)

    async def until(self, namespace: str, name: str, **fields: Any) -> None:
        """Until fields of a status have these values."""
        while True:
            status = await self.stage.status(name, namespace)
            if all(status.get(key) == value for key, value in fields.items()):
                return
            await self.clock.sleep(1)


async def played(shop: Shop, pace: Pace) -> None:
    """A good release of two, then: one waits for its gate, one is suspended, one moves, and one fails its checks."""
    await shop.begin()
    for name in ("cart", "checkout"):
        await shop.release("shop", name, "2.0.9")
    for name in ("cart", "checkout"):
        await shop.until("shop", name, phase="Succeeded")
    await shop.stage.patch("Canary", "search", {"spec": {"suspend": True}}, "shop")
    await shop.release("shop", "web", "2.1.0")
    await shop.until("shop", "web", canaryWeight=40)
    pace.scale = 10.0
    await shop.release("shop", "cart", "2.1.0")
    await shop.until("shop", "cart", canaryWeight=20)
    shop.bad = True
    await shop.release("shop", "checkout", "2.1.0")
    await shop.until("shop", "cart", failedChecks=2)
    pace.scale = 1.0


async def shoot(browser: Any, url: str, shot: Shot, directory: Path) -> None:
    """One picture, of a browser with a session."""
    size = {"width": shot.width, "height": shot.height}
    context = await browser.new_context(viewport=size, color_scheme=shot.scheme, reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(url)
    await page.goto(url.partition("/?")[0] + shot.path)
    if await page.locator("#stream").count():
        await page.locator("#live", has_text="live").wait_for()
    await page.screenshot(path=directory / f"{shot.name}.png", full_page=shot.height == 0)
    await context.close()


async def main(directory: Path) -> None:
    """All pictures."""
    shop = Shop()
    async with AsyncExitStack() as stack:
        pace = stack.enter_context(hastened(60.0))
        stack.push_async_callback(shop.stage.stop)
        await played(shop, pace)
        client = Client(InProcess(shop.stage.server, "ann@example.com"), shop.clock)
        served = running(client, shop.clock, "", Options(mesh_provider=""), "prod", "127.0.0.1", 0)
        dashboard = await stack.enter_async_context(served)
        driver = await stack.enter_async_context(async_playwright())
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.push_async_callback(browser.close)
        for shot in UNDER_WAY:
            await shoot(browser, dashboard.url, shot, directory)
        pace.scale = 60.0
        await shop.until("shop", "cart", phase="Failed")
        await shop.until("shop", "checkout", phase="Succeeded")
        pace.scale = 1.0
        for shot in ENDED:
            await shoot(browser, dashboard.url, shot, directory)


FAR = "/c/shop/cart"
UNDER_WAY = (
    Shot("fleet", "/", height=600),
    Shot("fleet-dark", "/", height=600, scheme="dark"),
    Shot("canary", FAR, height=1000),
    Shot("canary-dark", FAR, height=1000, scheme="dark"),
    Shot("canary-narrow", FAR, 360, 1400),
    Shot("act", f"{FAR}/act/abort", height=720),
    Shot("act-dark", f"{FAR}/act/abort", height=720, scheme="dark"),
    Shot("act-narrow", f"{FAR}/act/abort", 360, 900),
)
ENDED = (
    Shot("failed", FAR, height=1000),
    Shot("release", f"{FAR}/releases/3", height=1000),
    Shot("compare", f"{FAR}/compare?from=2&to=3", height=1000),
)

if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY))
