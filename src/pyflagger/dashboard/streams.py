"""Server-sent events: the regions of a page that changed, and a heartbeat. Run by `server` for each open page."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping

from aiohttp import web

from pyflagger.clock import Clock
from pyflagger.dashboard.bell import Bell
from pyflagger.dashboard.guard import protected
from pyflagger.dashboard.pages import Regions

PAUSE_SECONDS = 1.0
"""The least time between two messages of regions."""

BEAT_SECONDS = 10.0
"""The page says that it is stale when it has heard nothing for three of these."""

STREAMS_MAX = 200


async def messages(regions: Callable[[], Regions], bell: Bell, clock: Clock) -> AsyncIterator[str]:
    """The events of one page, for ever. The first has every region, so a page that connects again is complete."""
    sent: dict[str, bytes] = {}
    number, beat, shown = 0, clock.monotonic(), -1
    while True:
        rung = bell.rung
        changed = unsent(regions(), sent) if rung != shown else {}
        shown = rung
        if changed:
            number += 1
            yield event(partials(changed), number)
        if changed or clock.monotonic() - beat >= BEAT_SECONDS:
            beat = clock.monotonic()
            yield f"event: beat\ndata: {number}\n\n"
        await clock.sleep(PAUSE_SECONDS if changed else 0.0)
        await bell.heard(rung, beat + BEAT_SECONDS - clock.monotonic())


async def while_true(lives: Callable[[], bool], events: AsyncIterator[str]) -> AsyncIterator[str]:
    """Events as long as something holds. It is asked before each, so at least each BEAT_SECONDS."""
    async for each in events:
        if not lives():
            return
        yield each


def unsent(regions: Regions, sent: dict[str, bytes]) -> Mapping[str, str]:
    """The regions whose digest changed. Notes them as sent."""
    digests = {name: hashlib.blake2b(text.encode(), digest_size=16).digest() for name, text in regions.items()}
    found = {name: text for name, text in regions.items() if sent.get(name) != digests[name]}
    sent.update(digests)
    return found


def partials(regions: Mapping[str, str]) -> str:
    """Regions as htmx swaps them: each morphs into the element of its id. Ids need no escaping, see `region_id`."""
    return "".join(
        f'<hx-partial hx-target=\'[id="{name}"]\' hx-swap="outerMorph">{text}</hx-partial>'
        for name, text in regions.items()
    )


def event(data: str, number: int) -> str:
    """An event of many lines."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"id: {number}\n{lines}\n"


async def stream(request: web.Request, events: AsyncIterator[str]) -> web.StreamResponse:
    """Send events until the browser leaves."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    protected(answer)
    await answer.prepare(request)
    try:
        async for each in events:
            await answer.write(each.encode())
    except ConnectionResetError:
        pass
    return answer
