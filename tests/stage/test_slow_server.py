"""An API server that takes its time: what counts from a route counts from when it is there, however late."""

from __future__ import annotations

from itertools import cycle, pairwise

import pytest

from pyflagger.api.defaults import HEARD_SECONDS
from pyflagger.kube.protocol import ApiAnswer, ApiRequest
from pyflagger.operator.run import Operator
from pyflagger_sandbox.apiserver.transport import InProcess
from stage.killable import Witness
from stage.manifests import INTERVAL, MAX, STEP, canary, deployment, image, ingress, settings
from stage.stage import Stage

pytestmark = pytest.mark.looptime

ANSWER_SECONDS = (0.0, 4.0)
"""Every other write to an Ingress is answered this much after it was asked for."""

SLOW_SECONDS = (4.0,)
"""So is each."""


class Tardy(InProcess):
    """A Transport on which writes to Ingresses arrive late, by `seconds` in turn."""

    def __init__(self, stage: Stage, seconds: tuple[float, ...]) -> None:
        super().__init__(stage.server, "flagger")
        self._clock, self._seconds = stage.clock, cycle(seconds)

    async def call(self, request: ApiRequest) -> ApiAnswer:
        """Carry out a call."""
        if request.method == "PATCH" and "/ingresses/" in request.path:
            await self._clock.sleep(next(self._seconds))
        return await super().call(request)


async def _released(seconds: tuple[float, ...]) -> tuple[Stage, Witness]:
    """A stage on which a release has succeeded by way of such a Transport, and who watched."""
    stage = Stage()
    await stage.start(operator=False)
    await stage.namespace("test")
    for obj in (settings("shop"), deployment("shop"), ingress("shop"), canary("shop")):
        await stage.create(obj)
    witness = Witness(stage)
    await witness.start()
    stage.operator = Operator(stage.options, Tardy(stage, seconds), stage.http, stage.clock)
    await stage.operator.start()
    await _phase(stage, "Initialized")
    await stage.set_image("shop", "shop", image("shop", "2"))
    await _phase(stage, "Succeeded")
    return stage, witness


async def test_a_weight_is_held_for_a_whole_interval_after_it_was_written() -> None:
    """A weight that was four seconds late is judged four seconds later, not after what is left of its interval."""
    _, witness = await _released(ANSWER_SECONDS)
    steps = [seen for seen in witness.weights if seen.what]
    assert [seen.what for seen in steps] == [*range(STEP, MAX + 1, STEP)]
    until = [*steps, next(seen for seen in witness.images if seen.what == image("shop", "2"))]
    assert all(then.at - seen.at >= INTERVAL for seen, then in pairwise(until)), until


async def test_pods_serve_on_for_the_whole_pause_after_visitors_were_led_away() -> None:
    """However late the last route was: proxies hear of it when it is there, not when it was asked for."""
    stage, witness = await _released(SLOW_SECONDS)
    await stage.clock.sleep(HEARD_SECONDS + 5 * SLOW_SECONDS[0])
    led_away, asleep = witness.weights[-1], witness.scales[-1]
    assert (led_away.what, asleep.what) == (0, 0)
    assert HEARD_SECONDS <= asleep.at - led_away.at < HEARD_SECONDS + SLOW_SECONDS[0]


async def _phase(stage: Stage, wanted: str) -> None:
    end = stage.clock.now() + 200
    while (await stage.status("shop")).get("phase") != wanted:
        assert stage.clock.now() < end, await stage.status("shop")
        await stage.clock.sleep(0.25)
