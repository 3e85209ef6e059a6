"""Killed after every write while a gate with a deadline holds a release: the deadline stays, and its default comes."""

from __future__ import annotations

import pytest

from pyflagger.api.durations import epoch
from pyflagger.objects import Obj
from pyflagger.wire import HttpAnswer, HttpRequest
from stage.manifests import INTERVAL, analysis
from stage.test_kill import NEW, Play, check_safety

DEADLINE_SECONDS = 6 * INTERVAL
PHASES = {"confirm-rollout": "Waiting", "confirm-promotion": "WaitingPromotion"}
ENDS = {"open": "Succeeded", "abort": "Failed"}


class Gated(Play):
    """A release behind a gate that nobody opens. `since`: when its deadline began."""

    def __init__(self, kind: str, default: str, fatal: int | None, heard: bool) -> None:
        ends = {"deadline": f"{DEADLINE_SECONDS:g}s", "default": default}
        gate = {"type": kind, "name": "approve", "url": "http://gates.test/approve", "metadata": ends}
        super().__init__(fatal, heard, analysis=analysis(webhooks=[gate]))
        self.kind, self.default = kind, default

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """The gate refuses."""
        return HttpAnswer(403, b"closed") if "gates.test" in request.url else await super().answer(request)


async def played(kind: str, default: str, fatal: int | None, heard: bool) -> tuple[Gated, Obj]:
    """A release to the deadline of its gate and its end; what is left of it."""
    play = Gated(kind, default, fatal, heard)
    await play.begin()
    await play.stage.set_image("shop", "shop", NEW)
    await play.phase(PHASES[kind])
    since = (await play.stage.status("shop"))["gates"]["approve"]["since"]
    if default == "open":
        await play.phase("Progressing", "Promoting", "Finalising", "Succeeded")
    else:
        await play.phase("Failed")
    late = play.stage.clock.now() - epoch(since) - DEADLINE_SECONDS
    assert 0 <= late <= 3 * INTERVAL, f"{late} s after the deadline"
    await play.phase(ENDS[default])
    return play, await play.end()


@pytest.mark.long
@pytest.mark.looptime
@pytest.mark.parametrize("default", ENDS)
@pytest.mark.parametrize("kind", PHASES)
async def test_killed_after_every_write_at_a_gate(kind: str, default: str) -> None:
    """The next operator goes on with the time that the status has."""
    calm, wanted = await played(kind, default, None, True)
    check_safety(calm)
    for fatal in range(1, len(calm.mortal.writes) + 1):
        try:
            play, found = await played(kind, default, fatal, fatal % 2 == 0)
            assert found == wanted
            check_safety(play)
        except AssertionError as error:
            raise AssertionError(f"killed after write {fatal}, {calm.mortal.writes[fatal - 1]}: {error}") from error
    assert len(calm.mortal.writes) >= 5
