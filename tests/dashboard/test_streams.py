"""Streams: what is sent, when, and what stays unsent. Eight hours on virtual time leave nothing behind."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard.browsing import Shown, dashboard
from dashboard.test_pages import moving
from pyflagger.dashboard.chosen import Chosen
from pyflagger.dashboard.pages import CANARY_REGIONS, FleetRegions, canary_regions
from pyflagger.dashboard.streams import BEAT_SECONDS, messages
from pyflagger.dashboard.visit import Site
from pyflagger.kube.protocol import ApiRequest
from pyflagger.objects import Key
from seeing.test_single import Scene

pytestmark = pytest.mark.looptime
TARGET = re.compile(r"""<hx-partial hx-target='\[id="([^"]*)"\]' hx-swap="outerMorph">""")


SITE = Site("prod", "ann", "0", acting=False)


async def canary_stream(shown: Shown, scene: Scene) -> AsyncIterator[str]:
    """The stream of the canary."""
    opened = await shown.canaries.open(Key("test", "shop"))
    opened.viewers += 1
    return messages(lambda: canary_regions(SITE, opened), opened.bell, scene.stage.clock)


def swapped(event: str) -> set[str]:
    """The regions of an event."""
    return set(TARGET.findall(event))


async def test_the_first_message_has_everything() -> None:
    """And each target is on the page, so that nothing is lost."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        for path, stream in (
            ("/", messages(FleetRegions(shown.fleet, Chosen()), shown.fleet.bell, scene.stage.clock)),
            ("/c/test/shop", await canary_stream(shown, scene)),
        ):
            first, page = await anext(stream), (await shown.browser.get(path)).text
            assert first.startswith("id: 1\ndata: ") and first.endswith("\n\n")
            assert all(line.startswith(("id: ", "data: ")) for line in first.splitlines() if line)
            assert swapped(first) and all(f'id="{name}"' in page for name in swapped(first))
        assert swapped(first) == set(CANARY_REGIONS)


async def test_only_what_changed() -> None:
    """A step changes the head and the traffic; a canary that rests sends only heartbeats."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        stream, said = await canary_stream(shown, scene), set[str]()
        await anext(stream)
        while (await scene.stage.status("shop")).get("phase") != "Succeeded":
            said |= swapped(await anext(stream))
        assert {"head", "traffic", "progress", "timeline", "objects"} <= said and "trouble" not in said
        while swapped(await anext(stream)) or (await scene.stage.get("Deployment", "shop"))["status"].get("replicas"):
            pass
        await scene.stage.clock.sleep(60)
        await anext(stream)
        await anext(stream)
        began = scene.stage.clock.now()
        rest = [await anext(stream) for _ in range(20)]
        assert [each for each in rest if not each.startswith("event: beat\n")] == []
        assert scene.stage.clock.now() - began <= 21 * BEAT_SECONDS


async def test_a_row_that_changed() -> None:
    """The row alone, not the table; the table when a row comes or goes."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        regions = FleetRegions(shown.fleet, Chosen())
        assert "rows" in regions() and "row_test_shop" in regions() and "rows" not in regions()
        stream = messages(FleetRegions(shown.fleet, Chosen()), shown.fleet.bell, scene.stage.clock)
        first = await anext(stream)
        assert "rows" in swapped(first)
        later = set[str]()
        while (await scene.stage.status("shop")).get("canaryWeight") != 50:
            later |= swapped(await anext(stream))
        assert "row_test_shop" in later and "rows" not in later
        await scene.stage.delete("Canary", "shop")
        event = ""
        while "rows" not in swapped(event):
            event = await anext(stream)
        assert "has no canaries yet" in event


async def test_at_most_one_a_second() -> None:
    """However often the canary changes."""
    scene = Scene()
    await moving(scene)
    async with dashboard(scene) as shown:
        stream, times = await canary_stream(shown, scene), list[float]()
        while (await scene.stage.status("shop")).get("phase") != "Succeeded":
            if swapped(await anext(stream)):
                times.append(scene.stage.clock.now())
        assert len(times) > 3
        assert min(later - one for one, later in pairwise(times)) >= 1.0


async def test_a_canary_that_is_deleted() -> None:
    """The page says so."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene) as shown:
        stream, event = await canary_stream(shown, scene), ""
        await anext(stream)
        await scene.stage.delete("Canary", "shop")
        while "This canary was deleted." not in event:
            event = await anext(stream)


@asynccontextmanager
async def refused(request: ApiRequest) -> AsyncIterator[Any]:
    """A watch that the API server denies."""
    yield SimpleNamespace(status=403, body=b'{"message": "no"}', lines=None)


async def test_a_right_that_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a page is open: within a minute it shows nothing of the canary."""
    scene = Scene()
    await moving(scene)
    revoked = False
    async with dashboard(scene, lambda request: revoked) as shown:
        stream, event = await canary_stream(shown, scene), ""
        await anext(stream)
        revoked = True
        monkeypatch.setattr(shown.person, "stream", refused)
        scene.stage.server.break_watches()
        async with asyncio.timeout(60):
            while "<h1>Gone</h1>" not in event:
                event = await anext(stream)
        assert swapped(event) == {"head"} and "not allowed to get" in event
        assert (await shown.browser.get("/c/test/shop")).status == 403


@pytest.mark.long
async def test_eight_hours() -> None:
    """A page that stays open: heartbeats go on, and what the stream remembers stays as large as it is."""
    scene = Scene()
    await scene.begin()
    async with dashboard(scene) as shown:
        stream = messages(FleetRegions(shown.fleet, Chosen()), shown.fleet.bell, scene.stage.clock)
        began, beats = scene.stage.clock.now(), 0
        while scene.stage.clock.now() - began < 8 * 3600:
            beats += (await anext(stream)).startswith("event: beat")
        assert beats >= 8 * 3600 / BEAT_SECONDS - 10
