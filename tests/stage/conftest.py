"""What holds for every story of the stage: its memo is compared with fresh work, and it leaves nothing running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from typing import Any

import pytest

from pyflagger.operator.observe.memo import Memo
from stage.stage import RUNNING


@pytest.fixture(autouse=True)
def _memo_tells_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the memo remembers is what would be worked out now, so a story writes the same with and without it."""
    remembered = Memo.of

    def of(self: Memo, name: str, made_of: tuple[object, ...], work_out: Callable[[], Any]) -> Any:
        value = remembered(self, name, made_of, work_out)
        fresh = work_out()
        assert fresh == value, f"{name} was remembered as {value}, and would be {fresh} now"
        return value

    monkeypatch.setattr(Memo, "of", of)


@pytest.fixture(autouse=True)
async def stages_stop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Stop every stage that the test started, on the clock of the test, however the test ended."""
    yield
    loop: Any = asyncio.get_running_loop()
    virtual = loop.looptime_enabled() if request.node.get_closest_marker("looptime") else nullcontext()
    with virtual:
        for stage in tuple(RUNNING):
            await stage.stop()
